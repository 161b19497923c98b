//! The sessions that can be continued here.
//!
//! `leasing` acquires the lock, `flows::pull` pulls the session, `keeper` keeps it.

use std::collections::BTreeMap;

use crate::browse::{list::ListFilter, list::SessionRow, list::SessionRows, list::rows};
use crate::domain::{SessionId, Successors};
use crate::flows::{FetchMode, RemoteSync, remote_sync::FetchResult};
use crate::leasing::{LockView, lock_table::fetched_lock_table};
use crate::workspace::{Context, LookupScope, SyncError, Workspace, lookup::find_session};

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
