//! Merges two histories of the store, session by session. There is no textual merge of
//! sessions, and nothing to resolve by hand.
//!
//! The sessions of the remote keep their ids. This machine's additions follow: whole
//! sessions, additional lines, or a fork if both continued differently.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{CommitId, SessionId};
use crate::extras::{bundle_history::BundleHistory, bundle_history::merge_bundles};
use crate::flows::merge_session::{ForkedTail, MergeOutcome, SessionMerge};
use crate::flows::purged_objects::{follow_milestones, forget_purged_objects};
use crate::flows::skip::Attempt;
use crate::report::BundleReport;
use crate::store::{BRANCH, RenamedMilestone, Snapshot, Store, StoreError, Transaction};
use crate::sys::fail_point::fail_point;
use crate::workspace::{SetupError, SyncError, Workspace, paths::remote_url};

/// Why a session is left to the next push: a commit changes a session from one side only. The lines
/// of this machine are still in its files.
const LATER: &str = "it and its fork both changed on two machines: push again";

/// Facts about merges for the report.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// Sessions whose tail from this machine became a fork.
    pub(crate) forks: BTreeMap<SessionId, ForkedTail>,
    /// Sessions that could not be merged, with the reason. The remote keeps its version, and this
    /// machine its files.
    pub(crate) skipped: BTreeMap<SessionId, String>,
    /// Milestones of this machine that another machine had named first.
    pub(crate) renamed: Vec<RenamedMilestone>,
    /// Extras that both sides had changed.
    pub(crate) extras: Vec<BundleReport>,
    /// Sessions that were deleted from the store, and of which this machine had unsent turns.
    pub(crate) deleted: BTreeSet<SessionId>,
    /// The history of the remote was rewritten: the number of sessions that it has not any more.
    pub(crate) purged: Option<u64>,
    /// Deleted sessions were purged from the history.
    pub(crate) was_purged: bool,
    /// Our commits have something that was purged, and are in no history any more.
    pub(crate) drops_commits: bool,
    /// The remote has gone back to an earlier commit.
    pub(crate) has_gone_back: bool,
}

/// The commit since which both sides of a merge have changed, and what becomes of our commits.
pub(crate) enum MergePoint {
    /// The newest common commit. Ours become a part of the history.
    Common,
    /// The head of the remote before its history was rewritten. Ours contain what was removed, so
    /// that they must not become a part of the history.
    Rewritten(CommitId),
}

impl Merged {
    pub(crate) fn add(&mut self, more: Self) {
        self.forks.extend(more.forks);
        self.skipped.extend(more.skipped);
        self.renamed.extend(more.renamed);
        self.extras.extend(more.extras);
        self.deleted.extend(more.deleted);
        self.purged = more.purged.or(self.purged);
        self.was_purged |= more.was_purged;
        self.drops_commits |= more.drops_commits;
        self.has_gone_back |= more.has_gone_back;
    }
}

/// Moves the head to a commit with everything of the remote's head, as last fetched.
pub(crate) fn merge_remote(workspace: &mut Workspace<'_>) -> Result<Merged, SyncError> {
    let Some(theirs) = workspace.store.remote_head()? else {
        return Ok(Merged::default());
    };
    let ours = workspace.store.head()?;
    merge(workspace, ours, &theirs)
}

/// Moves the head to a commit that also has what is new in `ours`, which no machine has pushed.
pub(crate) fn merge_unpushed(
    workspace: &mut Workspace<'_>,
    ours: CommitId,
) -> Result<Merged, SyncError> {
    match workspace.store.head()? {
        Some(theirs) => merge(workspace, Some(ours), &theirs),
        None => merge(workspace, None, &ours),
    }
}

fn merge(
    workspace: &mut Workspace<'_>,
    ours: Option<CommitId>,
    theirs: &CommitId,
) -> Result<Merged, SyncError> {
    check_remote(workspace, theirs)?;
    let merged = match (newest(workspace, ours.as_ref(), theirs)?, ours) {
        (None, Some(ours)) => {
            let merged = merge_commits(workspace, &ours, theirs, MergePoint::Common)?;
            if merged.drops_commits {
                let unsent = workspace.store.commits_beyond(&ours, theirs)?;
                follow_milestones(workspace, &unsent, theirs)?;
                forget_purged_objects(workspace)?;
            }
            merged
        }
        (newest, _) => {
            let newest = newest.unwrap_or_else(|| theirs.clone());
            if workspace.store.head()?.as_ref() != Some(&newest) {
                workspace.store.fast_forward(&newest)?;
            }
            Merged::default()
        }
    };
    workspace.records.index.follow(&workspace.store)?;
    Ok(merged)
}

/// Refuses a head of the remote that is not that of a store.
pub(crate) fn check_remote(workspace: &Workspace<'_>, theirs: &CommitId) -> Result<(), SyncError> {
    // Fails for a store of a newer format, before this machine adopts anything of it.
    let snapshot = workspace.store.snapshot(Some(theirs))?;
    let remote = || {
        let configured = workspace.ctx.settings.remote.as_deref();
        remote_url(workspace.ctx.env, configured).map(|url| url.to_string())
    };
    if snapshot.is_of_claude_session_sync()? {
        let remote = remote()?;
        return Err(SetupError::ForeignStore { remote }.into());
    }
    if let Some(name) = snapshot.foreign_entry()? {
        let error = SetupError::OccupiedRemote {
            remote: remote()?,
            evidence: format!("`{name}` on its branch `{BRANCH}`"),
        };
        return Err(error.into());
    }
    Ok(())
}

