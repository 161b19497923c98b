//! Milestones: a person names the present state of the whole store, to come back to it later.
//!
//! A name is given once. Where two machines give one name without knowing of each other, the one that reaches the remote first has it, and the
//! other's gets the beginning of its machine's id (`store::Transaction::rename_milestones`).

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::id::CommitId;
use crate::flows::push::{Plan, add_merge_notes, fetch_before_push};
use crate::flows::remote_sync::{fetch_if_reached, send};
use crate::report::transfer::{MachineName, RemoteState, Report};
use crate::store::StoreError;
use crate::store::milestone::{Milestone, MilestoneName};
use crate::sys::fail_point::fail_point;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::filter::Selection;
use crate::workspace::open::Workspace;
use crate::workspace::read_only::machine_names;

/// A milestone as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct MilestoneRow {
    /// Its name.
    pub name: MilestoneName,
    /// The state that it names.
    pub commit: CommitId,
    /// When it was named.
    pub time: DateTime<Utc>,
    /// Who named it.
    pub machine: MachineName,
    /// How many sessions the store had then.
    pub sessions: u64,
}

/// A milestone that was made.
#[derive(Debug, Clone, Serialize)]
pub struct MadeMilestone {
    /// The milestone; its name is another one than was asked for if another machine was first with that.
    pub milestone: MilestoneRow,
    /// Why the remote was not asked first, so that what other machines have pushed lately is perhaps not in it.
    pub unreached: Option<String>,
    /// What was pushed before.
    pub pushed: Report,
    /// What became of the remote.
    pub remote: RemoteState,
}

/// Names the present state of the whole store: what the remote has, and everything that is on this machine, which is pushed first.
///
/// # Errors
/// [`SyncError::MilestoneExists`], [`SyncError::EmptyStore`]; what concerns the whole command.
pub fn make_milestone(ctx: &Context<'_>, name: &MilestoneName) -> Result<MadeMilestone, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    fetch_before_push(&mut workspace)?;
    let (mut merged, unreached) = fetch_if_reached(&mut workspace)?;
    refuse_second(&workspace, name)?;
    let found = workspace.discover()?;
    let mut pushed =
        Plan::make(&workspace, &found, &Selection::default())?.execute(&mut workspace)?;
    pushed.add_beside(std::mem::take(&mut merged.extras));
    pushed.add_beside(crate::extras::push::push(&mut workspace, false)?);
    add_merge_notes(&mut pushed, &workspace, merged)?;
    fail_point("a milestone is about to be named");
    let head = workspace.store.head()?.ok_or(SyncError::EmptyStore)?;
    let milestone = Milestone::new(
        name.clone(),
        head.clone(),
        ctx.clock.now(),
        workspace.machine.id.clone(),
    );
    let mut tx = workspace.store.begin(Some(&head))?;
    tx.put_milestone(&milestone)?;
    tx.commit(&workspace.author(), &format!("milestone {name}"), &[head])?;
    let (remote, merged) = send(&mut workspace)?;
    let renamed = merged
        .renamed
        .iter()
        .find(|(former, _)| former == name)
        .map(|(_, name)| name.clone());
    add_merge_notes(&mut pushed, &workspace, merged)?;
    workspace.save()?;
    let milestone = Milestone {
        name: renamed.unwrap_or_else(|| name.clone()),
        ..milestone
    };
    Ok(MadeMilestone {
        milestone: row(&workspace, milestone)?,
        unreached,
        pushed,
        remote,
    })
}

/// Every milestone, the newest first.
///
/// # Errors
/// What concerns the whole command. One that cannot be read is passed over.
pub fn milestones(ctx: &Context<'_>) -> Result<Vec<MilestoneRow>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let (all, _) = workspace.store.head_snapshot()?.milestones()?;
    let mut rows = all
        .into_iter()
        .map(|milestone| row(&workspace, milestone))
        .collect::<Result<Vec<_>, _>>()?;
    rows.sort_by(|a, b| (b.time, a.name.as_str()).cmp(&(a.time, b.name.as_str())));
    Ok(rows)
}

/// The commit that a milestone names, if it is one of this store's history.
pub(crate) fn commit_of(
    workspace: &Workspace<'_>,
    name: &MilestoneName,
) -> Result<CommitId, SyncError> {
    let none = || SyncError::NoSuchMilestone { name: name.clone() };
    let milestone = match workspace.store.head_snapshot()?.milestone(name) {
        Err(StoreError::Malformed { .. }) => None,
        milestone => milestone?,
    };
    let commit = milestone.ok_or_else(none)?.commit;
    let head = workspace.store.head()?.ok_or_else(none)?;
    if workspace.store.has(&commit) && workspace.store.contains(&head, &commit)? {
        Ok(commit)
    } else {
        Err(SyncError::NoSuchCommit {
            commit: commit.to_string(),
        })
    }
}

fn refuse_second(workspace: &Workspace<'_>, name: &MilestoneName) -> Result<(), SyncError> {
    let there = workspace.store.head_snapshot()?.milestone(name);
    match there {
        Ok(None) => Ok(()),
        // Whatever it says, the name is taken.
        Ok(Some(_)) | Err(StoreError::Malformed { .. }) => {
            Err(SyncError::MilestoneExists { name: name.clone() })
        }
        Err(e) => Err(e.into()),
    }
}

fn row(workspace: &Workspace<'_>, milestone: Milestone) -> Result<MilestoneRow, SyncError> {
    let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
    let machine = MachineName {
        name: names.get(&milestone.machine).cloned(),
        id: milestone.machine,
    };
    let Milestone {
        name, commit, time, ..
    } = milestone;
    let known = if workspace.store.has(&commit) {
        workspace.store.snapshot(Some(&commit))?.sessions()?.len()
    } else {
        0
    };
    Ok(MilestoneRow {
        name,
        commit,
        time,
        machine,
        sessions: known as u64,
    })
}
