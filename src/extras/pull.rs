//! Brings the extras that other machines changed to this one.
//!
//! Every change is recorded in the journal of the pull, so that an undo takes it back. Must not
//! replace a file that changed after it was read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::domain::{error::error_chain, extras::ExtraKind, path::RelativeName, path::path_below};
use crate::extras::{
    approval::approval_prefix, approval::propose, change::FileChange, context::ExtrasContext,
    context::MachineLabels, context::OwnerReport, context::load_state, merge_context::MergeContext,
    merge_context::bundle_state, open_bundle::OpenBundle, open_bundle::StoredVersion,
    owner::ExtrasOwner, owner::OwnerFile, returned::ReturnedSessions, state::ExtrasState,
    versions::Decision, versions::LocalVersion, versions::Versions, versions::skipped,
};
use crate::report::{transfer::BundleReport, transfer::ExtraOutcome, transfer::ExtraReport};
use crate::session::{SessionError, extras::memory_directory, journal::Journal};
use crate::store::Snapshot;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::proposed_paths::{PathProposal, proposed_paths};

/// Pulls all extras, also those that were lost here with the sessions that `returned`. Without a
/// journal, it only reports what it would do.
pub(crate) fn pull(
    workspace: &Workspace<'_>,
    journal: Option<&Journal>,
    returned: &ReturnedSessions,
) -> Result<Vec<BundleReport>, SyncError> {
    let mut context = ExtrasContext::open(workspace)?;
    let snapshot = workspace.store.snapshot(context.head.as_ref())?;
    let bundles = snapshot.bundles()?;
    context.add_missing_owners(&snapshot, bundles.keys());
    let ExtrasContext {
        owners,
        mut state,
        mut reports,
        ..
    } = context;

    let mut puller = Puller {
        merging: MergeContext::new(workspace, &snapshot),
        journal,
        returned,
    };
    for owner in &owners {
        let bundle = bundle_state(&bundles, &owner.bundle);
        let report = puller.pull_owner(owner, &bundle, &mut state);
        if journal.is_some() {
            workspace.localizer.save_secrets()?;
            // The files written so far are recorded even if the rest fails.
            state.save()?;
        }
        reports.extend(report?);
    }
    if journal.is_some() {
        workspace.localizer.save_secrets()?;
        state.save()?;
    }
    reports.extend(path_proposals(workspace, &snapshot)?);
    Ok(reports)
}

/// Reports the directories that other machines propose to this one.
fn path_proposals(
    workspace: &Workspace<'_>,
    snapshot: &Snapshot<'_>,
) -> Result<Vec<BundleReport>, SyncError> {
    let proposals = proposed_paths(workspace)?;
    if proposals.is_empty() {
        return Ok(Vec::new());
    }
    let labels = MachineLabels::read(workspace, snapshot)?;
    let report = |proposal: &PathProposal| {
        let from = labels.proposer(proposal.from.as_ref());
        let file = ExtraReport::new(proposal.title(), ExtraOutcome::NeedsApproval { from });
        BundleReport::single(None, file)
    };
    Ok(proposals.iter().map(report).collect())
}

/// Records that an undo restored the files `undone` to the state before the last pull.
pub(crate) fn record_undo<'p>(
    workspace: &Workspace<'_>,
    undone: impl Iterator<Item = &'p Path>,
    is_redo: bool,
) -> Result<(), SyncError> {
    let mut state = load_state(workspace, workspace.store.head()?.as_ref());
    let claude_dir = &workspace.ctx.env.claude_dir;
    let mut directories: Vec<(String, PathBuf)> = Vec::new();
    for name in state.directories.keys() {
        let directory = match name.as_str() {
            "" => claude_dir.to_owned(),
            name => memory_directory(claude_dir, name),
        };
        directories.push((name.clone(), directory));
    }
    for path in undone {
        for (name, directory) in &directories {
            if let Some(below) = path_below(directory, path)
                && let Ok(file) = RelativeName::new(below)
            {
                // The user took the content back, so no earlier approval of the file holds.
                state.revoke_approvals(&approval_prefix(&file));
                if is_redo {
                    state.compare_again(name, &file);
                } else {
                    state.restore_previous(name, &file);
                }
            }
        }
    }
    Ok(state.save()?)
}

struct Puller<'w> {
    merging: MergeContext<'w>,
    journal: Option<&'w Journal>,
    returned: &'w ReturnedSessions,
}

