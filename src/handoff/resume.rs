//! Continuing a session under its lock: what there is to choose from, keeping it safe while a client runs, and giving it back.
//!
//! Taking the lock is `locks`' business, bringing the session here `pull`'s. Must not start the client.

use std::collections::{BTreeMap, BTreeSet};

use crate::browse::list::{ListFilter, SessionRow, rows};
use crate::domain::id::SessionId;
use crate::flows::pull::{PullRequest, pull};
use crate::flows::push::{PushReason, push_for};
use crate::flows::remote_sync::fetch_if_reached;
use crate::leasing::lock_table::fetched_lock_table;
use crate::leasing::view::LockView;
use crate::report::transfer::{Outcome, Report};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::filter::Selection;
use crate::workspace::lookup::session_named;
use crate::workspace::open::Workspace;

/// The sessions that could be continued here.
#[derive(Debug)]
pub struct Candidates {
    /// The newest first.
    pub sessions: Vec<Candidate>,
    /// Why the remote was not reached; then the sessions are those that lie here, and nothing is known of locks.
    pub unreached: Option<String>,
}

/// A session that could be continued here.
#[derive(Debug)]
pub struct Candidate {
    /// What is known of it.
    pub row: SessionRow,
    /// Who holds it.
    pub lock: Option<LockView>,
}

/// What became of sessions that a client has ended with.
#[derive(Debug)]
pub struct Finished {
    /// The last push. A session whose lock was lost is in it as forked.
    pub report: Report,
    /// Sessions whose lock somebody else took. Their forks are not in the report if another command on this machine has made them already.
    pub lost: BTreeSet<SessionId>,
}

impl Candidates {
    /// The session of this id, or whose id alone begins so.
    ///
    /// # Errors
    /// [`SyncError::Nowhere`], [`SyncError::AmbiguousName`].
    pub fn named(&self, name: &SessionId) -> Result<SessionId, SyncError> {
        let found = session_named(
            name,
            self.sessions.iter().map(|candidate| &candidate.row.session),
        )?;
        found.ok_or_else(|| SyncError::Nowhere {
            session: name.clone(),
        })
    }
}

/// Fetches, and lists the sessions with their locks. A remote that cannot be reached is an answer here.
///
/// # Errors
/// What concerns the whole command.
pub fn candidates(ctx: &Context<'_>, filter: &ListFilter) -> Result<Candidates, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    workspace.with_locks = true;
    let (_, unreached) = fetch_if_reached(&mut workspace)?;
    let mut locks: BTreeMap<SessionId, LockView> = match unreached {
        None => fetched_lock_table(&workspace)?
            .locks
            .into_iter()
            .map(|lock| (lock.session.clone(), lock))
            .collect(),
        Some(_) => BTreeMap::new(),
    };
    // Without the remote, only what lies here can be continued.
    let rows = rows(
        &mut workspace,
        &ListFilter {
            remote: unreached.is_none(),
            ..filter.clone()
        },
    )?;
    workspace.save()?;
    let sessions = rows
        .into_iter()
        .map(|row| Candidate {
            lock: locks.remove(&row.session),
            row,
        })
        .collect();
    Ok(Candidates {
        sessions,
        unreached,
    })
}

/// While a client runs: gives a sign of life for every lock of this machine, together with what is new in its sessions.
///
/// # Errors
/// What concerns the whole command. That the remote was not reached, or a lock was lost, is in the report.
pub fn back_up(ctx: &Context<'_>) -> Result<Report, SyncError> {
    push_for(ctx, PushReason::BackUp, &Selection::default()).map(|(report, _)| report)
}

/// After a client has ended: pushes, and gives the locks of `sessions` back together with the last of their data, as those that a killed
/// process left. Where a lock was lost, the turns of this machine become a session of their own, here too.
///
/// # Errors
/// What concerns the whole command.
pub fn finish(ctx: &Context<'_>, sessions: &BTreeSet<SessionId>) -> Result<Finished, SyncError> {
    let (mut report, lost) = push_for(ctx, PushReason::Finish(sessions), &Selection::default())?;
    if !lost.is_empty() {
        match pull(
            ctx,
            &PullRequest {
                sessions: lost.clone(),
                ..PullRequest::default()
            },
        ) {
            Ok(pulled) => add_forks(&mut report, pulled),
            // What is to be written here waits for the next pull.
            Err(SyncError::Remote(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Finished {
        report,
        lost: lost.into_iter().collect(),
    })
}

/// The forks that the push has not named already.
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
