//! The remote: fetch and merge, push and try again.
//!
//! The branch moves only by compare-and-swap. A push that is refused means that another machine was first: its work is
//! fetched and merged session by session, and the push is tried again.

use std::time::Duration;

use crate::domain::id::CommitId;
use crate::domain::progress::Phase;
use crate::flows::merge::{Merged, holds_lost, merge, take_over, unsent_sessions};
use crate::report::transfer::RemoteState;
use crate::store::{Author, BRANCH, LOCK_BRANCHES};
use crate::sys::fail_point::fail_point;
use crate::sys::set_aside::damaged_names;
use crate::transport::git_cli::GitCli;
use crate::transport::remote::{PushOutcome, RefUpdate, RemoteError};
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::store_path;

/// How often a refused push is merged and tried again before the work is left queued.
const ATTEMPTS: u32 = 30;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a fetch asks the remote for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchMode {
    /// The sessions; the locks only if this machine holds one.
    Sessions,
    /// The sessions, and the locks of all machines.
    SessionsAndLocks,
}

/// The result of a fetch that may go without the remote.
#[derive(Default)]
pub(crate) struct FetchResult {
    pub(crate) merged: Merged,
    /// Why the remote could not be reached, in one line.
    pub(crate) unreached: Option<String>,
}

/// Fetches what other machines pushed, and merges it.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached.
pub(crate) fn fetch(workspace: &mut Workspace<'_>, mode: FetchMode) -> Result<Merged, SyncError> {
    let remote = workspace.remote()?;
    let before = workspace.store.head()?;
    fetch_refs(workspace, &remote, mode)?;
    let mut merged = merge(workspace)?;
    if before.is_none() {
        merged.add(take_over_damaged(workspace)?);
    }
    if workspace.store.head()? != before {
        workspace.refresh_machines()?;
    }
    Ok(merged)
}

/// As [`fetch`], but an unreachable remote is no error.
pub(crate) fn fetch_if_reached(
    workspace: &mut Workspace<'_>,
    mode: FetchMode,
) -> Result<FetchResult, SyncError> {
    match fetch(workspace, mode) {
        Ok(merged) => Ok(FetchResult {
            merged,
            unreached: None,
        }),
        Err(SyncError::Remote(e)) => Ok(FetchResult {
            merged: Merged::default(),
            unreached: Some(in_one_line(&e)),
        }),
        Err(e) => Err(e),
    }
}

/// Fetches if the store has no commit: it is new or was lost, and what the remote holds comes first.
///
/// If the remote cannot be reached, everything is stored as new; a later merge finds what was there.
pub(crate) fn fetch_before_push(workspace: &mut Workspace<'_>) -> Result<(), SyncError> {
    if workspace.store.head()?.is_none() {
        fetch_if_reached(workspace, FetchMode::Sessions)?;
    }
    Ok(())
}

/// Takes over what only a former clone has, which was damaged and moved away. What of it can be read is merged as if this
/// one had never been away; a clone from which nothing is to be had stays where it is.
fn take_over_damaged(workspace: &mut Workspace<'_>) -> Result<Merged, SyncError> {
    let mut merged = Merged::default();
    for former in
        damaged_names(&store_path(workspace.ctx.env)).filter(|path| path.join(".git").is_dir())
    {
        workspace.store.add_alternate(&former)?;
        let remote = workspace.remote_at(&former)?;
        let seen = workspace.store.remote_head()?;
        let fetched = remote.fetch(BRANCH);
        workspace.store.set_remote_head(seen.as_ref())?;
        if let Ok(Some(unsent)) = fetched {
            merged.add(take_over(workspace, unsent)?);
        }
    }
    Ok(merged)
}

/// Pushes what is committed here, merging what others pushed meanwhile.
///
/// A remote that cannot be reached is no error: the commits stay, and the next command sends them.
pub(crate) fn send(workspace: &mut Workspace<'_>) -> Result<(RemoteState, Merged), SyncError> {
    let mut merged = Merged::default();
    if workspace.store.count_unpushed()? == 0 && !workspace.locks.wait_to_be_sent() {
        return Ok((RemoteState::NotContacted, merged));
    }
    let remote = workspace.remote()?;
    if workspace.locks.are_unsettled() {
        match fetch_from(workspace, &remote) {
            Ok(more) => merged.add(more),
            Err(SyncError::Remote(e)) => return queued(workspace, &e).map(|state| (state, merged)),
            Err(e) => return Err(e),
        }
    } else if !contains_remote_head(workspace)? || holds_lost(workspace)? {
        // An earlier run fetched and could not merge. A push that expects what it fetched would succeed, and lose it.
        merged.add(merge(workspace)?);
    }
    for attempt in 0..ATTEMPTS {
        match try_push(workspace, &remote) {
            // A lock that could not be given back before an earlier answer was known.
            Ok(PushOutcome::Done) if workspace.locks.wait_to_be_sent() => continue,
            Ok(PushOutcome::Done) => {
                return Ok((
                    RemoteState::UpToDate {
                        commit: workspace.store.head()?,
                    },
                    merged,
                ));
            }
            Ok(PushOutcome::Refused { .. }) => match fetch_from(workspace, &remote) {
                Ok(more) => merged.add(more),
                Err(SyncError::Remote(e)) => {
                    return queued(workspace, &e).map(|state| (state, merged));
                }
                Err(e) => return Err(e),
            },
            Err(SyncError::Remote(e)) => return queued(workspace, &e).map(|state| (state, merged)),
            Err(e) => return Err(e),
        }
        workspace.ctx.clock.sleep(pause(attempt));
    }
    let reason = format!("other machines were faster {ATTEMPTS} times in a row");
    Ok((
        RemoteState::Queued {
            commits: workspace.store.count_unpushed()?,
            reason,
        },
        merged,
    ))
}

