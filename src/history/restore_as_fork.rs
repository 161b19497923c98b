//! Putting states beside, as sessions of their own.

use std::path::PathBuf;

use crate::domain::id::SessionId;
use crate::domain::session_file::SessionFile;
use crate::flows::fork::{add_fork, restored_id};
use crate::flows::pull::{Brought, apply_pull};
use crate::flows::write_session::Writer;
use crate::history::restore::{RestoreReport, RestoredSession, Restoring, Step, Target};
use crate::localize::stored_text::{LocalText, StoredText};
use crate::session::discover::LocalSession;
use crate::session::materialise::Journal;
use crate::session::turns::count_of_persons;
use crate::store::Snapshot;
use crate::store::manifest::Manifest;
use crate::store::segment::count_lines;
use crate::sys::fail_point::fail_point;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::read_only::machine_names;

/// What putting one session beside takes.
pub(crate) struct AsFork {
    pub(crate) target: Target,
    manifest: Manifest,
    fork: SessionId,
    directory: PathBuf,
    /// An earlier restore has put it there, and it may have gone on.
    here: Option<LocalSession>,
}

impl Restoring<'_> {
    pub(crate) fn as_forks(
        &self,
        workspace: &mut Workspace<'_>,
        targets: Vec<Target>,
        report: &mut RestoreReport,
    ) -> Result<(), SyncError> {
        let steps = self.plan(workspace, targets, report, Self::plan_fork)?;
        if !self.request.dry_run {
            store_forks(workspace, &steps)?;
            fail_point("restored forks are stored");
        }
        self.carry_out(workspace, steps.into_iter().map(Step::AsFork), report)
    }

    /// None, where it is one of many: there is no need for a fork, because the store has no more of it.
    fn plan_fork(
        &self,
        workspace: &Workspace<'_>,
        target: Target,
    ) -> Result<Option<AsFork>, SyncError> {
        let head = workspace.store.head_snapshot()?;
        let here = self.found.sessions.get(&target.id);
        if !self.alone && head.state(&target.id)?.as_ref() == Some(&target.state) {
            return Ok(None);
        }
        let then = workspace.store.snapshot(Some(&target.commit))?;
        let manifest = then
            .manifest(&target.id)?
            .ok_or_else(|| SyncError::NoSuchSession {
                session: target.id.clone(),
            })?;
        let fork = restored_id(&target.id, &target.state);
        let there = self.found.sessions.get(&fork).cloned();
        let directory = match (&there, here) {
            (Some(fork), _) => fork.directory.clone(),
            (None, Some(here)) => {
                // It lies beside the session, and its repository is where that of the session is.
                let repo = workspace.localizer.repos().of(&manifest, &target.id);
                workspace
                    .localizer
                    .clones()
                    .use_for(&fork, repo.as_ref().map(|repo| repo.path.as_str()));
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
        Ok(Some(AsFork {
            target,
            manifest,
            fork,
            directory,
            here: there,
        }))
    }
}

impl AsFork {
    pub(crate) fn restored(&self, workspace: &Workspace<'_>) -> Result<RestoredSession, SyncError> {
        let restored = RestoredSession::new(
            workspace,
            &self.target,
            &self.manifest,
            &self.directory,
            &self.fork,
        );
        let stored = workspace.store.head_snapshot()?.manifest(&self.fork)?;
        // One that was made before may have gone on since: here, or elsewhere.
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

    pub(crate) fn carry_out(
        &self,
        workspace: &mut Workspace<'_>,
        journal: &Journal,
    ) -> Result<(), SyncError> {
        if self.here.is_some() {
            return Ok(());
        }
        let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
        let writer = Writer {
            localizer: &workspace.localizer,
            claude_dir: &workspace.ctx.env.claude_dir,
            journal,
            names: &names,
        };
        let head = workspace.store.head_snapshot()?;
        let missing = || SyncError::NoSuchSession {
            session: self.fork.clone(),
        };
        let manifest = head.manifest(&self.fork)?.ok_or_else(missing)?;
        let writing = match apply_pull(workspace, &head, &manifest, self.directory.clone())? {
            Brought::Write(writing) => writing,
            Brought::Refused(reason) => {
                return Err(SyncError::NotRestored {
                    session: self.fork.clone(),
                    reason,
                });
            }
        };
        let (_, now) = writing.carry_out(&writer, &head, &self.fork)?;
        let commit = workspace.store.head()?;
        workspace.record_in_step(&now, commit.as_ref())
    }
}

/// Lines of a transcript here, and turns of a person in it.
fn count(here: &LocalSession) -> Result<(u64, u64), SyncError> {
    let (mut lines, mut turns) = (0, 0);
    LocalText::open(
        &here.transcript_path(),
        0,
        here.files[&SessionFile::Transcript].len,
    )?
    .each_piece(|piece| {
        lines += count_lines(piece);
        turns += count_of_persons(piece);
        Ok(())
    })?;
    Ok((lines, turns))
}

/// Stores the forks that the store does not have yet, in one commit. They share the segments of the sessions that they come from.
fn store_forks(workspace: &mut Workspace<'_>, plans: &[AsFork]) -> Result<(), SyncError> {
    let base = workspace.store.head()?;
    let head = workspace.store.head_snapshot()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    for plan in plans {
        if head.state(&plan.fork)?.is_some() || tx.touches(&plan.fork) {
            continue;
        }
        let then: Snapshot<'_> = workspace.store.snapshot(Some(&plan.target.commit))?;
        let lines = plan.manifest.transcript.lines();
        add_fork(
            &mut tx,
            &then,
            &plan.manifest,
            (&plan.target.id, &plan.fork),
            lines,
        )?;
    }
    if tx.is_empty() {
        return Ok(());
    }
    tx.commit(
        &workspace.author(),
        &format!("restored by {}", workspace.machine.name),
        base.as_slice(),
    )?;
    Ok(workspace.index.follow(&workspace.store)?)
}
