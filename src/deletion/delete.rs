//! Takes sessions out of the store's head, and keeps them out.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::deletion::{
    error::DeletionError, plan::DeletePlan, plan::DeleteRequest, plan::DeletedSession,
};
use crate::domain::SessionId;
use crate::flows::{RemoteSync, merge::unpushed_sessions, send::squash_unsent};
use crate::leasing::{LockView, release::release, view::LockContent};
use crate::lock::TakeOver;
use crate::report::{RemoteState, count::count};
use crate::session::{
    Discovery, SessionError, files::file_path, files::team_of, journal, journal::Journal,
    live::live_sessions,
};
use crate::store::tombstone::Tombstone;
use crate::sys::fail_point::fail_point;
use crate::workspace::{Context, SyncError, Workspace, paths::undo_path};

/// Result of a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeleteReport {
    /// The sessions that were deleted.
    pub sessions: Vec<DeletedSession>,
    /// Named sessions that were deleted before.
    pub already: Vec<SessionId>,
    /// Forks of the sessions, which stay.
    pub forks: Vec<SessionId>,
    /// Number of files that were removed on this machine.
    pub removed_files: u64,
    /// True if this is a plan: nothing was done.
    pub dry_run: bool,
    /// State of the remote.
    pub remote: RemoteState,
}

impl From<DeletePlan> for DeleteReport {
    fn from(plan: DeletePlan) -> Self {
        Self {
            sessions: plan.sessions,
            already: plan.already,
            forks: plan.forks,
            ..Self::default()
        }
    }
}

/// Refuses a deletion of sessions on which another machine or, with their local files, a client of
/// this one works.
///
/// # Errors
/// [`DeletionError::Held`], [`DeletionError::UnreadableLock`], [`SessionError::Running`].
pub fn check(
    ctx: &Context<'_>,
    request: &DeleteRequest,
    plan: &DeletePlan,
) -> Result<(), SyncError> {
    if let Some(lock) = plan.locks.first().filter(|_| !request.force) {
        return Err(held(lock).into());
    }
    if request.local {
        let live = live_sessions(&ctx.env.claude_dir);
        for session in sessions_of(plan) {
            if let Some(client) = live.get(session) {
                return Err(SessionError::Running {
                    session: session.clone(),
                    client: *client,
                }
                .into());
            }
        }
    }
    Ok(())
}

fn held(lock: &LockView) -> DeletionError {
    let session = lock.session.clone();
    match &lock.content {
        LockContent::Lock { seen, .. } => DeletionError::Held {
            session,
            machine: seen.record.host.clone(),
            since: seen.record.acquired,
        },
        LockContent::Unreadable { reason } => DeletionError::UnreadableLock {
            session,
            reason: reason.clone(),
        },
    }
}

fn sessions_of(plan: &DeletePlan) -> impl Iterator<Item = &SessionId> {
    let new = plan.sessions.iter().map(|row| &row.session);
    new.chain(&plan.already)
}

/// Deletes the sessions of a plan.
///
/// # Errors
/// As for [`check`]; errors of the whole command.
pub fn delete(
    ctx: &Context<'_>,
    request: &DeleteRequest,
    plan: DeletePlan,
) -> Result<DeleteReport, SyncError> {
    check(ctx, request, &plan)?;
    if !plan.locks.is_empty() {
        release(ctx, &plan.locks, TakeOver::Live)?;
    }
    let (mut workspace, found) = Workspace::open_and_discover(ctx)?;
    let chosen: BTreeSet<SessionId> = sessions_of(&plan).cloned().collect();
    let mut report = DeleteReport::from(plan);
    if !report.sessions.is_empty() {
        commit(&mut workspace, &report.sessions)?;
    }
    report.remote = RemoteSync::new(&mut workspace).push()?.state;
    if request.local {
        report.removed_files = remove_files(&workspace, &found, &chosen)?;
    }
    workspace.save()?;
    Ok(report)
}

fn commit(workspace: &mut Workspace<'_>, sessions: &[DeletedSession]) -> Result<(), SyncError> {
    let store = &workspace.store;
    let unsent = unpushed_sessions(store)?;
    let (head, now) = (store.head()?, workspace.ctx.clock.now());
    let mut tx = store.begin(head.as_ref())?;
    for row in sessions {
        let machine = workspace.machine.id.clone();
        tx.delete_session(&Tombstone::new(row.session.clone(), machine, now))?;
    }
    fail_point("before a deletion is committed");
    let number = count(sessions.len() as u64, "session");
    let message = format!("delete from {}: {number}", workspace.machine.name);
    tx.commit(&workspace.author(), &message, head.as_slice())?;
    for row in sessions {
        store.forget_refused(&row.session)?;
        workspace.records.refused.remove(&row.session);
    }
    if sessions.iter().any(|row| unsent.contains(&row.session)) {
        // No other machine has it yet, so it is not sent only to be deleted.
        squash_unsent(workspace)?;
    }
    workspace.records.index.follow(&workspace.store)?;
    fail_point("a deletion is committed");
    Ok(())
}

/// Removes the files of sessions on this machine, and keeps them for an undo. The list of a team
/// stays, because other sessions may share it.
fn remove_files(
    workspace: &Workspace<'_>,
    found: &Discovery,
    chosen: &BTreeSet<SessionId>,
) -> Result<u64, SyncError> {
    let (ctx, mut removed) = (workspace.ctx, 0);
    let journal = Journal::new(&undo_path(ctx.env), ctx.clock.now());
    let here = found.sessions.values();
    for session in here.filter(|session| chosen.contains(&session.id)) {
        let files = session
            .files
            .iter()
            .filter(|(file, _)| team_of(file).is_none());
        for (file, stamp) in files {
            let path = file_path(&session.directory, &session.id, file);
            journal.remove(&path, stamp)?;
            removed += 1;
        }
    }
    journal::prune(&undo_path(ctx.env), ctx.clock.now());
    Ok(removed)
}
