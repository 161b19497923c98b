//! Merges a remote whose history was rewritten. What was removed from it stays removed: neither the
//! sessions nor the commits with them are sent again.

use std::collections::BTreeSet;

use crate::domain::{BundleId, CommitId};
use crate::extras::context::load_state;
use crate::flows::merge::{MergePoint, Merged, check_remote, merge_commits, merge_remote};
use crate::flows::purged_objects::{follow_milestones, forget_purged_objects};
use crate::store::{Snapshot, StoreError};
use crate::workspace::{SyncError, Workspace};

/// Moves the head to a commit with everything of the remote's head, as last fetched.
pub(crate) fn merge_fetched(workspace: &mut Workspace<'_>) -> Result<Merged, SyncError> {
    let store = &workspace.store;
    let (Some(former), Some(theirs)) = (store.former_remote_head()?, store.remote_head()?) else {
        return merge_remote(workspace);
    };
    check_remote(workspace, &theirs)?;
    let ours = workspace.store.head()?;
    let merged = merge_rewritten(workspace, ours, &former, &theirs)?;
    workspace.records.index.follow(&workspace.store)?;
    Ok(merged)
}

/// Merges what this machine has not sent yet with `theirs`, the rewritten head of the remote, which
/// was at `former` before.
fn merge_rewritten(
    workspace: &mut Workspace<'_>,
    ours: Option<CommitId>,
    former: &CommitId,
    theirs: &CommitId,
) -> Result<Merged, SyncError> {
    let is_purge = workspace.store.replacement(theirs, former)?.is_some();
    let removed = record_purged(workspace, former, theirs)?;
    let store = &workspace.store;
    let mut merged = match ours {
        Some(ours) if !store.contains(former, &ours)? => {
            let point = MergePoint::Rewritten(former.clone());
            let unsent = store.commits_beyond(&ours, former)?;
            let merged = merge_commits(workspace, &ours, theirs, point)?;
            follow_milestones(workspace, &unsent, theirs)?;
            merged
        }
        _ => {
            store.fast_forward(theirs)?;
            Merged::default()
        }
    };
    if is_purge {
        merged.was_purged = true;
        forget_purged_objects(workspace)?;
    } else {
        merged.purged = Some(removed);
    }
    workspace.store.set_former_remote_head(None)?;
    Ok(merged)
}

/// Records what `former` has and `theirs` has not any more. Returns the number of sessions.
fn record_purged(
    workspace: &mut Workspace<'_>,
    former: &CommitId,
    theirs: &CommitId,
) -> Result<u64, SyncError> {
    let store = &workspace.store;
    let (then, now) = (store.snapshot(Some(former))?, store.snapshot(Some(theirs))?);
    let mut purged = Vec::new();
    for session in now.changed_since(&then)? {
        if let Some(state) = then.state(&session)?
            && !now.is_deleted(&session)?
            && !now.continues(&then, &session)?
        {
            purged.push((session, state));
        }
    }
    let number = purged.len() as u64;
    for (session, state) in purged {
        workspace.records.purged.insert(session, state);
    }
    workspace.records.purged.save()?;

    let files = purged_extras(&then, &now)?;
    if !files.is_empty() {
        let mut state = load_state(workspace, store.head()?.as_ref());
        state.record_purged(files);
        state.save()?;
    }
    Ok(number)
}

/// Returns the files of bundles that are not in `now` any more, as paths in the store.
fn purged_extras(then: &Snapshot<'_>, now: &Snapshot<'_>) -> Result<BTreeSet<String>, StoreError> {
    let current = now.bundles()?;
    let mut files = BTreeSet::new();
    for (id, state) in then.bundles()? {
        if current.get(&id) == Some(&state) {
            continue;
        }
        let (Ok(Some(old)), new) = (then.bundle(&id), now.bundle(&id)) else {
            continue;
        };
        let new = new.ok().flatten();
        let is_gone = |name| {
            new.as_ref()
                .is_none_or(|new| !new.files.contains_key(name) && !new.removed.contains_key(name))
        };
        let gone = old.files.keys().filter(|name| is_gone(*name));
        files.extend(gone.map(|name| purged_name(&id, name.as_str())));
    }
    Ok(files)
}

/// Returns the key of a purged file of a bundle.
fn purged_name(bundle: &BundleId, name: &str) -> String {
    format!("{bundle}/{name}")
}
