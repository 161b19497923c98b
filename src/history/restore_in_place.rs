//! Restores sessions in place.

use std::collections::BTreeSet;

use crate::domain::{SessionFile, SessionId};
use crate::flows::{
    SessionComparer, differences::Differences, differences::FilePull, push_commit::store_sessions,
    push_plan::PushPlan, store_session::is_stored, write_session::LocalWriter,
    write_session::SessionUpdate,
};
use crate::history::error::HistoryError;
use crate::history::restore_request::{
    RestorePlanner, RestoreReport, RestoreTarget, RestoredSession,
};
use crate::localize::{LocalCopy, StoredText};
use crate::report::Outcome;
use crate::session::{
    LocalSession, SessionError, discover::files_without_transcript, files::file_path,
    journal::Journal, live::live_sessions,
};
use crate::store::{Snapshot, manifest::Manifest};
use crate::sys::fail_point::fail_point;
use crate::workspace::{LookupScope, SyncError, Workspace, read_only::machine_names};

/// Files of a session.
type Names = BTreeSet<SessionFile>;

/// Plan to restore one session in place.
pub(crate) struct InPlaceRestore {
    pub(crate) target: RestoreTarget,
    manifest: Manifest,
    /// Files to write; includes the transcript if it differs.
    writing: SessionUpdate,
    /// Files that did not exist at that time.
    excess: Names,
    /// Such files that stay, because there is no other copy; the next push stores them.
    only_here: Names,
    /// Fork that keeps the diverged local text.
    kept_as: Option<SessionId>,
}

impl RestorePlanner<'_> {
    pub(crate) fn plan_all_in_place(
        &self,
        workspace: &mut Workspace<'_>,
        targets: Vec<RestoreTarget>,
        report: &mut RestoreReport,
    ) -> Result<Vec<InPlaceRestore>, SyncError> {
        let mut steps = self.plan(workspace, targets, report, Self::plan_in_place)?;
        if !self.request.dry_run {
            self.store_first(workspace, &mut steps, report)?;
        }
        Ok(steps)
    }

    /// Returns the plan for one session; `None` if it has that state already and is
    /// pinned to it.
    fn plan_in_place(
        &self,
        workspace: &Workspace<'_>,
        target: RestoreTarget,
    ) -> Result<Option<InPlaceRestore>, SyncError> {
        let then = workspace.store.snapshot(Some(&target.commit))?;
        let manifest = then.manifest(&target.id)?;
        let manifest = manifest.ok_or_else(|| LookupScope::Store.no_session(&target.id))?;
        let Some(here) = self.found.sessions.get(&target.id) else {
            return self
                .plan_absent(workspace, target, manifest, &then)
                .map(Some);
        };
        refuse_running(workspace, &target.id)?;
        let is_head =
            workspace.store.head_snapshot()?.state(&target.id)?.as_ref() == Some(&target.state);
        // Files that Claude Code's clean-up removed from a session in sync do not count.
        let known = workspace.records.index.last_sync(here).filter(|_| is_head);
        let differences = SessionComparer::new(workspace, &then).compare_with(
            &manifest,
            &LocalCopy::closed(here),
            known,
        )?;
        if differences.is_empty() && is_head {
            return Ok(None);
        }
        refuse_what_stays(workspace, here)?;
        Ok(Some(InPlaceRestore::new(
            target,
            manifest,
            here,
            differences,
        )))
    }

    /// Plans a session without a local transcript. Other files of it may be here.
    fn plan_absent(
        &self,
        workspace: &Workspace<'_>,
        target: RestoreTarget,
        manifest: Manifest,
        then: &Snapshot<'_>,
    ) -> Result<InPlaceRestore, SyncError> {
        let directory = self.directory(
            workspace,
            &manifest,
            &StoredText::transcript(then, &manifest),
        )?;
        let Some(here) = files_without_transcript(&directory, &target.id) else {
            let writing = SessionUpdate::new(directory, &manifest);
            return Ok(InPlaceRestore {
                target,
                manifest,
                writing,
                excess: Names::new(),
                only_here: Names::new(),
                kept_as: None,
            });
        };
        let local = LocalCopy::closed(&here);
        let differences =
            SessionComparer::new(workspace, then).compare_with(&manifest, &local, None)?;
        let only_here = not_stored(workspace, &local)?;
        let is_replaced =
            |name: &&SessionFile| manifest.file(name).is_some() && only_here.contains(*name);
        if let Some(name) = differences.to_push.keys().find(is_replaced) {
            let path = here.path(name);
            let reason = format!(
                "`{}` is not in the store: move it away, then restore again",
                path.display()
            );
            return Err(HistoryError::NotRestored {
                session: target.id,
                reason,
            }
            .into());
        }
        let mut step = InPlaceRestore::new(target, manifest, &here, differences);
        step.only_here = step.excess.intersection(&only_here).cloned().collect();
        step.excess.retain(|name| !only_here.contains(name));
        Ok(step)
    }

    /// Stores the local text of these sessions, so that it is in the history. Sessions
    /// that cannot be stored are not restored.
    fn store_first(
        &self,
        workspace: &mut Workspace<'_>,
        steps: &mut Vec<InPlaceRestore>,
        report: &mut RestoreReport,
    ) -> Result<(), SyncError> {
        let here: Vec<&LocalSession> = steps
            .iter()
            .filter_map(|step| self.found.sessions.get(&step.target.id))
            .collect();
        let stored = store_sessions(workspace, PushPlan::for_sessions(workspace, &here)?)?;
        for session in stored.sessions {
            match session.outcome {
                Outcome::Forked { fork, .. } => {
                    let step = steps
                        .iter_mut()
                        .find(|step| step.target.id == session.session);
                    step.into_iter()
                        .for_each(|step| step.kept_as = Some(fork.clone()));
                }
                Outcome::Skipped { reason } => {
                    steps.retain(|step| step.target.id != session.session);
                    let error = HistoryError::NotRestored {
                        session: session.session.clone(),
                        reason,
                    };
                    self.skip(session.session, error.into(), report)?;
                }
                _ => {}
            }
        }
        // Drop the index entries first: after a crash, the sessions are compared byte by
        // byte.
        steps
            .iter()
            .for_each(|step| workspace.records.index.forget(&step.target.id));
        workspace.save()?;
        fail_point("local changes are stored before a restore");
        Ok(())
    }
}