/// As [`send`], after a fetch in the same command: if nothing waits, the remote has just said that it has everything.
pub(crate) fn push_remaining_refs(
    workspace: &mut Workspace<'_>,
) -> Result<(RemoteState, Merged), SyncError> {
    match send(workspace)? {
        (RemoteState::NotContacted, merged) => Ok((
            RemoteState::UpToDate {
                commit: workspace.store.remote_head()?,
            },
            merged,
        )),
        sent => Ok(sent),
    }
}

fn contains_remote_head(workspace: &Workspace<'_>) -> Result<bool, SyncError> {
    match (workspace.store.head()?, workspace.store.remote_head()?) {
        (_, None) => Ok(true),
        (None, Some(_)) => Ok(false),
        (Some(head), Some(theirs)) => Ok(workspace.store.contains(&head, &theirs)?),
    }
}

/// The data and the locks that guard it move together or not at all.
fn try_push(workspace: &mut Workspace<'_>, remote: &GitCli) -> Result<PushOutcome, SyncError> {
    let (head, there) = (workspace.store.head()?, workspace.store.remote_head()?);
    let locks = locks_with(workspace, head.as_ref(), there.as_ref())?;
    let name = format!("refs/heads/{BRANCH}");
    // The data first: where the disk of the remote fails between one and the next, the lock still guards what is there.
    let data = (head != there).then(|| RefUpdate {
        name,
        new: head.clone(),
        expected: there,
    });
    let updates: Vec<RefUpdate> = data.into_iter().chain(locks).collect();
    workspace.ctx.progress.begin(Phase::Send, 0, 0);
    fail_point("before a push to the remote");
    let outcome = remote.push(&updates);
    fail_point("after a push to the remote");
    workspace.ctx.progress.end();
    let outcome = outcome?;
    if outcome == PushOutcome::Done {
        workspace.store.set_remote_head(head.as_ref())?;
        workspace.locks.done(&workspace.store)?;
    }
    Ok(outcome)
}

/// What becomes of this machine's locks in a push of what is new since `there`.
fn locks_with(
    workspace: &mut Workspace<'_>,
    head: Option<&CommitId>,
    there: Option<&CommitId>,
) -> Result<Vec<RefUpdate>, SyncError> {
    if workspace.locks.is_empty() {
        return Ok(Vec::new());
    }
    let changed = workspace
        .store
        .snapshot(head)?
        .changed_since(&workspace.store.snapshot(there)?)?;
    let author = Author {
        machine: &workspace.machine,
        time: workspace.ctx.clock.now(),
    };
    workspace.locks.updates(&workspace.store, &author, &changed)
}

fn fetch_from(workspace: &mut Workspace<'_>, remote: &GitCli) -> Result<Merged, SyncError> {
    fetch_refs(workspace, remote, FetchMode::Sessions)?;
    merge(workspace)
}

/// Fetches, and settles what was not known of this machine's locks. Merges nothing.
pub(crate) fn fetch_refs(
    workspace: &mut Workspace<'_>,
    remote: &GitCli,
    mode: FetchMode,
) -> Result<(), SyncError> {
    workspace.ctx.progress.begin(Phase::Fetch, 0, 0);
    fail_point("before a fetch");
    // A machine that holds locks has to learn whether it still does.
    let with_locks = mode == FetchMode::SessionsAndLocks || !workspace.locks.is_empty();
    let fetched = if with_locks {
        remote.fetch_with(BRANCH, LOCK_BRANCHES)
    } else {
        remote.fetch(BRANCH)
    };
    fail_point("after a fetch");
    workspace.ctx.progress.end();
    let fetched = fetched?;
    workspace.store.set_remote_head(fetched.as_ref())?;
    if with_locks {
        let unsent = unsent_sessions(workspace)?;
        workspace.locks.settle(&workspace.store, &unsent)?;
    }
    Ok(())
}

/// Random, growing, bounded: machines that collided once should not collide again.
fn pause(attempt: u32) -> Duration {
    let longest = Duration::from_millis(50 << attempt.min(6)).min(LONGEST_PAUSE);
    longest.mul_f64(fastrand::f64())
}

/// The committed work waits here.
pub(crate) fn queued(
    workspace: &Workspace<'_>,
    error: &RemoteError,
) -> Result<RemoteState, SyncError> {
    Ok(RemoteState::Queued {
        commits: workspace.store.count_unpushed()?,
        reason: in_one_line(error),
    })
}

/// What is wrong with the remote, and the first line of what git said of it.
pub(crate) fn in_one_line(error: &RemoteError) -> String {
    let said = error
        .said()
        .map(|said| format!(": {}", first_line(said.as_str())))
        .unwrap_or_default();
    format!("{error}{said}")
}

pub(crate) fn first_line(text: &str) -> &str {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}
