//! Storing one session of an import, and committing what was stored.

use crate::domain::id::{CommitId, SessionId};
use crate::flows::plan::{Differences, FileStep, compare_with, described};
use crate::flows::store_outcome::{NotStored, StoreOutcome, store_or_skip};
use crate::flows::store_session::SessionWriter;
use crate::import::origin::Origin;
use crate::import::source::Opened;
use crate::import::types::ImportReport;
use crate::localize::local_copy::LocalCopy;
use crate::report::transfer::{Outcome, RemoteState, Report, SessionReport};
use crate::session::discover::LocalSession;
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
    store: impl FnOnce(&mut Transaction<'_>) -> Result<Option<SessionReport>, NotStored>,
) -> Result<Option<SessionReport>, SyncError> {
    signal::check().inspect_err(|_| workspace.ctx.progress.end())?;
    let reason = match store_or_skip(tx, store)? {
        StoreOutcome::Stored(report) => return Ok(report),
        StoreOutcome::Retry => {
            "another copy changed the same session: run the command again".to_owned()
        }
        StoreOutcome::Skipped(reason) => reason,
    };
    Ok(Some(skipped_session(workspace, session, reason)))
}

/// Adds to `tx` what `session` has more than the store; `None` if that is nothing.
pub(crate) fn store_session(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    session: &LocalSession,
) -> Result<Option<SessionReport>, NotStored> {
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
