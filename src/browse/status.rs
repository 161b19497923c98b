//! Status of this machine: pending pushes and pulls, as of the last fetch or after a new one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::domain::{CommitId, SessionId};
use crate::flows::{
    FetchMode, PullRequest, RemoteSync, pull, push_copies::preview_copies, push_plan::PushPlan,
};
use crate::leasing::{LockView, lock_table::fetched_lock_table};
use crate::report::{BundleReport, ExtraOutcome, Outcome, Report, SessionReport, SkippedFile};
use crate::session::{live::live_sessions, time::parse_time};
use crate::store::Store;
use crate::workspace::{
    Context, Selection, SyncError, Workspace, last_fetch::LastFetch, paths::remote_url,
    received_notes::unseen, store_remote::store_header,
};

/// Status of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Name of this machine.
    pub machine: String,
    /// The remote, without secrets.
    pub remote: String,
    /// True if the remote is the bare repository in the data directory.
    pub embedded: bool,
    /// True if the store is encrypted.
    pub encrypted: bool,
    /// Time at which the remote was as described here.
    pub fetched: Option<DateTime<Utc>>,
    /// Reason why the remote could not be asked now.
    pub unreached: Option<String>,
    /// The working tree of the store.
    pub store: PathBuf,
    /// The newest commit here.
    pub head: Option<CommitId>,
    /// Commits that the remote did not have at the last contact.
    pub queued_commits: u64,
    /// Fetched commits that are not merged yet.
    pub unmerged_commits: u64,
    /// Time of this machine's last push.
    pub last_push: Option<DateTime<Utc>>,
    /// Sessions on this machine.
    pub sessions_here: u64,
    /// Sessions in the store.
    pub sessions_in_store: u64,
    /// Sessions in the store whose files are not on this machine.
    pub sessions_not_here: u64,
    /// Sessions that were deleted from this machine and stay in the store.
    pub deleted: u64,
    /// The sessions that are not in sync.
    pub pending: PendingSessions,
    /// Copies of sessions with lines of their own, which a push would send.
    pub copies: Vec<SessionReport>,
    /// Files that look like parts of sessions and are skipped.
    pub skipped_files: Vec<SkippedFile>,
    /// Extras that a push would send or skip.
    pub extras_to_push: Vec<BundleReport>,
    /// Extras that a pull would change, or that need approval.
    pub extras_to_pull: Vec<BundleReport>,
    /// Locks of this machine, and those of others that have not expired.
    pub locks: Vec<LockView>,
    /// Sessions whose lock another machine has, and how it got it. Untrusted text.
    pub lost_locks: Vec<(SessionId, String)>,
    /// Errors of unreadable lock files of this machine.
    pub damaged_locks: Vec<String>,
    /// Notes of other machines that were not shown here.
    pub unread_notes: u64,
    /// Sessions that a running Claude Code has open.
    pub running: Vec<SessionId>,
    /// The other machines and their last push; names not sanitized.
    pub machines: Vec<(String, Option<DateTime<Utc>>)>,
}

/// Sessions that are not in sync, by what a sync would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingSessions {
    /// A push would send them.
    pub to_push: Vec<SessionReport>,
    /// A pull would write them here.
    pub to_pull: Vec<SessionReport>,
    /// They stay in the store: too old, restored to an earlier state, or without a directory here.
    pub not_pulled: Vec<SessionReport>,
    /// The settings exclude them.
    pub excluded: Vec<SessionReport>,
    /// A problem keeps them from being synced.
    pub skipped: Vec<SessionReport>,
}

