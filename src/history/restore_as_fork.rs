//! Restores states as new sessions.

use std::path::PathBuf;

use crate::domain::{SessionFile, SessionId};
use crate::flows::compare::SessionComparer;
use crate::flows::fork::{NewFork, add_fork, restored_id};
use crate::flows::write_session::{LocalWriter, UpdatePlan, plan_update};
use crate::history::error::HistoryError;
use crate::history::restore_request::{
    RestorePlanner, RestoreReport, RestoreTarget, RestoredSession,
};
use crate::localize::{LocalText, StoredText};
use crate::session::{LocalSession, journal::Journal, turns::count_user_turns};
use crate::store::{Snapshot, manifest::Manifest, segment::count_lines};
use crate::sys::fail_point::fail_point;
use crate::workspace::{LookupScope, SyncError, Workspace, read_only::machine_names};

/// Plan to restore one session as a fork.
pub(crate) struct ForkRestore {
    pub(crate) target: RestoreTarget,
    manifest: Manifest,
    fork: SessionId,
    directory: PathBuf,
    /// True if an earlier restore created the fork; it may have new turns.
    here: Option<LocalSession>,
}

impl RestorePlanner<'_> {
    pub(crate) fn plan_forks(
        &self,
        workspace: &mut Workspace<'_>,
        targets: Vec<RestoreTarget>,
        report: &mut RestoreReport,
    ) -> Result<Vec<ForkRestore>, SyncError> {
        let steps = self.plan(workspace, targets, report, Self::plan_fork)?;
        if !self.request.dry_run {
            store_forks(workspace, &steps)?;
            fail_point("restored forks are stored");
        }
        Ok(steps)
    }

    /// Returns the plan for one session; `None` if it is one of many and has not changed
    /// since.
    fn plan_fork(
        &self,
        workspace: &Workspace<'_>,
        target: RestoreTarget,
    ) -> Result<Option<ForkRestore>, SyncError> {
        let head = workspace.store.head_snapshot()?;
        let here = self.found.sessions.get(&target.id);
        if !self.alone && head.state(&target.id)?.as_ref() == Some(&target.state) {
            return Ok(None);
        }
        let then = workspace.store.snapshot(Some(&target.commit))?;
        let manifest = then
            .manifest(&target.id)?
            .ok_or_else(|| LookupScope::Store.no_session(&target.id))?;
        let fork = restored_id(&target.id, &target.state);
        let there = self.found.sessions.get(&fork).cloned();
        let directory = match (&there, here) {
            (Some(fork), _) => fork.directory.clone(),
            (None, Some(here)) => {
                // It is in the directory of the session and shares its repository.
                let repo = workspace.localizer.locator().locate(&manifest, &target.id);
                workspace
                    .localizer
                    .clones()
                    .record_checkout(&fork, repo.as_ref().map(|repo| repo.directory.as_str()));
                here.directory.clone()
            }
            (None, None) => {
                let named = Manifest {
                    session: fork.clone(),
                    ..manifest.clone()
                };
                self.directory(workspace, &named, &StoredText::transcript(&then, &manifest))?
            }
        };
        Ok(Some(ForkRestore {
            target,
            manifest,
            fork,
            directory,
            here: there,
        }))
    }
}

impl ForkRestore {
    pub(crate) fn report(&self, workspace: &Workspace<'_>) -> Result<RestoredSession, SyncError> {
        let restored = RestoredSession::new(
            workspace,
            &self.target,
            &self.manifest,
            &self.directory,
            &self.fork,
        );
        let stored = workspace.store.head_snapshot()?.manifest(&self.fork)?;
        // An existing fork may have new turns, here or on another machine.
        let (lines, turns) = match (&self.here, stored) {
            (Some(here), _) => count(here).map(|(lines, turns)| (lines, Some(turns)))?,
            (None, Some(stored)) => (stored.transcript.lines(), stored.turns),
            (None, None) => (restored.lines, restored.turns),
        };
        Ok(RestoredSession {
            lines,
            turns,
            fork: Some(self.fork.clone()),
            ..restored
        })
    }

    pub(crate) fn run(
        &self,
        workspace: &mut Workspace<'_>,
        journal: &Journal,
    ) -> Result<(), SyncError> {
        if self.here.is_some() {
            return Ok(());
        }
        let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
        let writer = LocalWriter::new(workspace, journal, &names);
        let head = workspace.store.head_snapshot()?;
        let manifest = head.manifest(&self.fork)?;
        let manifest = manifest.ok_or_else(|| LookupScope::Store.no_session(&self.fork))?;
        let comparer = SessionComparer::new(workspace, &head);
        let update = match plan_update(&comparer, &manifest, self.directory.clone())? {
            UpdatePlan::Write(update) => update,
            UpdatePlan::Blocked(reason) => {
                return Err(HistoryError::NotRestored {
                    session: self.fork.clone(),
                    reason,
                }
                .into());
            }
        };
        let now = update.write(&writer, &head, &self.fork)?.in_sync;
        let commit = workspace.store.head()?;
        workspace
            .records
            .record_up_to_date(&workspace.store, &now, commit.as_ref())
    }
}

/// Counts the lines and turns of a local transcript.
fn count(here: &LocalSession) -> Result<(u64, u64), SyncError> {
    let (mut lines, mut turns) = (0, 0);
    LocalText::open(
        &here.transcript_path(),
        0,
        here.files[&SessionFile::Transcript].len,
    )?
    .each_piece(|piece| {
        lines += count_lines(piece);
        turns += count_user_turns(piece);
        Ok(())
    })?;
    Ok((lines, turns))
}

/// Stores the new forks in one commit. They share the segments of their sessions.
fn store_forks(workspace: &mut Workspace<'_>, plans: &[ForkRestore]) -> Result<(), SyncError> {
    let base = workspace.store.head()?;
    let head = workspace.store.head_snapshot()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    for plan in plans {
        if head.state(&plan.fork)?.is_some() || tx.touches(&plan.fork) {
            continue;
        }
        let then: Snapshot<'_> = workspace.store.snapshot(Some(&plan.target.commit))?;
        let fork = NewFork {
            from: &plan.target.id,
            id: &plan.fork,
            lines: plan.manifest.transcript.lines(),
        };
        add_fork(&mut tx, &then, &plan.manifest, &fork)?;
    }
    if tx.is_empty() {
        return Ok(());
    }
    tx.commit(
        &workspace.author(),
        &format!("restored by {}", workspace.machine.name),
        base.as_slice(),
    )?;
    Ok(workspace.records.index.follow(&workspace.store)?)
}
