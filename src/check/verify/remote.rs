//! Compares the store with the head of the remote.

use crate::domain::{CommitId, Phase};
use crate::report::RemoteStatus;
use crate::store::{BRANCH, Snapshot};
use crate::workspace::{SyncError, Workspace};

/// The remote's head, and how it compares with the store.
pub(super) struct RemoteAnswer {
    pub(super) status: RemoteStatus,
    /// `None`: the remote is empty or was not reached.
    pub(super) head: Option<CommitId>,
    /// The compared commit of the remote: its head if that is here, else the last fetched
    /// one.
    pub(super) compared: Option<CommitId>,
}

pub(super) fn ask_remote(workspace: &Workspace<'_>) -> Result<RemoteAnswer, SyncError> {
    workspace.ctx.progress.begin(Phase::Fetch, 0, 0);
    let refs = workspace.remote().and_then(|remote| Ok(remote.refs()?));
    workspace.ctx.progress.end();
    let head = workspace.store.head()?;
    let known = workspace.store.remote_head()?;
    let now = match refs {
        Ok(mut refs) => refs.remove(&format!("refs/heads/{BRANCH}")),
        Err(SyncError::Remote(e)) => {
            let reason = e.in_one_line();
            let commits = count_unpushed(workspace, head.as_ref(), known.as_ref())?;
            return Ok(RemoteAnswer {
                status: RemoteStatus::NotReached { reason, commits },
                head: None,
                compared: known,
            });
        }
        Err(e) => return Err(e),
    };
    let status = remote_status(workspace, head.as_ref(), known.as_ref(), now.as_ref())?;
    let is_here = now
        .as_ref()
        .is_none_or(|now| workspace.store.has_commit(now));
    Ok(RemoteAnswer {
        status,
        compared: if is_here { now.clone() } else { known },
        head: now,
    })
}

fn remote_status(
    workspace: &Workspace<'_>,
    head: Option<&CommitId>,
    known: Option<&CommitId>,
    now: Option<&CommitId>,
) -> Result<RemoteStatus, SyncError> {
    let store = &workspace.store;
    let lost = match (known, now) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(known), Some(now)) => store.has_commit(now) && !store.contains(now, known)?,
    };
    if lost {
        return Ok(RemoteStatus::Lost {
            commit: now.cloned(),
            commits: count_unpushed(workspace, head, now)?,
        });
    }
    Ok(match (head, now) {
        (None, None) => RemoteStatus::UpToDate { commit: None },
        (Some(_), None) => RemoteStatus::Behind {
            commit: None,
            commits: count_unpushed(workspace, head, None)?,
        },
        (Some(head), Some(now)) if head == now => {
            let commit = now.clone();
            match workspace.ctx.settings.remote {
                Some(_) => RemoteStatus::UpToDate {
                    commit: Some(commit),
                },
                None => RemoteStatus::SavedOnDisk { commit },
            }
        }
        (Some(head), Some(now)) if store.has_commit(now) && store.contains(head, now)? => {
            RemoteStatus::Behind {
                commit: Some(now.clone()),
                commits: count_unpushed(workspace, Some(head), Some(now))?,
            }
        }
        (_, Some(now)) => {
            let common = if store.has_commit(now) {
                Some(now)
            } else {
                known
            };
            RemoteStatus::Ahead {
                commit: now.clone(),
                commits: count_unpushed(workspace, head, common)?,
            }
        }
    })
}

/// Returns the number of commits that are not pushed yet.
fn count_unpushed(
    workspace: &Workspace<'_>,
    head: Option<&CommitId>,
    theirs: Option<&CommitId>,
) -> Result<u64, SyncError> {
    head.map_or(Ok(0), |head| {
        Ok(workspace.store.count_commits_beyond(head, theirs)?)
    })
}

/// Returns the newest commit that the store and the remote share.
pub(super) fn common_base<'w>(
    workspace: &'w Workspace<'_>,
    theirs: Option<&CommitId>,
) -> Result<Snapshot<'w>, SyncError> {
    let base = match (workspace.store.head()?, theirs) {
        (Some(head), Some(theirs)) => workspace.store.merge_base(&head, theirs)?,
        _ => None,
    };
    Ok(workspace.store.snapshot(base.as_ref())?)
}

/// Runs `git fsck` on a remote on this disk. A server checks its own.
pub(super) fn remote_damage(
    workspace: &Workspace<'_>,
    head: &CommitId,
) -> Result<Option<String>, SyncError> {
    match workspace.remote()?.check_objects(head) {
        Ok(checked) => Ok(checked.and_then(Result::err)),
        Err(e) => Err(e.into()),
    }
}