impl Puller<'_> {
    fn pull_owner(
        &mut self,
        owner: &ExtrasOwner,
        bundle: &str,
        state: &mut ExtrasState,
    ) -> Result<Option<BundleReport>, SyncError> {
        let may_return = self.returned.concern(owner);
        if may_return && !owner.listing.exists {
            state.reset_directory(&owner.name);
        }
        let settled = state.directories.get(&owner.name);
        let settled = settled.and_then(|directory| directory.pull_settled.as_deref());
        let is_settled = settled == Some(bundle) && !may_return;
        let mut report = OwnerReport::new(owner);
        if !self.merging.open_bundle(&mut report, is_settled, state)? {
            return Ok(report.finish());
        }
        let workspace = self.merging.workspace;
        let rewriter = owner.path_rewriter(workspace);
        let synced = &workspace.ctx.settings.extras;
        for name in all_names(owner, self.merging.bundle(owner), state) {
            if let Some(file) = owner.file(&name, &rewriter, synced)
                && !owner.is_left(&name)
                && let Some(outcome) = self.pull_file(file, state)?
            {
                report.add(name.as_str(), outcome);
            }
        }
        if !report.is_unsettled && self.journal.is_some() {
            let directory = state.directories.entry(owner.name.clone()).or_default();
            directory.pull_settled = Some(bundle.to_owned());
        }
        Ok(report.finish())
    }

    /// Returns `None` if there is nothing to report.
    fn pull_file(
        &mut self,
        file: OwnerFile<'_>,
        state: &mut ExtrasState,
    ) -> Result<Option<ExtraOutcome>, SyncError> {
        let bundle = self.merging.bundle(file.owner);
        let versions = match Versions::read(file, bundle, state) {
            Ok(versions) => versions,
            // A push reports it.
            Err(ExtraOutcome::Excluded { .. })
                if matches!(
                    bundle.file(file.name),
                    Ok(StoredVersion::Absent | StoredVersion::Removed)
                ) =>
            {
                return Ok(None);
            }
            Err(outcome) => return Ok(Some(outcome)),
        };
        let directory = &file.owner.name;
        match versions.decide(file) {
            Decision::Unchanged if self.returns(file, &versions) => {
                return self.write(file, &versions, state).map(Some);
            }
            Decision::Unchanged | Decision::Ours => {}
            Decision::Deleted if file.kind.is_deleted_by_client() => {
                state.forget(directory, file.name);
            }
            Decision::Deleted => state.record(directory, file.name, None, None)?,
            Decision::InSync => {
                let base = versions.theirs(file).ok().flatten();
                state.record(directory, file.name, versions.stamp, base.as_ref())?;
            }
            Decision::Theirs | Decision::Both => {
                return self.write(file, &versions, state).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns true if a plan that the client has deleted comes back with its session.
    fn returns(&self, file: OwnerFile<'_>, versions: &Versions) -> bool {
        let is_lost = matches!(versions.ours, LocalVersion::Missing)
            && matches!(versions.theirs, StoredVersion::Present { .. });
        let stored = || self.merging.bundle(file.owner).bundle.files.keys();
        let plans = || {
            let is_plan = |name: &&RelativeName| {
                ExtraKind::from_user_file(name.as_str()) == Some(ExtraKind::Plans)
            };
            stored().filter(is_plan).cloned().collect()
        };
        is_lost && self.returned.concern(file.owner) && self.returned.name(file, plans)
    }

    /// Writes what another machine changed.
    fn write(
        &self,
        file: OwnerFile<'_>,
        versions: &Versions,
        state: &mut ExtrasState,
    ) -> Result<ExtraOutcome, SyncError> {
        let change = match self.change(file, versions, state) {
            Ok(change) => change,
            Err(outcome) => return Ok(outcome),
        };
        let Some(journal) = self.journal else {
            return Ok(change.outcome);
        };
        match change.apply(journal, file, versions.stamp, state) {
            Ok(()) => Ok(change.outcome),
            Err(SyncError::Session(SessionError::Path(e))) if e.is_full() => {
                Err(SessionError::Path(e).into())
            }
            Err(e) => Ok(ExtraOutcome::Skipped {
                reason: format!("{}; pull again", error_chain(&e)),
            }),
        }
    }

    /// Returns the change to make, or the outcome to report without one.
    fn change(
        &self,
        file: OwnerFile<'_>,
        versions: &Versions,
        state: &ExtrasState,
    ) -> Result<FileChange, ExtraOutcome> {
        if let Some(outcome) = refuse_link(file) {
            return Err(outcome);
        }
        if file.kind.can_run_code() {
            let change = propose(file, versions).map_err(|e| skipped(&e))?;
            // Approval of a content is no approval of the loss of local changes made since.
            if state.is_approved(&change.approval) && !change.replaces_changes(versions) {
                return Ok(change);
            }
            let from = self.author(versions);
            return Err(ExtraOutcome::NeedsApproval { from });
        }
        self.merged_change(file, versions)
    }

    fn merged_change(
        &self,
        file: OwnerFile<'_>,
        versions: &Versions,
    ) -> Result<FileChange, ExtraOutcome> {
        let stored = versions.theirs(file).map_err(|e| skipped(&e))?;
        let (Some(stored), StoredVersion::Present { file: theirs, by }) =
            (stored, &versions.theirs)
        else {
            return Ok(FileChange::removal());
        };
        let merged = match versions.ours() {
            Some(ours) if versions.has_local_changes() => {
                let merged = self.merging.merge(file, versions, &ours, (theirs, by))?;
                Some((merged.local, merged.outcome))
            }
            _ => None,
        };
        Ok(FileChange::to_content(stored, merged, false))
    }

    fn author(&self, versions: &Versions) -> String {
        match &versions.theirs {
            StoredVersion::Present { by, .. } => self.merging.labels().one(by),
            StoredVersion::Removed | StoredVersion::Absent => "another machine".to_owned(),
        }
    }
}

/// The outcome for a file to which a link leads.
pub(crate) fn refuse_link(file: OwnerFile<'_>) -> Option<ExtraOutcome> {
    let link = file.owner.link_to(file.name)?;
    Some(ExtraOutcome::Skipped {
        reason: format!("`{}` is a link, and links are not followed", link.display()),
    })
}

/// All names that this machine, its record or the store has.
fn all_names(
    owner: &ExtrasOwner,
    bundle: &OpenBundle<'_>,
    state: &ExtrasState,
) -> BTreeSet<RelativeName> {
    let recorded = state.files(&owner.name).map(|(name, _)| name);
    let names = owner.listing.files.keys().chain(recorded);
    names.chain(bundle.bundle.files.keys()).cloned().collect()
}
