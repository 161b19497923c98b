//! Continues a session under its lock: lists candidates, backs up while Claude Code runs,
//! releases.
//!
//! `leasing` acquires the lock, `flows::pull` pulls the session. Must not start Claude
//! Code.

use std::collections::{BTreeMap, BTreeSet};

use crate::browse::{list::ListFilter, list::SessionRow, list::SessionRows, list::rows};
use crate::domain::{SessionId, Successors};
use crate::flows::{
    FetchMode, PullRequest, RemoteSync, pull::pull, push::PushReason, push::push_for,
    remote_sync::FetchResult,
};
use crate::leasing::{LockView, lock_table::fetched_lock_table};
use crate::report::{Outcome, Report};
use crate::workspace::{
    Context, LookupScope, Selection, SyncError, Workspace, lookup::find_session,
};

/// Sessions that can be continued here.
#[derive(Debug)]
pub struct ResumeCandidates {
    /// The newest first.
    pub sessions: Vec<ResumeCandidate>,
    /// Reason why the remote was not reached; then the sessions are as of the last fetch,
    /// without locks.
    pub unreached: Option<String>,
    /// Sessions that go on under another id.
    pub successors: Successors,
}

/// A session that can be continued here.
#[derive(Debug)]
pub struct ResumeCandidate {
    /// Its row.
    pub row: SessionRow,
    /// Its lock.
    pub lock: Option<LockView>,
}

/// Result of finishing sessions after Claude Code has ended.
#[derive(Debug)]
pub struct Finished {
    /// Report of the last push. A session with a lost lock is reported as forked.
    pub report: Report,
    /// Sessions with a lost lock. Their forks are missing in the report if another
    /// command here made them.
    pub lost: BTreeSet<SessionId>,
}

impl ResumeCandidates {
    /// Finds a session by its id or a unique prefix.
    ///
    /// # Errors
    /// [`LookupError`](crate::workspace::lookup::LookupError).
    pub fn find(&self, name: &SessionId) -> Result<SessionId, SyncError> {
        let found = find_session(
            name,
            self.sessions
                .iter()
                .map(|candidate| &candidate.row.session)
                .chain(self.successors.continued()),
        )?;
        Ok(found.ok_or_else(|| LookupScope::Anywhere.no_session(name))?)
    }
}

/// Fetches, and lists the sessions with their locks. An unreachable remote is no error.
///
/// # Errors
/// Errors of the whole command.
pub fn candidates(ctx: &Context<'_>, filter: &ListFilter) -> Result<ResumeCandidates, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let FetchResult { unreached, .. } =
        RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::SessionsAndLocks)?;
    let (mut sessions, successors) = rows_with_locks(&mut workspace, filter)?;
    workspace.save()?;
    if unreached.is_some() {
        sessions.iter_mut().for_each(|session| session.lock = None);
    }
    Ok(ResumeCandidates {
        sessions,
        unreached,
        successors,
    })
}

/// Lists the sessions with their locks as of the last fetch. Waits for nothing.
///
/// # Errors
/// Errors of the whole command.
pub fn candidates_on_disk(
    ctx: &Context<'_>,
    filter: &ListFilter,
) -> Result<Vec<ResumeCandidate>, SyncError> {
    let (sessions, _) = rows_with_locks(&mut Workspace::open_at_once(ctx)?, filter)?;
    Ok(sessions)
}

fn rows_with_locks(
    workspace: &mut Workspace<'_>,
    filter: &ListFilter,
) -> Result<(Vec<ResumeCandidate>, Successors), SyncError> {
    let locks = fetched_lock_table(workspace)?.locks.into_iter();
    let mut locks: BTreeMap<SessionId, LockView> =
        locks.map(|lock| (lock.session.clone(), lock)).collect();
    let SessionRows { rows, successors } = rows(workspace, filter)?;
    let sessions = rows.into_iter().map(|row| ResumeCandidate {
        lock: locks.remove(&row.session),
        row,
    });
    Ok((sessions.collect(), successors))
}

/// Renews all locks of this machine and pushes its sessions, while Claude Code runs.
///
/// # Errors
/// Errors of the whole command. An unreachable remote or a lost lock is in the report.
pub fn back_up(ctx: &Context<'_>) -> Result<Report, SyncError> {
    push_for(ctx, PushReason::BackUp, &Selection::default()).map(|pushed| pushed.report)
}

/// Pushes after Claude Code has ended, and releases the locks of `sessions` in the same
/// push. Also releases locks that a crashed process left. If a lock was lost, the turns
/// of this machine become a fork, which is written here, too.
///
/// # Errors
/// Errors of the whole command.
pub fn finish(ctx: &Context<'_>, sessions: &BTreeSet<SessionId>) -> Result<Finished, SyncError> {
    let pushed = push_for(ctx, PushReason::Finish(sessions), &Selection::default())?;
    let (mut report, lost) = (pushed.report, pushed.lost);
    if !lost.is_empty() {
        match pull(
            ctx,
            &PullRequest {
                sessions: lost.clone(),
                ..PullRequest::default()
            },
        ) {
            Ok(pulled) => add_forks(&mut report, pulled),
            // The next pull writes the fork.
            Err(SyncError::Remote(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Finished {
        report,
        lost: lost.into_iter().collect(),
    })
}

/// Adds the forks that the push has not reported.
fn add_forks(report: &mut Report, pulled: Report) {
    let forked = pulled
        .sessions
        .into_iter()
        .filter(|session| matches!(session.outcome, Outcome::Forked { .. }));
    for session in forked {
        if !report
            .sessions
            .iter()
            .any(|known| known.session == session.session)
        {
            report.sessions.push(session);
        }
    }
}
