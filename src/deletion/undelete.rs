//! Brings deleted sessions back, as far as the history of the store or this machine has them.

use serde::Serialize;

use crate::deletion::error::DeletionError;
use crate::domain::{CommitId, SessionId};
use crate::flows::{FetchMode, RemoteSync};
use crate::report::{MachineName, RemoteState, count::count};
use crate::store::{Snapshot, Steps};
use crate::sys::{fail_point::fail_point, signal};
use crate::workspace::{
    Context, SyncError, Workspace, lookup::find_session, read_only::machine_names,
};
use chrono::{DateTime, Utc};

/// Result of bringing sessions back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UndeleteReport {
    /// Sessions that the store has again.
    pub restored: Vec<SessionId>,
    /// Sessions that only this machine has: its next push sends them.
    pub to_push: Vec<SessionId>,
    /// State of the remote.
    pub remote: RemoteState,
}

/// A session that was deleted before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeletedRow {
    /// The session.
    pub session: SessionId,
    /// The machine that deleted it, if its tombstone is readable.
    pub machine: Option<MachineName>,
    /// When, by the clock of that machine.
    pub time: Option<DateTime<Utc>>,
    /// True if the history does not have it any more.
    pub purged: bool,
}

/// Lists the deleted sessions, as of the last fetch, the newest deletion first.
///
/// # Errors
/// Errors of the whole command.
pub fn deleted(ctx: &Context<'_>) -> Result<Vec<DeletedRow>, SyncError> {
    let workspace = Workspace::open_to_look(ctx)?;
    let snapshot = workspace.store.head_snapshot()?;
    let names = machine_names(ctx, Some(&snapshot))?;
    let mut rows = Vec::new();
    for session in snapshot.deleted_sessions()? {
        let tombstone = snapshot.tombstone(&session)?;
        let tombstone = tombstone.as_ref();
        rows.push(DeletedRow {
            session,
            machine: tombstone.map(|it| MachineName {
                name: names.get(&it.machine).cloned(),
                id: it.machine.clone(),
            }),
            time: tombstone.map(|it| it.time),
            purged: tombstone.is_some_and(|it| it.purged),
        });
    }
    rows.sort_by(|a, b| (b.time, &a.session).cmp(&(a.time, &b.session)));
    Ok(rows)
}

/// Removes the tombstones of sessions, and takes the sessions from the history.
///
/// # Errors
/// [`DeletionError::NotDeleted`], [`DeletionError::Purged`]; then nothing was changed.
pub fn undelete(ctx: &Context<'_>, names: &[SessionId]) -> Result<UndeleteReport, SyncError> {
    let (mut workspace, found) = Workspace::open_and_discover(ctx)?;
    RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::Sessions)?;
    let mut report = UndeleteReport::default();
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    let deleted = tx.base().deleted_sessions()?;
    for name in names {
        let session = find_session(name, &deleted)?;
        let not_deleted = || DeletionError::NotDeleted {
            session: name.clone(),
        };
        let session = session.ok_or_else(not_deleted)?;
        tx.remove_tombstone(&session);
        if let Some(then) = last_state(&workspace, &session)? {
            tx.take_session(&then, &session)?;
            report.restored.push(session);
        } else if found.sessions.contains_key(&session) {
            report.to_push.push(session);
        } else {
            return Err(DeletionError::Purged { session }.into());
        }
    }
    fail_point("before a deletion is committed");
    let machine = &workspace.machine.name;
    let number = count(names.len() as u64, "session");
    let message = format!("bring back from {machine}: {number}");
    tx.commit(&workspace.author(), &message, head.as_slice())?;
    workspace.records.index.follow(&workspace.store)?;
    fail_point("a deletion is committed");
    for session in report.restored.iter().chain(&report.to_push) {
        workspace.records.purged.remove(session);
    }
    report.remote = RemoteSync::new(&mut workspace).push()?.state;
    workspace.save()?;
    Ok(report)
}

/// Returns the state of a session with the most lines, of equal ones the newest: a transcript only
/// grows, and the last turns may be in a history that was merged.
fn last_state<'w>(
    workspace: &'w Workspace<'_>,
    session: &SessionId,
) -> Result<Option<Snapshot<'w>>, SyncError> {
    let history = workspace.store.history();
    let steps = history.session_steps(session, Steps::Changes, usize::MAX, || {
        signal::check().map_err(SyncError::from)
    })?;
    let mut best: Option<(u64, CommitId)> = None;
    for step in steps.into_iter().filter(|step| step.state.is_some()) {
        let then = workspace.store.snapshot(Some(&step.commit.id))?;
        let manifest = then.manifest(session).ok().flatten();
        let lines = manifest.map_or(0, |manifest| manifest.transcript.lines());
        if best.as_ref().is_none_or(|(most, _)| lines > *most) {
            best = Some((lines, step.commit.id));
        }
    }
    let best = best.map(|(_, commit)| workspace.store.snapshot(Some(&commit)));
    Ok(best.transpose()?)
}
