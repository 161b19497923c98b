//! The part that push, pull and restore share: opening the bundle of an owner, and merging two
//! versions of a text.

use std::collections::BTreeMap;

use crate::domain::{BundleId, MachineId, RelativeName};
use crate::extras::{
    context::MachineLabels, context::OwnerReport, file_version::FileVersion, merge::MergeSide,
    merge::merge, open_bundle::BundleError, open_bundle::OpenBundle, open_bundle::StoredVersion,
    owner::ExtrasOwner, owner::OwnerFile, state::ExtrasState, text_file::TextFile, text_file::hash,
    versions::Versions, versions::skipped,
};
use crate::report::ExtraOutcome;
use crate::session::{MAX_EXTRA_BYTES, extras::TOO_LARGE};
use crate::store::{Snapshot, bundle::ExtrasBundle};
use crate::sys::signal;
use crate::workspace::{SyncError, Workspace};

/// The bundles of one snapshot that a command opened.
pub(crate) struct MergeContext<'s> {
    pub(crate) workspace: &'s Workspace<'s>,
    snapshot: &'s Snapshot<'s>,
    labels: Option<MachineLabels>,
    pub(crate) open: BTreeMap<BundleId, OpenBundle<'s>>,
}

/// Two versions of a text as one.
pub(crate) struct MergeResult {
    pub(crate) file: TextFile,
    /// The text for this machine.
    pub(crate) local: String,
    pub(crate) outcome: ExtraOutcome,
}

impl<'s> MergeContext<'s> {
    pub(crate) fn new(workspace: &'s Workspace<'s>, snapshot: &'s Snapshot<'s>) -> Self {
        Self {
            workspace,
            snapshot,
            labels: None,
            open: BTreeMap::new(),
        }
    }

    /// Opens the bundle of an owner. Returns false if the report is complete: nothing has
    /// changed here since the bundle `is_settled`, or the bundle cannot be read.
    pub(crate) fn open_bundle(
        &mut self,
        report: &mut OwnerReport<'_>,
        is_settled: bool,
        state: &ExtrasState,
    ) -> Result<bool, SyncError> {
        let owner = report.owner;
        if is_settled && owner.is_unchanged(state) {
            report.add_left(state);
            return Ok(false);
        }
        signal::check()?;
        if self.labels.is_none() {
            self.labels = Some(MachineLabels::read(self.workspace, self.snapshot)?);
        }
        let new = || owner.new_bundle();
        let is_open = self.open.contains_key(&owner.bundle);
        if let Err(e) = OpenBundle::open_once(&mut self.open, self.snapshot, &owner.bundle, new) {
            report.add(owner.bundle.as_str(), skipped(&e));
            return Ok(false);
        }
        if !is_open {
            self.add_renamed(report)?;
        }
        Ok(true)
    }

    /// Adds what the store has of the same project under its address in another case.
    fn add_renamed(&mut self, report: &mut OwnerReport<'_>) -> Result<(), SyncError> {
        let owner = report.owner;
        let key = owner.project.as_ref().map(|project| &project.key);
        for id in self.snapshot.bundles()?.into_keys() {
            if !id.may_be_renamed(&owner.bundle) {
                continue;
            }
            // An unreadable one is reported with those that have no owner here.
            let renamed = OpenBundle::open(self.snapshot, &id, || ExtrasBundle::empty(None, None));
            let Some(renamed) = renamed.ok().filter(|it| it.bundle.project.as_ref() == key) else {
                continue;
            };
            let labels = self.labels.as_ref();
            let labels = labels.expect("the labels are read with the first bundle");
            let bundle = self.open.get_mut(&owner.bundle);
            let bundle = bundle.expect("the bundle of an owner is opened before this");
            for name in renamed.bundle.files.keys() {
                if let Err(e) = add_file(bundle, &renamed, name, labels) {
                    report.add(name.as_str(), skipped(&e));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn bundle(&self, owner: &ExtrasOwner) -> &OpenBundle<'s> {
        let bundle = self.open.get(&owner.bundle);
        bundle.expect("the bundle of an owner is opened before its files are read")
    }

    pub(crate) fn bundle_mut(&mut self, owner: &ExtrasOwner) -> &mut OpenBundle<'s> {
        let bundle = self.open.get_mut(&owner.bundle);
        bundle.expect("the bundle of an owner is opened before its files are changed")
    }

    pub(crate) fn labels(&self) -> &MachineLabels {
        let labels = self.labels.as_ref();
        labels.expect("the labels are read with the first bundle")
    }

    /// Merges the version here with the one that `by` has stored.
    ///
    /// # Errors
    /// The outcome to report if both stay as they are.
    pub(crate) fn merge(
        &self,
        file: OwnerFile<'_>,
        versions: &Versions,
        ours: &FileVersion,
        (theirs, by): (&TextFile, &MachineId),
    ) -> Result<MergeResult, ExtraOutcome> {
        let (my_label, their_label) = self.labels().two(&self.workspace.machine.id, by);
        let merged = merge(
            versions.base.as_ref().map(|base| &base.file),
            MergeSide {
                file: &ours.file,
                machine: &my_label,
            },
            MergeSide {
                file: theirs,
                machine: &their_label,
            },
        );
        let local = file.rewriter.expand(&merged.file);
        let local = local.map_err(|e| skipped(&e))?;
        if local.len() as u64 > MAX_EXTRA_BYTES {
            return Err(merge_too_large(&their_label));
        }
        Ok(MergeResult {
            outcome: merged.outcome(),
            file: merged.file,
            local,
        })
    }
}

/// Returns the state of a bundle in a snapshot, and of those that may be its former ones.
pub(crate) fn bundle_state(bundles: &BTreeMap<BundleId, String>, id: &BundleId) -> String {
    let renamed = bundles.keys().filter(|other| other.may_be_renamed(id));
    let states = std::iter::once(id).chain(renamed);
    let states: Vec<&str> = states
        .map(|id| bundles.get(id).map_or("", String::as_str))
        .collect();
    states.join(" ")
}

/// Adds a file of a former bundle, once.
fn add_file(
    bundle: &mut OpenBundle<'_>,
    former: &OpenBundle<'_>,
    name: &RelativeName,
    labels: &MachineLabels,
) -> Result<(), BundleError> {
    let StoredVersion::Present { file, by } = former.file(name)? else {
        return Ok(());
    };
    let hash = hash(&file.text());
    if bundle.bundle.was_imported(name, &hash) {
        return Ok(());
    }
    let merged = match bundle.file(name)? {
        StoredVersion::Removed => None,
        StoredVersion::Absent => Some(file),
        StoredVersion::Present { file: ours, .. } if file.adds_nothing_to(&ours) => None,
        StoredVersion::Present {
            file: ours,
            by: our_machine,
        } => {
            let (our_label, their_label) = labels.two(&our_machine, &by);
            let ours = MergeSide {
                file: &ours,
                machine: &our_label,
            };
            let theirs = MergeSide {
                file: &file,
                machine: &their_label,
            };
            Some(merge(None, ours, theirs).file)
        }
    };
    if let Some(merged) = merged {
        bundle.insert(name, &merged, by, None)?;
    }
    bundle.record_import(name, &hash);
    Ok(())
}

/// The outcome for two versions whose merged text would be too large for any machine.
pub(crate) fn merge_too_large(other: &str) -> ExtraOutcome {
    ExtraOutcome::Skipped {
        reason: format!(
            "merged with the changes of {other} it would be {TOO_LARGE}; shorten it here or there"
        ),
    }
}
