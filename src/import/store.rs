//! Stores imported sessions by the rules of a push: a session is new, unchanged, a continuation
//! or a fork.

use crate::domain::error::{UserError, error_chain};
use crate::domain::id::{CommitId, SessionId};
use crate::flows::compare::{Differences, FileStep, compare_with, described};
use crate::flows::store_session::SessionWriter;
use crate::localize::local_copy::LocalCopy;
use crate::report::import::{ImportReport, Layout};
use crate::report::transfer::{Outcome, RemoteState, Report, SessionReport};
use crate::session::LocalSession;
use crate::store::Transaction;
use crate::store::machine::Machine;
use crate::sys::signal;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

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
        proposals: Vec::new(),
        locks: Vec::new(),
        edits: Vec::new(),
        left: Vec::new(),
    }
}

/// Stores one session with `store`. If that fails for a reason that concerns only this session,
/// rolls it back and reports it as skipped.
pub(crate) fn store_or_skip(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    session: &SessionId,
    store: impl FnOnce(&mut Transaction<'_>) -> Result<Option<SessionReport>, SyncError>,
) -> Result<Option<SessionReport>, SyncError> {
    signal::check().inspect_err(|_| workspace.ctx.progress.end())?;
    let reason = match store(tx) {
        Err(SyncError::ChangedAlready(_)) => {
            "another copy of the session was imported: import again".to_owned()
        }
        Err(e) if e.is_about_one_session() => error_chain(&e),
        result => return result,
    };
    tx.discard_incomplete_sessions()?;
    Ok(Some(skipped_session(workspace, session, reason)))
}

/// Adds to `tx` what `session` has and the store has not; `None`: nothing.
pub(crate) fn store_session(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    session: &LocalSession,
) -> Result<Option<SessionReport>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let local = LocalCopy::closed(session);
    let writer = SessionWriter {
        workspace,
        snapshot: &snapshot,
        local: &local,
    };
    let (differences, is_stored) = match snapshot.manifest(&session.id)? {
        Some(manifest) => {
            let differences = compare_with(workspace, &snapshot, &manifest, &local, None)?;
            let is_stored = writer.is_stored(&manifest, &differences)?;
            (differences, is_stored)
        }
        None => {
            let names = session.files.keys();
            let differences = Differences {
                up: names.map(|name| (name.clone(), FileStep::Whole)).collect(),
                ..Differences::default()
            };
            let is_stored = differences.up.is_empty();
            (differences, is_stored)
        }
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
    let is_stored = |report: &&SessionReport| {
        matches!(
            report.outcome,
            Outcome::Added { .. } | Outcome::Extended { .. } | Outcome::Forked { .. }
        )
    };
    let sessions = reports.iter().filter(is_stored).count();
    let of_machine = machine.map_or_else(String::new, |name| format!(" of {name}"));
    let plural = if sessions == 1 { "" } else { "s" };
    format!("import{of_machine}: {sessions} session{plural}")
}

pub(crate) fn skipped_session(
    workspace: &Workspace<'_>,
    session: &SessionId,
    reason: String,
) -> SessionReport {
    let outcome = Outcome::Skipped { reason };
    described(&workspace.localizer, session, None, outcome)
}
