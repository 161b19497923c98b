//! Stores imported sessions by the rules of a push: a session is new, unchanged, a continuation
//! or a fork.

use crate::domain::{CommitId, SessionId};
use crate::flows::skip::Attempt;
use crate::flows::store_session::{SessionWriter, StoreOutcome};
use crate::flows::{SessionComparer, differences::Differences};
use crate::localize::LocalCopy;
use crate::report::{ImportReport, Layout, RemoteState, Report, SessionReport, count::count};
use crate::session::LocalSession;
use crate::store::{Transaction, machine::Machine};
use crate::sys::signal;
use crate::workspace::{SyncError, Workspace};

pub(crate) fn empty_report(source: &str, layout: Layout) -> ImportReport {
    ImportReport {
        source: source.to_owned(),
        layout,
        found: 0,
        report: Report {
            remote: RemoteState::NotContacted,
            ..Report::default()
        },
        machines: Vec::new(),
        suggested_placeholders: Vec::new(),
        locks: Vec::new(),
        edits: Vec::new(),
        not_imported: Vec::new(),
    }
}

/// Stores one session with `store`. If that fails for a reason that concerns only this session,
/// reports it as skipped. `None`: the store has all of it.
pub(crate) fn store_or_skip(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    session: &SessionId,
    store: impl FnOnce(&mut Transaction<'_>) -> Result<Option<StoreOutcome>, SyncError>,
) -> Result<Option<SessionReport>, SyncError> {
    signal::check().inspect_err(|_| workspace.ctx.progress.end())?;
    let reason = match Attempt::in_transaction(tx, store)? {
        Attempt::Done(None) => return Ok(None),
        Attempt::Done(Some(StoreOutcome::Stored(report))) => return Ok(Some(report)),
        Attempt::Done(Some(StoreOutcome::Retry)) => {
            "another copy of the session was imported: import again".to_owned()
        }
        Attempt::Skipped(reason) => reason,
    };
    Ok(Some(SessionReport::skipped(session.clone(), reason)))
}

/// Adds to `tx` what `session` has and the store has not; `None`: nothing.
pub(crate) fn store_session(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    session: &LocalSession,
) -> Result<Option<StoreOutcome>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let local = LocalCopy::closed(session);
    let writer = SessionWriter::new(workspace, &snapshot, &local);
    let (differences, is_stored) = match snapshot.manifest(&session.id)? {
        Some(manifest) => {
            let comparer = SessionComparer::new(workspace, &snapshot);
            let differences = comparer.compare_with(&manifest, &local, None)?;
            let is_stored = writer.is_stored(&manifest, &differences)?;
            (differences, is_stored)
        }
        None => (Differences::all_new(session), session.files.is_empty()),
    };
    if is_stored {
        return Ok(None);
    }
    writer.store(tx, &differences).map(Some)
}

/// Commits the transaction if it has anything, with the `machines` that wrote it.
pub(crate) fn commit(
    workspace: &Workspace<'_>,
    mut tx: Transaction<'_>,
    base: Option<&CommitId>,
    machines: &[Machine],
    message: &str,
) -> Result<(), SyncError> {
    if tx.is_empty() {
        return Ok(());
    }
    if !tx.has_machine(&workspace.machine)? {
        tx.write_machine(&workspace.machine)?;
    }
    let snapshot = workspace.store.head_snapshot()?;
    for machine in machines.iter().filter(|m| m.id != workspace.machine.id) {
        // An unreadable record is replaced.
        let earlier = snapshot.machine(&machine.id).unwrap_or_default();
        let (id, placeholders) = (machine.id.clone(), machine.placeholders.clone());
        tx.write_machine(&Machine {
            last_push: machine.last_push.clone(),
            ..Machine::renewed(earlier, id, &machine.name, placeholders)
        })?;
    }
    tx.commit(&workspace.author(), message, base.cloned().as_slice())?;
    Ok(())
}

/// Returns the message of a commit with these sessions, of another machine if it has a name.
pub(crate) fn commit_message(machine: Option<&str>, reports: &[SessionReport]) -> String {
    let stored = reports.iter().filter(|report| report.outcome.is_stored());
    let sessions = count(stored.count() as u64, "session");
    let of_machine = machine.map_or_else(String::new, |name| format!(" of {name}"));
    format!("import{of_machine}: {sessions}")
}
