//! What happened to the store, commit by commit, and to one session, state by state.
//!
//! Reads commits, trees and manifests; never texts. A walk ends as soon as it has what
//! was asked for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::id::{CommitId, MachineId, SessionId};
use crate::domain::progress::Phase;
use crate::flows::remote_sync::{FetchMode, RemoteSync};
use crate::report::transfer::MachineName;
use crate::store::manifest::Manifest;
use crate::store::{ChangedSession, Commit, CommitChanges, Steps};
use crate::sys::signal;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::lookup::{find_session, find_stored_session};
use crate::workspace::open::Workspace;
use crate::workspace::read_only::machine_names;

/// What of the history is wanted.
#[derive(Debug, Clone)]
pub struct LogRequest {
    /// The states of one session; none: the whole store.
    pub session: Option<SessionId>,
    /// No more than so many entries.
    pub most: usize,
    /// Fetch first.
    pub remote: bool,
}

/// One commit that changed something a person knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// The commit.
    pub commit: CommitId,
    /// When it was made, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// Who made it; none if another program did.
    pub machine: Option<MachineName>,
    /// The sessions that it changed.
    pub sessions: Vec<SessionChange>,
    /// How many notes it added.
    pub notes: u64,
    /// Milestones that it named.
    pub milestones: Vec<String>,
}

/// How one commit changed one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionChange {
    /// The session.
    pub session: SessionId,
    /// Its project: the portable path of its place on this machine, else as it is known
    /// by its remote. Unsanitised.
    pub project: Option<String>,
    /// Its title, unsanitised.
    pub title: Option<String>,
    /// What became of it.
    pub change: Change,
    /// Lines of the transcript since.
    pub lines: u64,
    /// How many of them are new; negative where it was replaced by a shorter one.
    pub lines_added: i64,
    /// Turns of a person since, where they were counted.
    pub turns: Option<u64>,
    /// How many of them are new.
    pub turns_added: Option<u64>,
}

/// What became of a session in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is new, and began as another one's tail or as an earlier state of it.
    Forked,
    /// Its transcript grew, or files beside it changed.
    Extended,
    /// Somebody removed it.
    Removed,
    /// What it is there cannot be read.
    Unreadable,
}

/// The history of the store, or of one session, the newest first.
///
/// # Errors
/// [`LookupError`](crate::workspace::lookup::LookupError); [`SyncError::Interrupted`];
/// what concerns the whole command.
pub fn log(ctx: &Context<'_>, request: &LogRequest) -> Result<Vec<LogEntry>, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    if request.remote {
        RemoteSync::new(&mut workspace).fetch(FetchMode::Sessions)?;
        workspace.save()?;
    }
    ctx.progress.begin(Phase::Check, 0, 0);
    let entries = match &request.session {
        None => of_the_store(&workspace, request.most),
        Some(name) => stored_session_named(&workspace, name)
            .and_then(|id| of_session(&workspace, &id, request.most)),
    };
    ctx.progress.end();
    entries
}

/// The session that a person means, also one that the store had once.
///
/// # Errors
/// [`LookupError`](crate::workspace::lookup::LookupError).
pub(crate) fn stored_session_named(
    workspace: &Workspace<'_>,
    name: &SessionId,
) -> Result<SessionId, SyncError> {
    let now = workspace.store.head_snapshot()?.sessions()?;
    if let Some(id) = find_session(name, now.keys())? {
        return Ok(id);
    }
    let history = workspace.store.history();
    let former = history.sessions_with_prefix(name.as_str(), || go_on(workspace))?;
    Ok(find_stored_session(name, &former)?)
}

/// Reports progress of a walk through the history, and ends it if the user interrupts it.
pub(crate) fn go_on(workspace: &Workspace<'_>) -> Result<(), SyncError> {
    workspace.ctx.progress.advance(1, 0);
    Ok(signal::check()?)
}

fn of_the_store(workspace: &Workspace<'_>, most: usize) -> Result<Vec<LogEntry>, SyncError> {
    let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
    let history = workspace.store.history();
    let mut entries = Vec::new();
    for commit in history.commits()? {
        if entries.len() >= most {
            break;
        }
        go_on(workspace)?;
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

fn of_session(
    workspace: &Workspace<'_>,
    id: &SessionId,
    most: usize,
) -> Result<Vec<LogEntry>, SyncError> {
    let names = machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
    let history = workspace.store.history();
    let steps = history.session_steps(id, Steps::Changes, most, || go_on(workspace))?;
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
        (Err(_), _) => Change::Unreadable,
        (Ok(None), _) => Change::Removed,
        (Ok(Some(now)), None) if now.fork_of.is_some() => Change::Forked,
        (Ok(Some(_)), None) => Change::Added,
        (Ok(Some(_)), Some(_)) => Change::Extended,
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
