//! Creates and lists milestones: names for a state of the whole store.
//!
//! A name cannot be reused. If two machines create one name at the same time, the first
//! one on the remote keeps it, and the other one gets the beginning of its machine's id
//! added (`store::Transaction::rename_milestones`).

use crate::history::error::{HistoryError, MilestoneError};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::CommitId;
use crate::flows::{
    FetchMode, RemoteSync, merge_notes::add_merge_notes, push_commit::store_sessions,
    push_plan::PushPlan, remote_sync::FetchResult,
};
use crate::report::{MachineName, RemoteState, Report};
use crate::store::{milestone::Milestone, milestone::MilestoneName};
use crate::sys::fail_point::fail_point;
use crate::workspace::{Context, Selection, SyncError, Workspace, read_only::machine_names};

/// A milestone, as a list shows it.
#[derive(Debug, Clone, Serialize)]
pub struct MilestoneRow {
    /// Its name.
    pub name: MilestoneName,
    /// The named state.
    pub commit: CommitId,
    /// Time of its creation.
    pub time: DateTime<Utc>,
    /// The machine that created it.
    pub machine: MachineName,
    /// Number of sessions in that state.
    pub sessions: u64,
}

/// A new milestone.
#[derive(Debug, Clone, Serialize)]
pub struct MadeMilestone {
    /// The milestone. It has another name than requested if another machine was first to
    /// use that.
    pub milestone: MilestoneRow,
    /// Reason why the remote was not fetched first. Then recent pushes of other machines
    /// may be missing.
    pub remote_error: Option<String>,
    /// Report of the push before it.
    pub pushed: Report,
    /// State of the remote.
    pub remote: RemoteState,
}

/// A milestone that was removed.
#[derive(Debug, Clone, Serialize)]
pub struct RemovedMilestone {
    /// Its name.
    pub removed: MilestoneName,
    /// State of the remote.
    pub remote: RemoteState,
}

/// Names the current state of the whole store: everything on the remote and on this
/// machine, which is pushed first.
///
/// # Errors
/// [`MilestoneError`]; errors of the whole command.
pub fn make_milestone(ctx: &Context<'_>, name: &MilestoneName) -> Result<MadeMilestone, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let mut sync = RemoteSync::new(&mut workspace);
    sync.fetch_before_push()?;
    let FetchResult {
        mut merged,
        unreached: remote_error,
    } = sync.fetch_if_reached(FetchMode::Sessions)?;
    if workspace.store.milestones()?.is_taken(name)? {
        return Err(MilestoneError::Exists { name: name.clone() }.into());
    }
    let found = workspace.discover()?;
    let plan = PushPlan::new(&workspace, &found, &Selection::default())?;
    let mut pushed = store_sessions(&mut workspace, plan)?;
    pushed.add_extras(std::mem::take(&mut merged.extras));
    pushed.add_extras(crate::extras::push::push(&mut workspace, false)?);
    add_merge_notes(&mut pushed, &workspace, merged)?;
    fail_point("before a milestone is created");
    let head = workspace.store.head()?.ok_or(MilestoneError::Empty)?;
    let milestone = Milestone::new(
        name.clone(),
        head.clone(),
        ctx.clock.now(),
        workspace.machine.id.clone(),
    );
    let mut tx = workspace.store.begin(Some(&head))?;
    tx.write_milestone(&milestone)?;
    tx.commit(&workspace.author(), &format!("milestone {name}"), &[head])?;
    let sent = RemoteSync::new(&mut workspace).push()?;
    let renamed = sent
        .merged
        .renamed
        .iter()
        .find(|renamed| renamed.from == *name)
        .map(|renamed| renamed.to.clone());
    add_merge_notes(&mut pushed, &workspace, sent.merged)?;
    workspace.save()?;
    let milestone = Milestone {
        name: renamed.unwrap_or_else(|| name.clone()),
        ..milestone
    };
    Ok(MadeMilestone {
        milestone: row(&workspace, milestone)?,
        remote_error,
        pushed,
        remote: sent.state,
    })
}

/// Removes a milestone on all machines. The state that it names stays in the history, and the
/// name can be used again.
///
/// # Errors
/// [`MilestoneError::NotFound`]; errors of the whole command.
pub fn remove_milestone(
    ctx: &Context<'_>,
    name: &MilestoneName,
) -> Result<RemovedMilestone, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::Sessions)?;
    if !workspace.store.milestones()?.is_taken(name)? {
        return Err(MilestoneError::NotFound { name: name.clone() }.into());
    }
    let head = workspace.store.head()?.ok_or(MilestoneError::Empty)?;
    let mut tx = workspace.store.begin(Some(&head))?;
    tx.remove_milestone(name);
    let message = format!("remove milestone {name}");
    tx.commit(&workspace.author(), &message, &[head])?;
    let remote = RemoteSync::new(&mut workspace).push()?.state;
    workspace.save()?;
    Ok(RemovedMilestone {
        removed: name.clone(),
        remote,
    })
}

/// Returns all milestones, the newest first.
///
/// # Errors
/// Errors of the whole command. Unreadable milestones are skipped.
pub fn milestones(ctx: &Context<'_>) -> Result<Vec<MilestoneRow>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let all = workspace.store.milestones()?.all()?;
    all.into_iter()
        .map(|milestone| row(&workspace, milestone))
        .collect()
}

/// Returns the commit that a milestone names, if it is in the history of this store.
pub(crate) fn milestone_commit(
    workspace: &Workspace<'_>,
    name: &MilestoneName,
) -> Result<CommitId, SyncError> {
    let milestone = workspace.store.milestones()?.find(name)?;
    let milestone = milestone.ok_or_else(|| MilestoneError::NotFound { name: name.clone() })?;
    if workspace.store.history().contains(&milestone.commit)? {
        Ok(milestone.commit)
    } else {
        Err(HistoryError::NoSuchCommit {
            commit: milestone.commit.to_string(),
        }
        .into())
    }
}

fn row(workspace: &Workspace<'_>, milestone: Milestone) -> Result<MilestoneRow, SyncError> {
    let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
    let sessions = workspace.store.milestones()?.count_sessions(&milestone)?;
    Ok(MilestoneRow {
        name: milestone.name,
        commit: milestone.commit,
        time: milestone.time,
        machine: MachineName {
            name: names.get(&milestone.machine).cloned(),
            id: milestone.machine,
        },
        sessions,
    })
}
