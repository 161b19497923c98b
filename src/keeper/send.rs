//! Pushes of a keeper: backups, and the last turns with the release of the locks.

use std::collections::BTreeSet;

use crate::domain::SessionId;
use crate::flows::{PullRequest, pull::pull, push::PushReason, push::Pushed, push::push_for};
use crate::report::{Outcome, Report};
use crate::workspace::{Context, Selection, SyncError};

/// Pushes the sessions of this machine, while Claude Code runs.
///
/// # Errors
/// Errors of the whole command. An unreachable remote or a lost lock is in the report.
pub fn push(ctx: &Context<'_>) -> Result<Pushed, SyncError> {
    push_for(ctx, PushReason::Push, &Selection::default())
}

/// Pushes like [`push`], and renews all locks of this machine.
///
/// # Errors
/// Errors of the whole command. An unreachable remote or a lost lock is in the report.
pub fn back_up(ctx: &Context<'_>) -> Result<Pushed, SyncError> {
    push_for(ctx, PushReason::BackUp, &Selection::default())
}

/// Pushes after Claude Code has ended, and releases the locks of `sessions` in the same
/// push. Also releases locks that a crashed process left. If a lock was lost, the turns
/// of this machine become a fork, which is written here, too.
///
/// # Errors
/// Errors of the whole command.
pub fn finish(ctx: &Context<'_>, sessions: &BTreeSet<SessionId>) -> Result<Pushed, SyncError> {
    let mut pushed = push_for(ctx, PushReason::Finish(sessions), &Selection::default())?;
    if !pushed.lost.is_empty() {
        let request = PullRequest {
            sessions: pushed.lost.iter().cloned().collect(),
            ..PullRequest::default()
        };
        match pull(ctx, &request) {
            Ok(pulled) => add_forks(&mut pushed.report, pulled),
            // The next pull writes the fork.
            Err(SyncError::Remote(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(pushed)
}

/// Adds the forks that the push has not reported.
fn add_forks(report: &mut Report, pulled: Report) {
    for session in pulled.sessions {
        let is_fork = matches!(session.outcome, Outcome::Forked { .. });
        if is_fork && report.session_mut(&session.session).is_none() {
            report.sessions.push(session);
        }
    }
}
