//! Status of this machine: pending pushes and pulls, as far as known without the remote.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::domain::{CommitId, SessionId};
use crate::extras::returned::ReturnedSessions;
use crate::flows::push_plan::PushPlan;
use crate::report::{BundleReport, ExtraOutcome, Outcome, SessionReport};
use crate::session::{live::live_sessions, time::parse_time};
use crate::store::SessionState;
use crate::workspace::{Context, Selection, SyncError, Workspace, paths::remote_url};

/// Status of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Name of this machine.
    pub machine: String,
    /// The remote, without secrets.
    pub remote: String,
    /// The working tree of the store.
    pub store: PathBuf,
    /// The newest commit here.
    pub head: Option<CommitId>,
    /// Commits that the remote did not have at the last contact.
    pub queued_commits: u64,
    /// Time of this machine's last push.
    pub last_push: Option<DateTime<Utc>>,
    /// Sessions on this machine.
    pub sessions_here: u64,
    /// Sessions in the store.
    pub sessions_in_store: u64,
    /// Sessions that were deleted from this machine and stay in the store.
    pub deleted: u64,
    /// Sessions that a push would send.
    pub to_push: Vec<SessionReport>,
    /// Sessions here that a pull would change.
    pub to_pull: Vec<SessionReport>,
    /// Sessions that the settings exclude.
    pub excluded: Vec<SessionReport>,
    /// Extras that a push would send or skip.
    pub extras_to_push: Vec<BundleReport>,
    /// Extras that a pull would change, or that need approval.
    pub extras_to_pull: Vec<BundleReport>,
    /// Sessions that a running Claude Code has open.
    pub running: Vec<SessionId>,
    /// The other machines and their last push; names not sanitized.
    pub machines: Vec<(String, Option<DateTime<Utc>>)>,
}

/// Reads this machine and the store; does not contact the remote.
///
/// # Errors
/// What concerns the whole command.
pub fn status(ctx: &Context<'_>) -> Result<Status, SyncError> {
    let (mut workspace, found) = Workspace::look_and_discover(ctx)?;
    let extras_to_push = crate::extras::push::push(&mut workspace, true)?;
    let mut extras_to_pull =
        crate::extras::pull::pull(&workspace, None, &ReturnedSessions::default())?;
    // Excluded sessions are reported once.
    extras_to_pull.iter_mut().for_each(|bundle| {
        bundle
            .files
            .retain(|file| !matches!(file.outcome, ExtraOutcome::Excluded { .. }));
    });
    extras_to_pull.retain(|bundle| !bundle.files.is_empty() || bundle.not_pulled.is_some());
    let snapshot = workspace.store.head_snapshot()?;
    let plan = PushPlan::new(&workspace, &found, &Selection::default())?;
    let mut to_push = plan.preview(&workspace)?.sessions;
    let to_pull: Vec<_> = to_push
        .extract_if(.., |session| matches!(session.outcome, Outcome::Behind))
        .collect();
    let excluded: Vec<_> = to_push
        .extract_if(.., |session| {
            matches!(session.outcome, Outcome::Excluded { .. })
        })
        .collect();
    let states = snapshot.sessions()?;
    let records = &workspace.records;
    let is_deleted = |(id, state): &(&SessionId, &SessionState)| {
        !found.sessions.contains_key(*id) && records.was_deleted(id, state)
    };
    let machines = snapshot.machines()?;
    let others = machines.iter().filter(|m| m.id != workspace.machine.id);
    Ok(Status {
        machine: workspace.machine.name.clone(),
        remote: remote_url(ctx.env, ctx.settings.remote.as_deref())?.to_string(),
        store: workspace.store.path().to_owned(),
        head: workspace.store.head()?,
        queued_commits: workspace.store.count_unpushed()?,
        last_push: workspace.machine.last_push.as_deref().and_then(parse_time),
        sessions_here: count_sessions(found.sessions.keys()),
        sessions_in_store: count_sessions(states.keys()),
        deleted: states.iter().filter(is_deleted).count() as u64,
        to_push,
        to_pull,
        excluded,
        extras_to_push,
        extras_to_pull,
        running: live_sessions(&ctx.env.claude_dir)
            .into_keys()
            .filter(|id| found.sessions.contains_key(id))
            .collect(),
        machines: others
            .map(|m| (m.name.clone(), m.last_push.as_deref().and_then(parse_time)))
            .collect(),
    })
}

/// Counts sessions without the transcripts of sub-agents next to them.
fn count_sessions<'s>(ids: impl Iterator<Item = &'s SessionId>) -> u64 {
    ids.filter(|id| !id.is_sub_agent()).count() as u64
}
