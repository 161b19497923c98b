//! Gives the remote a new sealed history of the commits that it has: a plain store becomes
//! encrypted, or an encrypted one gets a new key.
//!
//! The new commits are sealed in a mirror of their own, which takes the place of the former one
//! when the remote has them. A process that is killed before leaves the store as it was. One that
//! is killed after it leaves a machine that has the new key, and follows the remote.

use std::collections::BTreeMap;
use std::io;

use crate::domain::{CommitId, url::RemoteUrl};
use crate::encryption::{StoreHeader, StoreKey};
use crate::flows::{FetchMode, RemoteSync};
use crate::store::{BRANCH, CommitPlace, LOCK_BRANCHES, Mirror, lock_ref, record_header};
use crate::sys::{fail_point::fail_point, fs::PathError};
use crate::transport::{GitCli, PushOutcome, RefUpdate, RemoteError, remote::ObjectNames};
use crate::workspace::{
    SyncError, Workspace, paths::mirror_path, paths::next_mirror_path, paths::store_path,
    store_key::adopt_next_key, store_key::next_key_path, store_key::save_key,
};

/// Number of times that other machines may be faster.
const MAX_ATTEMPTS: u32 = 10;

const BRANCHES: &str = "refs/heads/";

/// The header and the key of a new history.
pub(crate) struct NewHistory {
    pub(crate) header: StoreHeader,
    pub(crate) key: StoreKey,
}

/// Replaces the history of the remote, and removes all other branches of ccsync from it. Returns
/// true if the remote has nothing of the former history any more.
pub(crate) fn replace_history(
    workspace: &mut Workspace<'_>,
    new: &NewHistory,
) -> Result<bool, SyncError> {
    save_key(&next_key_path(workspace.ctx.env), &new.key)?;
    fail_point("a new key is saved");
    for _ in 0..MAX_ATTEMPTS {
        RemoteSync::new(workspace).fetch(FetchMode::SessionsAndLocks)?;
        let mut mirror = next_mirror(workspace, new)?;
        let git = workspace.git_at(mirror.git_dir())?;
        let former = git.refs()?;
        let seen = workspace.remote()?.refs()?.remove(&branch_ref(BRANCH));
        if seen != workspace.store.remote_head()? {
            continue;
        }
        let updates = updates(workspace, &mut mirror, |name| former.get(name).cloned())?;
        let objects = former_objects(&git, &former)?;
        let removed = former.into_iter().filter(|(name, _)| is_lock(name));
        let removed = removed.map(|(name, expected)| RefUpdate {
            name,
            new: None,
            expected: Some(expected),
        });
        let updates = updates.into_iter().chain(removed).collect::<Vec<_>>();
        fail_point("before the new history is sent");
        if push(&git, &updates)? == PushOutcome::Done {
            fail_point("the new history is sent");
            adopt(workspace, new, mirror, &updates)?;
            // The former history stays there if that fails, as with any other remote.
            return Ok(drop_objects(&git, &objects).unwrap_or(false));
        }
    }
    Err(SyncError::from(RemoteError::TooManyPushes))
}

/// Lists the objects of ccsync's branches in a remote that is a directory; nothing for any other.
fn former_objects(
    git: &GitCli,
    former: &BTreeMap<String, CommitId>,
) -> Result<Vec<ObjectNames>, RemoteError> {
    let own = |name: &str| is_lock(name) || name == branch_ref(BRANCH);
    let commits = former.iter().filter(|(name, _)| own(name));
    let objects = commits.map(|(_, commit)| git.objects_of_remote(commit));
    objects.filter_map(Result::transpose).collect()
}

/// Removes what no branch of the remote needs any more. Returns false for a remote that is not a
/// directory.
fn drop_objects(git: &GitCli, objects: &[ObjectNames]) -> Result<bool, RemoteError> {
    for objects in objects {
        git.drop_from_remote(BRANCH, objects)?;
    }
    Ok(!objects.is_empty())
}