impl InPlaceRestore {
    /// Plans the changes that turn `here` into the earlier state.
    fn new(
        target: RestoreTarget,
        manifest: Manifest,
        here: &LocalSession,
        differences: Differences,
    ) -> Self {
        let differing = differences
            .to_push
            .into_keys()
            .chain(differences.to_pull.into_keys());
        let (written, excess): (Names, Names) =
            differing.partition(|name| manifest.file(name).is_some());
        let files = written
            .into_iter()
            .map(|name| (name, FilePull::Whole))
            .collect();
        let writing = SessionUpdate {
            directory: here.directory.clone(),
            files,
            here: Some(here.clone()),
            ahead: false,
            choices: Vec::new(),
            note: None,
        };
        Self {
            target,
            manifest,
            writing,
            excess,
            only_here: Names::new(),
            kept_as: None,
        }
    }
}

impl InPlaceRestore {
    pub(crate) fn report(&self, workspace: &Workspace<'_>) -> Result<RestoredSession, SyncError> {
        let id = &self.target.id;
        let now = workspace.store.head_snapshot()?.manifest(id).ok().flatten();
        let restored = RestoredSession::new(
            workspace,
            &self.target,
            &self.manifest,
            &self.writing.directory,
            id,
        );
        Ok(RestoredSession {
            lines_removed: now.map_or(0, |now| {
                now.transcript.lines().saturating_sub(restored.lines)
            }),
            was_missing: self
                .writing
                .here
                .as_ref()
                .is_none_or(|here| !here.files.contains_key(&SessionFile::Transcript)),
            kept_as: self.kept_as.clone(),
            ..restored
        })
    }

    pub(crate) fn run(
        &self,
        workspace: &mut Workspace<'_>,
        journal: &Journal,
    ) -> Result<(), SyncError> {
        let id = &self.target.id;
        let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
        let writer = LocalWriter::new(workspace, journal, &names);
        let then = workspace.store.snapshot(Some(&self.target.commit))?;
        let now = self.writing.write(&writer, &then, id)?.in_sync;
        fail_point("a session is restored");
        let Some(mut now) = now else { return Ok(()) };
        for name in &self.excess {
            if let Some(stamp) = now.files.remove(name) {
                journal.remove(&file_path(&now.directory, id, name), &stamp)?;
            }
        }
        fail_point("newer files of a session are removed");
        now.files.retain(|name, _| !self.only_here.contains(name));
        match workspace.store.head_snapshot()?.state(id)? {
            Some(state) if state != self.target.state => workspace.records.pinned.pin(&now, state),
            _ if self.only_here.is_empty() => {
                let head = workspace.store.head()?;
                workspace
                    .records
                    .record_up_to_date(&workspace.store, [&now], head.as_ref())?;
            }
            _ => {}
        }
        // Before the next session, so that a crash keeps finished sessions.
        Ok(workspace.records.pinned.save()?)
    }
}

/// Returns the local files of a session with contents that the store does not have.
fn not_stored(workspace: &Workspace<'_>, local: &LocalCopy<'_>) -> Result<Names, SyncError> {
    let head = workspace.store.head_snapshot()?;
    Ok(match head.manifest(&local.session.id)? {
        Some(manifest) => SessionComparer::new(workspace, &head)
            .compare_with(&manifest, local, None)?
            .to_push
            .into_keys()
            .collect(),
        None => local.session.files.keys().cloned().collect(),
    })
}

fn refuse_running(workspace: &Workspace<'_>, id: &SessionId) -> Result<(), SyncError> {
    match live_sessions(&workspace.ctx.env.claude_dir).get(id) {
        Some(client) => Err(SessionError::Running {
            session: id.clone(),
            client: *client,
        }
        .into()),
        None => Ok(()),
    }
}

/// Refuses an excluded session with local text: that would have to be pushed before it is
/// replaced.
fn refuse_what_stays(workspace: &Workspace<'_>, here: &LocalSession) -> Result<(), SyncError> {
    let Some(why) = workspace.filter().local_only_reason(here) else {
        return Ok(());
    };
    if is_stored(workspace, here)? {
        return Ok(());
    }
    let reason = format!("the local turns would be pushed first, but {why}");
    Err(HistoryError::NotRestored {
        session: here.id.clone(),
        reason,
    }
    .into())
}
