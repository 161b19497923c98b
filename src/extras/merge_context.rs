//! The part that push, pull and restore share: opening the bundle of an owner, and merging two
//! versions of a text.

use std::collections::BTreeMap;

use crate::domain::{BundleId, MachineId};
use crate::extras::{
    context::MachineLabels, context::OwnerReport, file_version::FileVersion, merge::MergeSide,
    merge::merge, open_bundle::OpenBundle, owner::ExtrasOwner, owner::OwnerFile,
    state::ExtrasState, text_file::TextFile, versions::Versions, versions::skipped,
};
use crate::report::ExtraOutcome;
use crate::session::{MAX_EXTRA_BYTES, extras::TOO_LARGE};
use crate::store::Snapshot;
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
        match OpenBundle::open_once(&mut self.open, self.snapshot, &owner.bundle, new) {
            Ok(_) => Ok(true),
            Err(e) => {
                report.add(owner.bundle.as_str(), skipped(&e));
                Ok(false)
            }
        }
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

/// The outcome for two versions whose merged text would be too large for any machine.
pub(crate) fn merge_too_large(other: &str) -> ExtraOutcome {
    ExtraOutcome::Skipped {
        reason: format!(
            "merged with the changes of {other} it would be {TOO_LARGE}; shorten it here or there"
        ),
    }
}
