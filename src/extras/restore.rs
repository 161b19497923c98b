//! Restores extras to the state of an earlier commit, as a change of this machine: a pull does
//! not bring the newer state back, and the next push sends the restored one.
//!
//! Keeps files that are newer than the commit, and files that can run programs. The journal
//! keeps what is replaced.

use crate::domain::{CommitId, error::error_chain};
use crate::extras::{
    context::ExtrasContext, context::OwnerReport, merge_context::MergeContext,
    open_bundle::StoredVersion, owner::ExtrasOwner, owner::OwnerFile, pull::refuse_link,
    state::ExtrasState, versions::Versions, versions::skipped,
};
use crate::report::{BundleReport, ExtraOutcome};
use crate::session::{SessionError, extras::DirectoryMark, journal::Journal};
use crate::sys::fail_point::fail_point;
use crate::workspace::{SyncError, Workspace};

/// Restores extras to the state in `commit`. Without a journal, it only reports what it would
/// do.
///
/// The caller has pushed the current state, so that the history has it.
pub(crate) fn restore(
    workspace: &Workspace<'_>,
    commit: &CommitId,
    journal: Option<&Journal>,
) -> Result<Vec<BundleReport>, SyncError> {
    let mut context = ExtrasContext::open(workspace)?;
    context.reports.clear();
    let now = workspace.store.snapshot(context.head.as_ref())?;
    let then = workspace.store.snapshot(Some(commit))?;
    let bundles = then.bundles()?;
    context.add_missing_owners(&then, bundles.keys());
    let ExtrasContext {
        owners,
        mut state,
        mut reports,
        ..
    } = context;

    let mut restorer = Restorer {
        now: MergeContext::new(workspace, &now),
        then: MergeContext::new(workspace, &then),
        journal,
    };
    for owner in owners.iter().filter(|o| bundles.contains_key(&o.bundle)) {
        let report = restorer.restore_owner(owner, &mut state);
        if journal.is_some() {
            // The files written so far are recorded even if the rest fails.
            state.save()?;
        }
        reports.extend(report?);
    }
    Ok(reports)
}

struct Restorer<'w> {
    now: MergeContext<'w>,
    then: MergeContext<'w>,
    journal: Option<&'w Journal>,
}

impl Restorer<'_> {
    fn restore_owner(
        &mut self,
        owner: &ExtrasOwner,
        state: &mut ExtrasState,
    ) -> Result<Option<BundleReport>, SyncError> {
        let mut report = OwnerReport::new(owner);
        for context in [&mut self.then, &mut self.now] {
            if !context.open_bundle(&mut report, false, state)? {
                return Ok(report.finish());
            }
        }
        if !owner.listing.exists {
            state.reset_directory(&owner.name);
        }
        let workspace = self.now.workspace;
        let rewriter = owner.path_rewriter(workspace);
        let synced = &workspace.ctx.settings.extras;
        let files = &self.then.bundle(owner).bundle.files;
        for name in files.keys() {
            if let Some(file) = owner.file(name, &rewriter, synced)
                && !owner.is_left(name)
                && let Some(outcome) = self.restore_file(file, state)?
            {
                report.add(name.as_str(), outcome);
            }
        }
        if !owner.listing.exists {
            state.set_mark(&owner.name, DirectoryMark::read(&owner.directory));
        }
        Ok(report.finish())
    }

    /// Returns `None` if the file has not changed since the commit, here or in the store.
    fn restore_file(
        &self,
        file: OwnerFile<'_>,
        state: &mut ExtrasState,
    ) -> Result<Option<ExtraOutcome>, SyncError> {
        let (versions, text) = match self.read(file, state) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(None),
            Err(outcome) => return Ok(Some(outcome)),
        };
        let stored = versions.theirs(file).ok().flatten();
        let is_here = versions.ours().is_some_and(|ours| ours.local == text);
        // The store keeps only the newest plans.
        let is_stored = stored
            .as_ref()
            .map_or(file.kind.is_deleted_by_client(), |stored| {
                stored.local == text
            });
        if is_here && is_stored {
            return Ok(None);
        }
        if file.kind.can_run_code() {
            let reason = "it can run programs, and is not restored".to_owned();
            return Ok((!is_here).then_some(ExtraOutcome::Excluded { reason }));
        }
        if let Some(outcome) = refuse_link(file) {
            return Ok(Some(outcome));
        }
        let Some(journal) = self.journal else {
            return Ok(Some(ExtraOutcome::Restored));
        };
        if !is_here {
            let path = file.owner.path(file.name);
            match journal.write_text(&path, versions.stamp.as_ref(), &text, false) {
                Ok(_) => fail_point("an extras file is restored"),
                Err(SessionError::Path(e)) if e.is_full() => {
                    return Err(SessionError::Path(e).into());
                }
                Err(e) => {
                    let reason = format!("{}; restore again", error_chain(&e));
                    return Ok(Some(ExtraOutcome::Skipped { reason }));
                }
            }
        }
        state.record_restored(&file.owner.name, file.name, stored.as_ref())?;
        Ok(Some(ExtraOutcome::Restored))
    }

    /// Reads the current versions and the text in the commit; `None`: the commit does not have
    /// it.
    fn read(
        &self,
        file: OwnerFile<'_>,
        state: &mut ExtrasState,
    ) -> Result<Option<(Versions, String)>, ExtraOutcome> {
        let versions = Versions::read(file, self.now.bundle(file.owner), state)?;
        let then = self.then.bundle(file.owner).file(file.name);
        let StoredVersion::Present { file: then, .. } = then.map_err(|e| skipped(&e))? else {
            return Ok(None);
        };
        let text = file.rewriter.expand(&then).map_err(|e| skipped(&e))?;
        Ok(Some((versions, text)))
    }
}
