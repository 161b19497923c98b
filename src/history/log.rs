//! Lists the history of the store by commit, or of one session by state.
//!
//! Reads commits, trees and manifests, but no text. Walks no further than needed.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{CommitId, MachineId, Phase, SessionId};
use crate::flows::{FetchMode, RemoteSync};
use crate::report::MachineName;
use crate::store::{ChangedSession, Commit, CommitChanges, Steps, manifest::Manifest};
use crate::sys::signal;
use crate::workspace::{
    Context, SyncError, Workspace, lookup::find_session, lookup::find_stored_session,
    read_only::machine_names,
};

/// Input of a log.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// List the states of this session; `None`: of the whole store.
    pub session: Option<SessionId>,
    /// Maximum number of entries.
    pub max: usize,
    /// Fetch first.
    pub remote: bool,
}

/// A commit that changed sessions, notes or milestones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// The commit.
    pub commit: CommitId,
    /// Time of the commit, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// The machine that made it; `None` if another program did.
    pub machine: Option<MachineName>,
    /// The sessions that it changed.
    pub sessions: Vec<SessionChange>,
    /// Number of notes that it added.
    pub notes: u64,
    /// Milestones that it created.
    pub milestones: Vec<String>,
}

/// Change of one session in one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionChange {
    /// The session.
    pub session: SessionId,
    /// Its project: the portable path on this machine, else its remote. Not sanitized.
    pub project: Option<String>,
    /// Its title, not sanitized.
    pub title: Option<String>,
    /// Kind of the change.
    pub change: SessionChangeKind,
    /// Lines of the transcript after the change.
    pub lines: u64,
    /// Number of added lines; negative if a shorter transcript replaced it.
    pub lines_added: i64,
    /// Turns after the change, if counted.
    pub turns: Option<u64>,
    /// Number of added turns.
    pub turns_added: Option<u64>,
}

/// Kind of a change of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionChangeKind {
    /// It is new.
    Added,
    /// It is new, and began as the tail of another session or as an earlier state of it.
    Forked,
    /// Its transcript grew, or its other files changed.
    Extended,
    /// The commit removed it.
    Removed,
    /// Its manifest is unreadable.
    Unreadable,
}

/// Returns the history of the store or of one session, the newest first.
///
/// # Errors
/// [`LookupError`](crate::workspace::lookup::LookupError); [`SyncError::Interrupted`];
/// errors of the whole command.
pub fn log(ctx: &Context<'_>, request: &LogRequest) -> Result<Vec<LogEntry>, SyncError> {
    let mut workspace = match request.remote {
        true => Workspace::open(ctx)?,
        false => Workspace::open_to_look(ctx)?,
    };
    if request.remote {
        RemoteSync::new(&mut workspace).fetch(FetchMode::Sessions)?;
        workspace.save()?;
    }
    ctx.progress.begin(Phase::Check, 0, 0);
    let entries = match &request.session {
        None => store_entries(&workspace, request.max),
        Some(name) => find_session_in_history(&workspace, name)
            .and_then(|id| session_entries(&workspace, &id, request.max)),
    };
    ctx.progress.end();
    entries
}

/// Finds a session by id or unique prefix, also one that only an earlier commit has.
///
/// # Errors
/// [`LookupError`](crate::workspace::lookup::LookupError).
pub(crate) fn find_session_in_history(
    workspace: &Workspace<'_>,
    name: &SessionId,
) -> Result<SessionId, SyncError> {
    let now = workspace.store.head_snapshot()?.sessions()?;
    if let Some(id) = find_session(name, now.keys())? {
        return Ok(id);
    }
    let history = workspace.store.history();
    let former = history.sessions_with_prefix(name.as_str(), || advance(workspace))?;
    Ok(find_stored_session(name, &former)?)
}

/// Reports progress of a walk through the history. Ends the walk if the user interrupts
/// it.
pub(crate) fn advance(workspace: &Workspace<'_>) -> Result<(), SyncError> {
    workspace.ctx.progress.advance(1, 0);
    Ok(signal::check()?)
}

pub(super) fn store_entries(
    workspace: &Workspace<'_>,
    max: usize,
) -> Result<Vec<LogEntry>, SyncError> {
    let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
    let history = workspace.store.history();
    let mut entries = Vec::new();
    for commit in history.commits()? {
        if entries.len() >= max {
            break;
        }
        advance(workspace)?;
        let commit = commit?;
        let changes = history.changes(&commit)?;
        let mut entry = entry(&commit, &names);
        for id in changes.sessions()? {
            entry
                .sessions
                .push(session_change(workspace, &changes, &id));
        }
        entry.notes = changes.count_new_notes()?;
        let milestones = changes.new_milestones()?;
        entry.milestones = milestones.iter().map(ToString::to_string).collect();
        if !entry.sessions.is_empty() || entry.notes > 0 || !entry.milestones.is_empty() {
            entry.sessions.sort_by(|a, b| {
                (&a.project, &a.title, &a.session).cmp(&(&b.project, &b.title, &b.session))
            });
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn session_entries(
    workspace: &Workspace<'_>,
    id: &SessionId,
    max: usize,
) -> Result<Vec<LogEntry>, SyncError> {
    let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
    let history = workspace.store.history();
    let steps = history.session_steps(id, Steps::Changes, max, || advance(workspace))?;
    let mut entries = Vec::new();
    for step in steps {
        let changes = history.changes(&step.commit)?;
        entries.push(LogEntry {
            sessions: vec![session_change(workspace, &changes, id)],
            ..entry(&step.commit, &names)
        });
    }
    Ok(entries)
}

fn entry(commit: &Commit, names: &BTreeMap<MachineId, String>) -> LogEntry {
    LogEntry {
        commit: commit.id.clone(),
        time: commit.time,
        machine: commit.machine.as_ref().map(|id| MachineName {
            name: Some(names.get(id).unwrap_or(&commit.name).clone()),
            id: id.clone(),
        }),
        sessions: Vec::new(),
        notes: 0,
        milestones: Vec::new(),
    }
}

fn session_change(
    workspace: &Workspace<'_>,
    changes: &CommitChanges<'_>,
    id: &SessionId,
) -> SessionChange {
    let ChangedSession { now, before } = changes.session(id);
    let change = match (&now, &before) {
        (Err(_), _) => SessionChangeKind::Unreadable,
        (Ok(None), _) => SessionChangeKind::Removed,
        (Ok(Some(now)), None) if now.fork_of.is_some() => SessionChangeKind::Forked,
        (Ok(Some(_)), None) => SessionChangeKind::Added,
        (Ok(Some(_)), Some(_)) => SessionChangeKind::Extended,
    };
    let now = now.ok().flatten();
    let lines = |manifest: &Option<Manifest>| manifest.as_ref().map_or(0, |m| m.transcript.lines());
    let turns = |manifest: &Option<Manifest>| manifest.as_ref().map_or(Some(0), |m| m.turns);
    let named = now.as_ref().or(before.as_ref());
    SessionChange {
        session: id.clone(),
        project: named.and_then(|m| workspace.localizer.project(m)),
        title: named.and_then(|m| workspace.localizer.title(m)),
        change,
        lines: lines(&now),
        lines_added: i64::try_from(lines(&now))
            .unwrap_or(i64::MAX)
            .saturating_sub_unsigned(lines(&before)),
        turns: now.as_ref().and_then(|m| m.turns),
        turns_added: turns(&now)
            .zip(turns(&before))
            .and_then(|(now, before)| now.checked_sub(before)),
    }
}
