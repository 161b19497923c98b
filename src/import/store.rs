//! Storing one session of an import, and committing what was stored.

use crate::domain::error::UserError;
use crate::domain::error::error_chain;
use crate::domain::id::{CommitId, SessionId};
use crate::flows::plan::{Differences, FileStep, compare_with, described};
use crate::flows::store_session::SessionWriter;
use crate::import::origin::Origin;
use crate::import::source::Opened;
use crate::import::types::ImportReport;
use crate::localize::local_copy::LocalCopy;
use crate::report::transfer::{Outcome, RemoteState, Report, SessionReport};
use crate::session::LocalSession;
use crate::store::Transaction;
use crate::store::machine::Machine;
use crate::sys::signal;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

pub(crate) fn empty(opened: &Opened) -> ImportReport {
    ImportReport {
        source: opened.name.clone(),
        layout: opened.layout,
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

/// What `store` says; a session that fails is taken back whole and named.
pub(crate) fn guarded(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    session: &SessionId,
    store: impl FnOnce(&mut Transaction<'_>) -> Result<Option<SessionReport>, SyncError>,
) -> Result<Option<SessionReport>, SyncError> {
    signal::check().inspect_err(|_| workspace.ctx.progress.end())?;
    match store(tx) {
        Err(SyncError::ChangedAlready(_)) => {
            tx.discard_incomplete_sessions()?;
            let reason =
                "another copy changed what it belongs to: run the command again".to_owned();
            Ok(Some(skipped_session(workspace, session, reason)))
        }
        Err(e) if e.is_about_one_session() => {
            tx.discard_incomplete_sessions()?;
            Ok(Some(skipped_session(workspace, session, error_chain(&e))))
        }
        result => result,
    }
}

/// Adds to `tx` what `session` has more than the store; `None` if that is nothing.
pub(crate) fn store_session(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    session: &LocalSession,
) -> Result<Option<SessionReport>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let local = LocalCopy::closed(session);
    let manifest = snapshot.manifest(&session.id)?;
    let storing = SessionWriter {
        workspace,
        snapshot: &snapshot,
        local: &local,
    };
    let found = match &manifest {
        Some(manifest) => compare_with(workspace, &snapshot, manifest, &local, None)?,
        None => Differences {
            up: session
                .files
                .keys()
                .map(|name| (name.clone(), FileStep::Whole))
                .collect(),
            ..Differences::default()
        },
    };
    if manifest
        .as_ref()
        .map_or(Ok(found.up.is_empty()), |stored| {
            storing.is_stored(stored, &found)
        })?
    {
        return Ok(None);
    }
    storing.store(tx, &found).map(Some)
}

/// Commits what the transaction holds of what `machines` wrote, if anything.
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
    for there in machines
        .iter()
        .filter(|there| there.id != workspace.machine.id)
    {
        // What of it cannot be read is written anew.
        let earlier = workspace
            .store
            .head_snapshot()?
            .machine(&there.id)
            .unwrap_or_default();
        let renewed = Machine::renewed(
            earlier,
            there.id.clone(),
            &there.name,
            there.placeholders.clone(),
        );
        tx.write_machine(&Machine {
            last_push: there.last_push.clone(),
            ..renewed
        })?;
    }
    tx.commit(&workspace.author(), message, base.cloned().as_slice())?;
    Ok(())
}

pub(crate) fn message(origin: Option<&Origin>, reports: &[SessionReport]) -> String {
    let stored = |o: &Outcome| {
        matches!(
            o,
            Outcome::Added { .. } | Outcome::Extended { .. } | Outcome::Forked { .. }
        )
    };
    let sessions = reports
        .iter()
        .filter(|report| stored(&report.outcome))
        .count() as u64;
    let whose = origin
        .map(|origin| format!(" of {}", origin.machine.name))
        .unwrap_or_default();
    format!(
        "import{whose}: {sessions} session{}",
        if sessions == 1 { "" } else { "s" }
    )
}

pub(crate) fn skipped_session(
    workspace: &Workspace<'_>,
    session: &SessionId,
    reason: String,
) -> SessionReport {
    described(
        &workspace.localizer,
        session,
        None,
        Outcome::Skipped { reason },
    )
}
