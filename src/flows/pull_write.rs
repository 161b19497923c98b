//! Writes the sessions of a pull plan.

use crate::domain::{Phase, Progress, SessionId};
use crate::flows::{
    describe::describe_session, parallel::on_all_cores, pull_plan::CreatedFork,
    pull_plan::PlannedSession, pull_plan::PullPlan, pull_step::PullStep, push_plan::skipped_files,
    skip::Attempt, write_session::LocalWriter, write_session::WrittenSession,
};
use crate::report::{Outcome, Report, SessionReport};
use crate::session::journal::{self, Journal};
use crate::session::{LocalSession, files::team_of};
use crate::store::Snapshot;
use crate::sys::signal;
use crate::workspace::{
    MachineNames, SyncError, Workspace, paths::undo_path, read_only::machine_names,
};

impl PullPlan<'_> {
    /// Writes what is planned, and reports it. Returns the sessions that are new here, too.
    pub(super) fn execute(
        self,
        workspace: &mut Workspace<'_>,
        journal: &Journal,
    ) -> Result<(Report, Vec<LocalSession>), SyncError> {
        let ctx = workspace.ctx;
        ctx.progress
            .begin(Phase::Materialise, self.steps.len() as u64, 0);
        let results = self.write_all(workspace, journal);
        self.record_teams(workspace);
        ctx.progress.end();

        let mut report = Report {
            skipped_files: skipped_files(self.found),
            deleted: self.deleted,
            deleted_all: self.deleted_all(),
            ..Report::default()
        };
        let (mut written, mut added) = (Vec::new(), Vec::new());
        for result in results? {
            match result {
                StepResult::Nothing => report.unchanged += 1,
                StepResult::Reported(session) => report.sessions.push(*session),
                StepResult::Written(session) => {
                    if matches!(session.report.outcome, Outcome::Added { .. }) {
                        added.extend(session.in_sync.clone());
                    }
                    report.sessions.push(session.report);
                    written.extend(session.in_sync);
                }
            }
        }
        journal::prune(&undo_path(ctx.env), ctx.clock.now());

        // Stamps are those of what was compared or written: if Claude Code has written to a file
        // since, the next command compares it.
        let in_sync = self.in_sync();
        let (records, store) = (&mut workspace.records, &workspace.store);
        records.record_up_to_date(store, in_sync, self.compared_at.as_ref())?;
        records.record_up_to_date(store, &written, store.head()?.as_ref())?;
        self.report_forks(workspace, &mut report)?;
        let not_pulled = self.steps.into_iter().filter_map(|planned| {
            if let PullStep::NotPulled(not_pulled) = planned.step {
                not_pulled.record
            } else {
                None
            }
        });
        let not_pulled = not_pulled.collect();
        workspace
            .records
            .record_not_pulled(&workspace.store, not_pulled)?;
        report.sort();
        Ok((report, added))
    }

    /// Writes new sessions first, forks among them: what is replaced afterwards is in a fork by
    /// then.
    fn write_all(
        &self,
        workspace: &Workspace<'_>,
        journal: &Journal,
    ) -> Result<Vec<StepResult>, SyncError> {
        let writes = |planned: &PlannedSession| matches!(planned.step, PullStep::Write(_));
        let snapshot = workspace.store.head_snapshot()?;
        let names = if self.steps.iter().any(writes) {
            machine_names(workspace.ctx, Some(&snapshot))?
        } else {
            MachineNames::new()
        };
        let writer = LocalWriter::new(workspace, journal, &names);
        let progress = &*workspace.ctx.progress;
        let (new, others): (Vec<&PlannedSession>, Vec<_>) = self
            .steps
            .iter()
            .partition(|planned| planned.step.writes_new_session());
        let mut results = on_all_cores(&workspace.store, &new, &|snapshot, planned| {
            execute_step(&writer, snapshot, planned, progress)
        })?;
        for planned in others {
            results.push(execute_step(&writer, &snapshot, planned, progress)?);
        }
        Ok(results)
    }

    /// Records which sessions have the task lists of teams from now on.
    fn record_teams(&self, workspace: &mut Workspace<'_>) {
        for planned in &self.steps {
            if let PullStep::Write(update) = &planned.step {
                let teams = update.files.keys().filter_map(team_of);
                teams.for_each(|team| workspace.records.teams.record(team, &planned.id));
            }
        }
    }

    /// Returns the sessions that were in sync already.
    fn in_sync(&self) -> Vec<&LocalSession> {
        let unchanged = self.steps.iter().filter(|planned| {
            matches!(planned.step, PullStep::Nothing) && !self.live.contains(&planned.id)
        });
        unchanged
            .filter_map(|planned| self.found.sessions.get(&planned.id))
            .collect()
    }

    /// Reports the session that lost a tail as forked, and the fork itself not again.
    fn report_forks(
        &self,
        workspace: &Workspace<'_>,
        report: &mut Report,
    ) -> Result<(), SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        for CreatedFork {
            session: id,
            fork,
            lines,
            turns,
        } in &self.forks
        {
            report.sessions.retain(|session| {
                let is_other = session.session != *fork && session.session != *id;
                is_other || matches!(session.outcome, Outcome::Skipped { .. })
            });
            if report.session_mut(id).is_none() {
                let outcome = Outcome::Forked {
                    fork: fork.clone(),
                    lines: *lines,
                };
                let manifest = snapshot.manifest(id)?;
                let localizer = &workspace.localizer;
                let mut session = describe_session(localizer, id, manifest.as_ref(), outcome);
                session.turns = *turns;
                report.sessions.push(session);
            }
        }
        Ok(())
    }
}

/// The result of one step.
enum StepResult {
    Nothing,
    Reported(Box<SessionReport>),
    Written(Box<WrittenSession>),
}

/// Executes one step. What concerns only one session is in its report.
fn execute_step(
    writer: &LocalWriter<'_>,
    snapshot: &Snapshot<'_>,
    planned: &PlannedSession,
    progress: &dyn Progress,
) -> Result<StepResult, SyncError> {
    signal::check()?;
    let (id, step) = (&planned.id, &planned.step);
    let result = match step {
        PullStep::Nothing | PullStep::Pinned(None) => StepResult::Nothing,
        PullStep::Write(update) => match Attempt::new(update.write(writer, snapshot, id))? {
            Attempt::Done(written) => StepResult::Written(Box::new(written)),
            Attempt::Skipped(reason) => reported(SessionReport::skipped(id.clone(), reason)),
        },
        _ => match step.report() {
            Some(report) => reported(report.clone()),
            None => reported(preview(writer, snapshot, id, step)),
        },
    };
    progress.advance(1, 0);
    Ok(result)
}

fn reported(report: SessionReport) -> StepResult {
    StepResult::Reported(Box::new(report))
}

fn preview(
    writer: &LocalWriter<'_>,
    snapshot: &Snapshot<'_>,
    id: &SessionId,
    step: &PullStep,
) -> SessionReport {
    let manifest = snapshot.manifest(id).ok().flatten();
    let outcome = step.preview(manifest.as_ref());
    describe_session(writer.localizer, id, manifest.as_ref(), outcome)
}
