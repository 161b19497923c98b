//! Stores the sessions of a push plan: in one commit, except for a session and its fork that both
//! changed.

use crate::domain::{CommitId, Phase, SessionId};
use crate::flows::differences::Differences;
use crate::flows::push_plan::{PushPlan, PushStep};
use crate::flows::skip::Attempt;
use crate::flows::store_session::{SessionWriter, StoreOutcome};
use crate::localize::LocalCopy;
use crate::report::{Outcome, Report, SessionReport, count::count};
use crate::session::LocalSession;
use crate::store::{Author, Transaction, machine::Machine};
use crate::sys::signal;
use crate::workspace::{Context, SyncError, Workspace};

/// Stores everything in `plan`, and reports it. Pushes nothing.
pub(crate) fn store_sessions(
    workspace: &mut Workspace<'_>,
    mut plan: PushPlan<'_>,
) -> Result<Report, SyncError> {
    let compared_at = workspace.store.head()?;
    let mut steps = std::mem::take(&mut plan.steps);
    let mut sessions = Vec::new();
    let bytes = steps.iter().map(|step| step.local.session.bytes()).sum();
    let ctx = workspace.ctx;
    ctx.progress.begin(Phase::Store, steps.len() as u64, bytes);
    // Only whole lines of a running session were compared.
    let closed = plan.up_to_date.iter().filter(|local| !local.live);
    let closed: Vec<&LocalSession> = closed.map(|local| local.session).collect();
    loop {
        let batch = store_batch(workspace, steps)?;
        sessions.extend(batch.reports);
        if batch.retry.is_empty() {
            break;
        }
        plan.compare(workspace, batch.retry)?;
        steps = std::mem::take(&mut plan.steps);
    }
    ctx.progress.end();

    let (records, store) = (&mut workspace.records, &workspace.store);
    records.record_up_to_date(store, closed, compared_at.as_ref())?;
    let mut report = plan.into_report();
    report.sessions.extend(sessions);
    report.sort();
    Ok(report)
}

/// Result of storing sessions in one commit.
#[derive(Default)]
struct StoredBatch<'a> {
    reports: Vec<SessionReport>,
    /// Sessions that are in sync now.
    in_sync: Vec<&'a LocalSession>,
    not_in_sync: Vec<&'a SessionId>,
    /// Sessions that Claude Code has open, and of which all whole lines are stored.
    open: Vec<&'a LocalSession>,
    /// Sessions that stay pinned, with what Claude Code has changed in other files.
    pinned: Vec<&'a LocalSession>,
    /// Sessions to compare again: a session of this commit became a fork and changed what
    /// they continue.
    retry: Vec<LocalCopy<'a>>,
}

/// Stores sessions in one commit.
fn store_batch<'a>(
    workspace: &mut Workspace<'_>,
    steps: Vec<PushStep<'a>>,
) -> Result<StoredBatch<'a>, SyncError> {
    let base = workspace.store.head()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    let mut batch = StoredBatch::default();
    for PushStep { local, differences } in steps {
        signal::check().inspect_err(|_| workspace.ctx.progress.end())?;
        let bytes = local.session.bytes();
        batch.store(workspace, &mut tx, local, &differences)?;
        workspace.ctx.progress.advance(1, bytes);
    }
    let machine = &mut workspace.machine;
    commit(workspace.ctx, machine, tx, base.as_ref(), &batch.reports)?;

    let (records, store) = (&mut workspace.records, &workspace.store);
    let in_sync = batch.in_sync.iter().map(|session| &session.id);
    for id in in_sync.chain(batch.not_in_sync.iter().copied()) {
        records.index.expire(id);
    }
    let head = store.head()?;
    records.record_up_to_date(store, batch.in_sync.iter().copied(), head.as_ref())?;
    records.record_rewritten(store, batch.open.iter().copied())?;
    for session in &batch.pinned {
        if let Some(state) = store.head_snapshot()?.state(&session.id)? {
            records.pinned.pin(session, state);
        }
    }
    Ok(batch)
}

impl<'a> StoredBatch<'a> {
    /// Stores one session.
    fn store(
        &mut self,
        workspace: &Workspace<'_>,
        tx: &mut Transaction<'_>,
        local: LocalCopy<'a>,
        differences: &Differences,
    ) -> Result<(), SyncError> {
        let session = local.session;
        let snapshot = workspace.store.head_snapshot()?;
        let was_pinned = workspace
            .records
            .pinned
            .has_transcript(session, &snapshot)?;
        let writer = SessionWriter::new(workspace, &snapshot, &local);
        let report = match Attempt::in_transaction(tx, |tx| writer.store(tx, differences))? {
            Attempt::Done(StoreOutcome::Stored(report)) => report,
            Attempt::Done(StoreOutcome::Retry) => {
                self.retry.push(local);
                return Ok(());
            }
            Attempt::Skipped(reason) => {
                self.not_in_sync.push(&session.id);
                let report = SessionReport::skipped(session.id.clone(), reason);
                self.reports.push(report);
                return Ok(());
            }
        };
        if differences.are_resolved_by_push() && !local.live {
            self.in_sync.push(session);
        } else {
            self.not_in_sync.push(&session.id);
            if differences.are_resolved_by_push() {
                self.open.push(session);
            }
            if was_pinned && matches!(report.outcome, Outcome::Extended { .. }) {
                self.pinned.push(session);
            }
        }
        self.reports.push(report);
        Ok(())
    }
}

/// Commits what the transaction has, with the time of the push in this machine's file.
fn commit(
    ctx: &Context<'_>,
    machine: &mut Machine,
    mut tx: Transaction<'_>,
    base: Option<&CommitId>,
    reports: &[SessionReport],
) -> Result<(), SyncError> {
    if tx.is_empty() && tx.has_machine(machine)? {
        return Ok(());
    }
    ctx.progress.begin(Phase::Commit, 0, 0);
    let time = ctx.clock.now();
    machine.record_push(time);
    tx.write_machine(machine)?;
    let stored = reports.iter().filter(|report| report.outcome.is_stored());
    let sessions = count(stored.count() as u64, "session");
    let message = format!("push from {}: {sessions}", machine.name);
    let author = Author {
        machine,
        time,
        named: ctx.settings.author.as_ref(),
    };
    let result = tx.commit(&author, &message, base.cloned().as_slice());
    ctx.progress.end();
    result?;
    Ok(())
}