/// Sends a sealed history to an empty repository, which becomes the remote of this machine.
pub(crate) fn begin_history(
    workspace: &mut Workspace<'_>,
    new: &NewHistory,
    remote: RemoteUrl,
) -> Result<PushOutcome, SyncError> {
    save_key(&next_key_path(workspace.ctx.env), &new.key)?;
    let mut mirror = next_mirror(workspace, new)?;
    let git = workspace.git_for(mirror.git_dir(), remote);
    let updates = updates(workspace, &mut mirror, |_| None)?;
    let outcome = git.push(&updates)?;
    if outcome == PushOutcome::Done {
        adopt(workspace, new, mirror, &updates)?;
    }
    Ok(outcome)
}

/// Opens an empty mirror for the new history.
fn next_mirror(workspace: &Workspace<'_>, new: &NewHistory) -> Result<Mirror, SyncError> {
    let path = next_mirror_path(workspace.ctx.env);
    remove_directory(&path)?;
    let author = workspace.ctx.settings.author.clone();
    Ok(Mirror::open(&path, new.header.clone(), &new.key, author)?)
}

/// Seals the head and the locks. `former` returns the present commit of a branch of the remote.
fn updates(
    workspace: &Workspace<'_>,
    mirror: &mut Mirror,
    former: impl Fn(&str) -> Option<CommitId>,
) -> Result<Vec<RefUpdate>, SyncError> {
    let store = &workspace.store;
    let head = store.head()?;
    let mut updates = Vec::new();
    if let Some(head) = &head {
        let name = branch_ref(BRANCH);
        updates.push(RefUpdate {
            expected: former(&name),
            new: Some(mirror.seal(store, head, CommitPlace::History)?),
            name,
        });
    }
    for (session, commit) in store.locks()?.locks {
        // A branch that could not be unsealed has the head in place of a lock.
        if Some(&commit) == head.as_ref() {
            continue;
        }
        let name = lock_ref(&session);
        let branch = name.strip_prefix(BRANCHES).unwrap_or(&name);
        updates.push(RefUpdate {
            name: branch_ref(&mirror.remote_name(branch)),
            new: Some(mirror.seal(store, &commit, CommitPlace::Branch(branch))?),
            expected: None,
        });
    }
    Ok(updates)
}

/// Moves all branches at once, or first that of the sessions if the remote cannot do that.
fn push(git: &GitCli, updates: &[RefUpdate]) -> Result<PushOutcome, SyncError> {
    let (history, locks) = updates.split_at(updates.len().min(1));
    if locks.is_empty() || git.knows_atomic(&updates[0])? {
        return Ok(git.push(updates)?);
    }
    let outcome = git.push(history)?;
    if outcome == PushOutcome::Done {
        for lock in locks {
            git.push(std::slice::from_ref(lock))?;
        }
    }
    Ok(outcome)
}

/// Makes the new mirror and the new key those of this machine.
fn adopt(
    workspace: &mut Workspace<'_>,
    new: &NewHistory,
    mirror: Mirror,
    updates: &[RefUpdate],
) -> Result<(), SyncError> {
    for update in updates {
        let branch = update.name.strip_prefix(BRANCHES).unwrap_or(&update.name);
        mirror.record_pushed(branch, update.new.as_ref())?;
    }
    drop(mirror);
    let env = workspace.ctx.env;
    let (next, path) = (next_mirror_path(env), mirror_path(env));
    remove_directory(&path)?;
    fail_point("the former mirror is removed");
    std::fs::rename(&next, &path).map_err(|e| PathError::new("write", &path, e))?;
    record_header(&store_path(env), &path, &new.header)?;
    fail_point("the new mirror is in its place");
    adopt_next_key(env, &new.key)?;
    let head = workspace.store.head()?;
    Ok(workspace.store.set_remote_head(head.as_ref())?)
}

fn branch_ref(branch: &str) -> String {
    format!("{BRANCHES}{branch}")
}

fn is_lock(name: &str) -> bool {
    let branch = name.strip_prefix(BRANCHES);
    branch.is_some_and(|branch| branch.starts_with(LOCK_BRANCHES))
}

fn remove_directory(path: &std::path::Path) -> Result<(), PathError> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(PathError::new("remove", path, e)),
        _ => Ok(()),
    }
}
