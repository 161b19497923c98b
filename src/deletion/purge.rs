//! Removes deleted sessions from the history of the store: here, on the remote and, with their
//! next command, on the other machines.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::deletion::error::DeletionError;
use crate::domain::{CommitId, SessionId};
use crate::flows::{FetchMode, RemoteSync, purged_objects::forget_purged_objects};
use crate::remote::Remote;
use crate::report::{RemoteState, count::count};
use crate::store::{BRANCH, PurgedHistory};
use crate::sys::fail_point::fail_point;
use crate::transport::{PushOutcome, RefUpdate, RemoteError};
use crate::workspace::{Context, SyncError, Workspace};

/// Maximum number of attempts while other machines push.
const ATTEMPTS: u32 = 10;

/// Result of a purge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// The deleted sessions that the history still had.
    pub sessions: Vec<PurgedSession>,
    /// Number of commits that were written again.
    pub commits: u64,
    /// True if the remote is a directory of this machine, and has dropped the objects, too.
    pub remote_dropped: bool,
    /// True if this is a plan: nothing was done.
    pub dry_run: bool,
    /// State of the remote.
    pub remote: RemoteState,
}

/// A deleted session that the history has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PurgedSession {
    /// The session.
    pub session: SessionId,
    /// Bytes of all its states in the store, without what other sessions share.
    pub bytes: u64,
}

/// Returns what a purge would remove, as of a fetch.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached.
pub fn plan(ctx: &Context<'_>) -> Result<PurgeReport, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch(FetchMode::Sessions)?;
    let report = PurgeReport {
        sessions: sessions(&workspace)?,
        dry_run: true,
        ..PurgeReport::default()
    };
    workspace.save()?;
    Ok(report)
}

fn sessions(workspace: &Workspace<'_>) -> Result<Vec<PurgedSession>, SyncError> {
    let measured = workspace.store.measure_deleted()?.into_iter();
    Ok(measured
        .map(|(session, bytes)| PurgedSession { session, bytes })
        .collect())
}

/// Removes the deleted sessions from the history.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached; [`DeletionError`] if it does not let its
/// history be rewritten, or if this machine has commits that cannot be sent.
pub fn purge(ctx: &Context<'_>) -> Result<PurgeReport, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    for _ in 0..ATTEMPTS {
        RemoteSync::new(&mut workspace).fetch(FetchMode::SessionsAndLocks)?;
        let state = send_everything(&mut workspace)?;
        let sessions = sessions(&workspace)?;
        if sessions.is_empty() {
            // A purge that was interrupted may have left something.
            let remote_dropped = drop_there(&workspace)?;
            workspace.save()?;
            return Ok(PurgeReport {
                remote_dropped,
                remote: state,
                ..PurgeReport::default()
            });
        }
        let ids = sessions.iter().map(|it| it.session.clone()).collect();
        let Some(purged) = write(&workspace, &ids)? else {
            continue;
        };
        let remote = workspace.remote()?;
        let there = remote.refs()?.remove(&format!("refs/heads/{BRANCH}"));
        workspace.store.set_undropped(there.as_ref())?;
        if !send(&workspace, &remote, &purged)? {
            continue;
        }
        follow(&mut workspace, &purged)?;
        fail_point("a purge is followed");
        let remote_dropped = drop_there(&workspace)?;
        workspace.save()?;
        return Ok(PurgeReport {
            sessions,
            commits: purged.replaced(),
            remote_dropped,
            dry_run: false,
            remote: match ctx.settings.remote {
                Some(_) => RemoteState::UpToDate {
                    commit: Some(purged.head),
                },
                None => RemoteState::SavedOnDisk {
                    commit: Some(purged.head),
                },
            },
        });
    }
    Err(DeletionError::Contended.into())
}

/// Sends what this machine has: its commits are rewritten with the others.
fn send_everything(workspace: &mut Workspace<'_>) -> Result<RemoteState, SyncError> {
    let state = RemoteSync::new(workspace).push_remaining()?.state;
    match state {
        RemoteState::Queued { reason, .. } | RemoteState::Refused { reason, .. } => {
            Err(DeletionError::NotSent { reason }.into())
        }
        state => Ok(state),
    }
}

fn write(
    workspace: &Workspace<'_>,
    sessions: &BTreeSet<SessionId>,
) -> Result<Option<PurgedHistory>, SyncError> {
    let number = count(sessions.len() as u64, "session");
    let message = format!("purge from {}: {number}", workspace.machine.name);
    let purged = workspace
        .store
        .write_purged(sessions, &workspace.author(), &message)?;
    fail_point("a purge is prepared");
    Ok(purged)
}

/// Lets a remote that is a directory drop what only its former history had. Returns true if it has.
fn drop_there(workspace: &Workspace<'_>) -> Result<bool, SyncError> {
    let Some(former) = workspace.store.undropped() else {
        return Ok(false);
    };
    let remote = workspace.remote()?;
    let is_dropped = match remote.objects_of_remote(&former) {
        Ok(Some(objects)) => remote.drop_from_remote(BRANCH, &objects).is_ok(),
        // It is no directory, or has dropped them.
        Ok(None) | Err(_) => false,
    };
    workspace.store.set_undropped(None)?;
    Ok(is_dropped)
}

/// Replaces the history of the remote. Returns false if another machine was first.
fn send(
    workspace: &Workspace<'_>,
    remote: &Remote,
    purged: &PurgedHistory,
) -> Result<bool, SyncError> {
    let update = RefUpdate {
        name: format!("refs/heads/{BRANCH}"),
        new: Some(purged.head.clone()),
        expected: workspace.store.remote_head()?,
    };
    fail_point("before a purge is sent");
    let outcome = remote.push(&[update]);
    fail_point("a purge is sent");
    match outcome {
        Err(e @ RemoteError::Rejected { .. }) => Err(DeletionError::RewriteRefused {
            reason: e.in_one_line(),
        }
        .into()),
        outcome => Ok(outcome? == PushOutcome::Done),
    }
}

/// Moves this machine to the new history.
fn follow(workspace: &mut Workspace<'_>, purged: &PurgedHistory) -> Result<(), SyncError> {
    let head: &CommitId = &purged.head;
    let store = &workspace.store;
    // After a crash, the next command follows as other machines do.
    store.set_former_remote_head(store.remote_head()?.as_ref())?;
    store.set_remote_head(Some(head))?;
    store.move_kept_refs(purged)?;
    store.fast_forward(head)?;
    forget_purged_objects(workspace)?;
    Ok(workspace.store.set_former_remote_head(None)?)
}
