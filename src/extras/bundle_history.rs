//! Merges the bundles of two histories, where commits are merged: by the same rules as between
//! a machine and the store.

use std::collections::BTreeSet;

use crate::domain::{BundleId, ExtraKind, RelativeName};
use crate::extras::{
    context::MachineLabels, context::load_state, file_version::FileVersion, merge::MergeSide,
    merge::merge, merge_context::merge_too_large, open_bundle::BundleError,
    open_bundle::OpenBundle, open_bundle::StoredVersion, path_rewriter::PathRewriter,
    text_file::TextFile, versions::skipped,
};
use crate::report::{BundleReport, ExtraOutcome, ExtraReport};
use crate::session::MAX_EXTRA_BYTES;
use crate::store::{Snapshot, StoreError, Transaction, bundle::ExtrasBundle};
use crate::workspace::{SyncError, Workspace};

/// The snapshots that are merged.
pub(crate) struct BundleHistory<'s> {
    pub(crate) base: &'s Snapshot<'s>,
    pub(crate) ours: &'s Snapshot<'s>,
    pub(crate) theirs: &'s Snapshot<'s>,
}

/// The files of a bundle that both sides changed.
#[derive(Default)]
struct MergedBundle {
    project: Option<String>,
    files: Vec<ExtraReport>,
    unpushed: Vec<UnpushedFile>,
}

/// A file of ours that is not in the merged bundle.
struct UnpushedFile {
    name: RelativeName,
    /// The version that both sides began with, if it is known.
    base: Option<TextFile>,
}

/// Adds the changes of our bundles to `tx`, which begins as theirs. Reports the files that both
/// sides changed.
pub(crate) fn merge_bundles(
    workspace: &Workspace<'_>,
    history: &BundleHistory<'_>,
    tx: &mut Transaction<'_>,
) -> Result<Vec<BundleReport>, SyncError> {
    let (base, mut ours) = (history.base.bundles()?, history.ours.bundles()?);
    let theirs = history.theirs.bundles()?;
    ours.retain(|id, state| base.get(id) != Some(state));
    let mut reports = Vec::new();
    if ours.is_empty() {
        return Ok(reports);
    }
    let labels = MachineLabels::read(workspace, history.ours)?;
    for (id, state) in &ours {
        if theirs.get(id) == Some(state) {
            continue;
        }
        if theirs.get(id) == base.get(id) {
            tx.take_bundle(history.ours, id)?;
            continue;
        }
        let merged = match merge_bundle(workspace, history, id, &labels, tx) {
            Ok(merged) => merged,
            Err(BundleError::Store(e)) if !matches!(e, StoreError::Malformed { .. }) => {
                return Err(e.into());
            }
            Err(e) => keep_theirs(history, id, &e),
        };
        record_unpushed(workspace, id, &merged.unpushed)?;
        if !merged.files.is_empty() {
            reports.push(BundleReport {
                project: merged.project,
                not_pulled: None,
                files: merged.files,
            });
        }
    }
    Ok(reports)
}

/// Keeps the remote's bundle. The next push compares the files of this machine again.
fn keep_theirs(history: &BundleHistory<'_>, id: &BundleId, error: &BundleError) -> MergedBundle {
    let ours = history.ours.bundle(id).ok().flatten();
    let names = ours.into_iter().flat_map(|bundle| bundle.files.into_keys());
    MergedBundle {
        project: None,
        files: vec![ExtraReport::new(id.to_string(), skipped(error))],
        unpushed: names
            .map(|name| UnpushedFile { name, base: None })
            .collect(),
    }
}

fn merge_bundle(
    workspace: &Workspace<'_>,
    history: &BundleHistory<'_>,
    id: &BundleId,
    labels: &MachineLabels,
    tx: &mut Transaction<'_>,
) -> Result<MergedBundle, BundleError> {
    let nothing = || ExtrasBundle::empty(None, None);
    let base = OpenBundle::open(history.base, id, nothing)?;
    let ours = OpenBundle::open(history.ours, id, nothing)?;
    let mut theirs = OpenBundle::open(history.theirs, id, || ours.bundle.clone())?;
    let mut merger = BundleMerger {
        workspace,
        labels,
        base: &base,
        ours: &ours,
        theirs: &mut theirs,
        merged: MergedBundle::default(),
    };
    let removed = ours.bundle.removed.keys();
    let names: BTreeSet<&RelativeName> = ours.bundle.files.keys().chain(removed).collect();
    for name in names {
        if let Err(e) = merger.merge_file(name) {
            merger.keep_theirs(name, None, skipped(&e));
        }
    }

    let mut merged = merger.merged;
    merged.project = ours
        .bundle
        .project
        .as_ref()
        .map(|key| key.as_str().to_owned());
    if id.is_user() {
        let dropped = theirs.drop_older_plans();
        merged
            .files
            .retain(|file| !dropped.iter().any(|name| name.as_str() == file.name));
    }
    for (name, hashes) in &ours.bundle.imported {
        for hash in hashes {
            theirs.record_import(name, hash);
        }
    }
    if theirs.is_changed() {
        theirs.write(tx)?;
    }
    Ok(merged)
}

/// Records the files that could not be pushed as changes of this machine. Otherwise the next
/// pull would replace them.
fn record_unpushed(
    workspace: &Workspace<'_>,
    id: &BundleId,
    unpushed: &[UnpushedFile],
) -> Result<(), SyncError> {
    if unpushed.is_empty() {
        return Ok(());
    }
    let mut state = load_state(workspace, workspace.store.head()?.as_ref());
    let localizer = &workspace.localizer;
    let rewriter = PathRewriter::new(localizer.placeholders(), None, localizer.secrets());
    for file in unpushed {
        let base = file.base.clone().filter(|_| id.is_user()).and_then(|base| {
            Some(FileVersion {
                local: rewriter.expand(&base).ok()?,
                executable: base.is_program(),
                file: base,
                is_localized: true,
            })
        });
        state.record_unpushed(id, &file.name, base.as_ref())?;
    }
    Ok(state.save()?)
}