/// Reads this machine and the store. Contacts the remote only to `fetch` first; if it cannot be
/// reached, the status says so.
///
/// # Errors
/// What concerns the whole command.
pub fn status(ctx: &Context<'_>, fetch: bool) -> Result<Status, SyncError> {
    let unreached = if fetch { fetch_all(ctx)? } else { None };
    let (mut workspace, found) = Workspace::look_and_discover(ctx)?;
    let copies = preview_copies(&mut workspace, &found)?;
    let push = PushPlan::new(&workspace, &found, &Selection::default())?.preview(&workspace)?;
    let pull = pull::preview(&mut workspace, &found, &PullRequest::default())?;
    let extras_to_push = crate::extras::push::push(&mut workspace, true)?;

    let snapshot = workspace.store.head_snapshot()?;
    let states = snapshot.sessions()?;
    let machines = snapshot.machines()?;
    let others = machines.iter().filter(|m| m.id != workspace.machine.id);
    let lock_table = fetched_lock_table(&workspace)?;
    let lost = lock_table.lost.iter().map(|lease| &lease.session);
    let is_absent = |id: &&SessionId| !found.sessions.contains_key(*id);
    let remote = remote_url(ctx.env, ctx.settings.remote.as_deref())?.to_string();
    Ok(Status {
        machine: workspace.machine.name.clone(),
        embedded: ctx.settings.remote.is_none(),
        encrypted: store_header(ctx.env)?.is_some(),
        fetched: LastFetch::load(ctx.env)
            .filter(|last| last.remote == remote)
            .map(|last| last.time),
        remote,
        unreached,
        store: workspace.store.path().to_owned(),
        head: workspace.store.head()?,
        queued_commits: workspace.store.count_unpushed()?,
        unmerged_commits: count_unmerged(&workspace.store)?,
        last_push: workspace.machine.last_push.as_deref().and_then(parse_time),
        sessions_here: count_sessions(found.sessions.keys()),
        sessions_in_store: count_sessions(states.keys()),
        sessions_not_here: count_sessions(states.keys().filter(is_absent)),
        deleted: pull.deleted,
        lost_locks: lost
            .map(|id| lost_lock(&workspace, id))
            .collect::<Result<_, _>>()?,
        damaged_locks: lock_table.damaged,
        locks: shown_locks(lock_table.locks),
        unread_notes: unseen(&workspace)?.len() as u64,
        extras_to_push,
        extras_to_pull: without_excluded(&pull.extras),
        skipped_files: push.skipped_files.clone(),
        pending: pending(&workspace, push, pull),
        copies,
        running: live_sessions(&ctx.env.claude_dir)
            .into_keys()
            .filter(|id| found.sessions.contains_key(id))
            .collect(),
        machines: others
            .map(|m| (m.name.clone(), m.last_push.as_deref().and_then(parse_time)))
            .collect(),
    })
}

/// Fetches sessions and locks. Returns why the remote could not be reached.
fn fetch_all(ctx: &Context<'_>) -> Result<Option<String>, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let fetched = RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::SessionsAndLocks)?;
    Ok(fetched.unreached)
}

/// Sorts the sessions of a push and a pull. The push counts for those that neither would move.
fn pending(workspace: &Workspace<'_>, push: Report, pull: Report) -> PendingSessions {
    let mut pending = PendingSessions::default();
    let mut known = BTreeSet::new();
    let mut behind = BTreeSet::new();
    for mut session in push.sessions {
        known.insert(session.session.clone());
        if matches!(session.outcome, Outcome::Behind) {
            behind.insert(session.session.clone());
        }
        if workspace.records.refused.get(&session.session).is_some() {
            let warning = "refused by the remote; each push tries it again";
            session.warnings.push(warning.to_owned());
        }
        pending.list_of(&session.outcome, false).push(session);
    }
    for session in pull.sessions {
        let is_written = matches!(
            session.outcome,
            Outcome::Added { .. } | Outcome::Extended { .. }
        );
        let counted_before = if is_written { &behind } else { &known };
        if !counted_before.contains(&session.session) {
            pending.list_of(&session.outcome, is_written).push(session);
        }
    }
    pending
}

impl PendingSessions {
    fn list_of(&mut self, outcome: &Outcome, is_written: bool) -> &mut Vec<SessionReport> {
        match outcome {
            _ if is_written => &mut self.to_pull,
            Outcome::Behind => &mut self.to_pull,
            Outcome::NotPulled { .. } => &mut self.not_pulled,
            Outcome::Excluded { .. } => &mut self.excluded,
            Outcome::Skipped { .. } => &mut self.skipped,
            Outcome::Added { .. }
            | Outcome::Extended { .. }
            | Outcome::Forked { .. }
            | Outcome::Ahead => &mut self.to_push,
        }
    }
}

/// Counts the commits of the remote that an earlier command fetched and could not merge.
fn count_unmerged(store: &Store) -> Result<u64, SyncError> {
    let head = store.head()?;
    match store.remote_head()? {
        Some(theirs) => Ok(store.count_commits_beyond(&theirs, head.as_ref())?),
        None => Ok(0),
    }
}

fn lost_lock(
    workspace: &Workspace<'_>,
    session: &SessionId,
) -> Result<(SessionId, String), SyncError> {
    let note = workspace.leases.lost_note(&workspace.store, session)?;
    Ok((session.clone(), note.unwrap_or_default()))
}

/// Returns the locks that say who works on what: an expired one of another machine says nothing.
fn shown_locks(mut locks: Vec<LockView>) -> Vec<LockView> {
    locks.retain(|lock| lock.is_own() || lock.is_live());
    locks
}

/// Returns the extras that a pull concerns: those that the settings exclude are reported with the
/// push.
fn without_excluded(extras: &[BundleReport]) -> Vec<BundleReport> {
    let mut extras = extras.to_vec();
    extras.iter_mut().for_each(|bundle| {
        bundle
            .files
            .retain(|file| !matches!(file.outcome, ExtraOutcome::Excluded { .. }));
    });
    extras.retain(|bundle| !bundle.files.is_empty() || bundle.not_pulled.is_some());
    extras
}

/// Counts sessions without the transcripts of sub-agents next to them.
fn count_sessions<'s>(ids: impl Iterator<Item = &'s SessionId>) -> u64 {
    ids.filter(|id| !id.is_sub_agent()).count() as u64
}