/// Returns the commit that contains the other one; `None` if a merge is needed.
///
/// A lost lease needs a merge: the newer local lines must become a fork.
fn newest(
    workspace: &Workspace<'_>,
    ours: Option<&CommitId>,
    theirs: &CommitId,
) -> Result<Option<CommitId>, SyncError> {
    let store = &workspace.store;
    let Some(ours) = ours else {
        return Ok(Some(theirs.clone()));
    };
    let changed = || changed_since_merge_base(store, ours, Some(theirs));
    if workspace.leases.lost_any(changed)? {
        return Ok(None);
    }
    let newest = if store.contains(ours, theirs)? {
        Some(ours)
    } else if store.contains(theirs, ours)? {
        Some(theirs)
    } else {
        None
    };
    Ok(newest.cloned())
}

/// Returns the sessions with commits that the remote did not have at the last fetch.
pub(crate) fn unpushed_sessions(store: &Store) -> Result<BTreeSet<SessionId>, StoreError> {
    match (store.head()?, store.remote_head()?) {
        (Some(ours), theirs) => changed_since_merge_base(store, &ours, theirs.as_ref()),
        (None, _) => Ok(BTreeSet::new()),
    }
}

/// Returns the sessions that changed in `ours` since its merge base with `theirs`.
fn changed_since_merge_base(
    store: &Store,
    ours: &CommitId,
    theirs: Option<&CommitId>,
) -> Result<BTreeSet<SessionId>, StoreError> {
    let base = match theirs {
        Some(theirs) => store.merge_base(ours, theirs)?,
        None => None,
    };
    let base = store.snapshot(base.as_ref())?;
    store.snapshot(Some(ours))?.changed_since(&base)
}

/// Makes a merge commit on top of `theirs`.
pub(crate) fn merge_commits(
    workspace: &Workspace<'_>,
    ours: &CommitId,
    theirs: &CommitId,
    point: MergePoint,
) -> Result<Merged, SyncError> {
    let store = &workspace.store;
    let (base, mut parents) = match point {
        MergePoint::Common => {
            let base = store.merge_base(ours, theirs)?;
            (base, vec![theirs.clone(), ours.clone()])
        }
        MergePoint::Rewritten(former) => (Some(former), vec![theirs.clone()]),
    };
    let base = store.snapshot(base.as_ref())?;
    let our_side = store.snapshot(Some(ours))?;
    let their_side = store.snapshot(Some(theirs))?;
    let histories = BundleHistory {
        base: &base,
        ours: &our_side,
        theirs: &their_side,
    };
    let mut tx = store.begin(Some(theirs))?;
    let mut merged = Merged {
        renamed: tx.rename_milestones(histories.ours, &base)?,
        ..Merged::default()
    };
    tx.take_other_files(histories.ours, &base)?;
    merged.extras = merge_bundles(workspace, &histories, &mut tx)?;
    merge_sessions(workspace, &histories, &mut tx, &mut merged)?;

    if any_purged(&their_side, &merged.deleted)? {
        // The history does not have it any more: our commits would bring it back.
        parents.truncate(1);
        merged.drops_commits = true;
    }
    fail_point("before a merge is committed");
    let message = format!("merge from {}", workspace.machine.name);
    tx.commit(&workspace.author(), &message, &parents)?;
    Ok(merged)
}

/// Returns true if the history of the store has one of these deleted sessions no more.
fn any_purged(snapshot: &Snapshot<'_>, deleted: &BTreeSet<SessionId>) -> Result<bool, StoreError> {
    for session in deleted {
        if snapshot.tombstone(session)?.is_some_and(|it| it.purged) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn merge_sessions(
    workspace: &Workspace<'_>,
    histories: &BundleHistory<'_>,
    tx: &mut Transaction<'_>,
    merged: &mut Merged,
) -> Result<(), SyncError> {
    let (ours, theirs) = (histories.ours, histories.theirs);
    let changed_there = theirs.changed_since(histories.base)?;
    let merge = SessionMerge {
        localizer: &workspace.localizer,
        base: histories.base,
        ours,
        theirs,
    };
    for session in ours.changed_since(histories.base)? {
        if workspace.records.purged.get(&session).is_some() {
            continue;
        }
        if tx.is_deleted(&session)? {
            tx.remove_session(&session)?;
            if ours.state(&session)?.is_some() {
                merged.deleted.insert(session);
            }
            continue;
        }
        if tx.touches(&session) {
            // A fork to which the tail of the session that it left was just added.
            merged.skipped.insert(session, LATER.to_owned());
            continue;
        }
        let is_lost = workspace.leases.is_lost(&session);
        let has_changed = is_lost || changed_there.contains(&session);
        if !has_changed || ours.state(&session)? == theirs.state(&session)? {
            tx.take_session(ours, &session)?;
            continue;
        }
        let attempt = Attempt::in_transaction(tx, |tx| {
            if is_lost {
                merge.fork_if_longer(tx, &session)
            } else {
                merge.merge_or_fork(tx, &session)
            }
        })?;
        match attempt {
            Attempt::Done(MergeOutcome::Merged) => {}
            Attempt::Done(MergeOutcome::Forked(tail)) => {
                merged.forks.insert(session, tail);
            }
            Attempt::Done(MergeOutcome::Retry) => {
                merged.skipped.insert(session, LATER.to_owned());
            }
            Attempt::Skipped(reason) => {
                merged.skipped.insert(session, reason);
            }
        }
    }
    Ok(())
}