/// Records that the remote refused the changes of a bundle since the base: they are changes of this
/// machine that were never pushed.
pub(crate) fn record_refused(
    workspace: &Workspace<'_>,
    history: &BundleHistory<'_>,
    id: &BundleId,
) -> Result<(), SyncError> {
    let nothing = || ExtrasBundle::empty(None, None);
    let bundles = OpenBundle::open(history.base, id, nothing)
        .and_then(|base| Ok((base, OpenBundle::open(history.ours, id, nothing)?)));
    let Ok((base, ours)) = bundles else {
        return Ok(());
    };
    let mut state = load_state(workspace, workspace.store.head()?.as_ref());
    let names = ours.bundle.files.keys().chain(ours.bundle.removed.keys());
    let names: BTreeSet<&RelativeName> = names.chain(base.bundle.files.keys()).collect();
    for name in names {
        let stored = match base.file(name) {
            Ok(StoredVersion::Present { file, .. }) => Some(file),
            _ => None,
        };
        let ours = match ours.file(name) {
            Ok(StoredVersion::Present { file, .. }) => Some(file),
            _ => None,
        };
        if stored != ours {
            state.record_refused(id, name, stored.as_ref());
        }
    }
    Ok(state.save()?)
}

struct BundleMerger<'m, 's> {
    workspace: &'m Workspace<'m>,
    labels: &'m MachineLabels,
    base: &'m OpenBundle<'s>,
    ours: &'m OpenBundle<'s>,
    theirs: &'m mut OpenBundle<'s>,
    merged: MergedBundle,
}

impl BundleMerger<'_, '_> {
    /// Adds our change of a file to their bundle.
    fn merge_file(&mut self, name: &RelativeName) -> Result<(), BundleError> {
        let kind = if self.ours.id.is_user() {
            ExtraKind::from_user_file(name.as_str())
        } else {
            Some(ExtraKind::Memory)
        };
        // A base that cannot be read counts as unknown.
        let base = match self.base.file(name) {
            Ok(StoredVersion::Present { file, .. }) => Some(file),
            _ => None,
        };
        let is_base =
            |file: &TextFile| base.as_ref().is_some_and(|base| file.adds_nothing_to(base));

        match (self.ours.file(name)?, self.theirs.file(name)?) {
            (
                StoredVersion::Present { file: mine, by: me },
                StoredVersion::Present { file: other, by },
            ) => {
                if mine.adds_nothing_to(&other) || is_base(&mine) {
                    return Ok(());
                }
                if is_base(&other) {
                    return self.theirs.insert(name, &mine, me, self.ours.day(name));
                }
                if kind.is_none_or(ExtraKind::can_run_code) {
                    // It is not merged without approval. Both sides keep their version.
                    let from = self.labels.one(&by);
                    self.keep_theirs(name, base, ExtraOutcome::NeedsApproval { from });
                    return Ok(());
                }
                let (my_label, label) = self.labels.two(&me, &by);
                self.merge_text(
                    name,
                    base,
                    MergeSide {
                        file: &mine,
                        machine: &my_label,
                    },
                    MergeSide {
                        file: &other,
                        machine: &label,
                    },
                )
            }
            (StoredVersion::Present { file: mine, .. }, StoredVersion::Removed)
                if is_base(&mine) =>
            {
                Ok(())
            }
            // The remote keeps only the newest plans.
            (StoredVersion::Present { file: mine, .. }, StoredVersion::Absent)
                if is_base(&mine) && kind.is_some_and(ExtraKind::is_deleted_by_client) =>
            {
                Ok(())
            }
            (StoredVersion::Present { file: mine, by }, _) => {
                self.theirs.insert(name, &mine, by, self.ours.day(name))
            }
            (StoredVersion::Removed, StoredVersion::Present { file: other, .. })
                if is_base(&other) =>
            {
                let removed = self.ours.bundle.removed.get(name);
                let by = removed.map_or(&self.workspace.machine.id, |removed| &removed.machine);
                self.theirs.remove(name, by.clone());
                Ok(())
            }
            (StoredVersion::Removed | StoredVersion::Absent, _) => Ok(()),
        }
    }

    fn merge_text(
        &mut self,
        name: &RelativeName,
        base: Option<TextFile>,
        mine: MergeSide<'_>,
        other: MergeSide<'_>,
    ) -> Result<(), BundleError> {
        let merged = merge(base.as_ref(), mine, other);
        if merged.file.text().len() as u64 > MAX_EXTRA_BYTES {
            self.keep_theirs(name, base, merge_too_large(other.machine));
            return Ok(());
        }
        let day = self.ours.day(name).max(self.theirs.day(name));
        let me = self.workspace.machine.id.clone();
        self.theirs.insert(name, &merged.file, me, day)?;
        let report = ExtraReport::new(name.as_str(), merged.outcome());
        self.merged.files.push(report);
        Ok(())
    }

    /// Reports a file of which their version stays; ours is still on this machine.
    fn keep_theirs(&mut self, name: &RelativeName, base: Option<TextFile>, outcome: ExtraOutcome) {
        let report = ExtraReport::new(name.as_str(), outcome);
        self.merged.files.push(report);
        self.merged.unpushed.push(UnpushedFile {
            name: name.clone(),
            base,
        });
    }
}
