//! Stores the jobs of an import, each part as if the machine that wrote it had pushed it.
//!
//! A commit changes a session from one side only. So a session that several machines wrote is
//! stored in stretches, and each commit has what one machine wrote of all sessions.

use std::sync::Arc;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use crate::checkouts::Clones;
use crate::domain::{Phase, SessionFile, SessionId};
use crate::flows::store_session::StoreOutcome;
use crate::import::jobs::{ImportJob, JobPart};
use crate::import::source_machine::SourceMachine;
use crate::import::staging::{SourceTranscript, Staged, StagedLines, stage, stage_agents};
use crate::import::store::{commit, commit_message, store_or_skip, store_session};
use crate::localize::Localizer;
use crate::report::{Outcome, SessionReport};
use crate::store::Transaction;
use crate::workspace::{SyncError, Workspace};

/// A part of a job to store next.
#[derive(Debug, Clone, Copy)]
struct ImportStep {
    job: usize,
    part: JobPart,
}

/// Stores all jobs in as few commits as possible, and sets their outcomes.
pub(crate) fn store_jobs(
    workspace: &mut Workspace<'_>,
    jobs: &mut [ImportJob],
    machines: &[SourceMachine],
    staging_dir: &Path,
) -> Result<(), SyncError> {
    let mut queues: BTreeMap<SessionId, VecDeque<ImportStep>> = BTreeMap::new();
    for (at, job) in jobs.iter().enumerate() {
        let steps = job.parts().map(|part| ImportStep { job: at, part });
        queues.entry(job.session.clone()).or_default().extend(steps);
    }
    let bytes = jobs.iter().map(ImportJob::bytes).sum();
    let progress = &workspace.ctx.progress;
    progress.begin(Phase::Store, jobs.len() as u64, bytes);
    while queues.values().any(|queue| !queue.is_empty()) {
        let mut by_machine: BTreeMap<usize, Vec<ImportStep>> = BTreeMap::new();
        for step in queues.values_mut().filter_map(VecDeque::pop_front) {
            let writer = jobs[step.job].writer(step.part);
            by_machine.entry(writer).or_default().push(step);
        }
        for (machine, steps) in by_machine {
            store_steps(
                workspace,
                jobs,
                &steps,
                &machines[machine],
                machines,
                staging_dir,
            )?;
        }
    }
    workspace.ctx.progress.end();
    Ok(())
}

/// Stores what one machine wrote, in one commit.
fn store_steps(
    workspace: &mut Workspace<'_>,
    jobs: &mut [ImportJob],
    steps: &[ImportStep],
    machine: &SourceMachine,
    machines: &[SourceMachine],
    staging_dir: &Path,
) -> Result<(), SyncError> {
    let localizer = localizer_of(workspace, machine)?;
    let mine = std::mem::replace(&mut workspace.localizer, localizer);
    let base = workspace.store.head()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    let (mut stored, mut reports) = (Vec::new(), Vec::new());
    for step in steps {
        let job = &jobs[step.job];
        let report = store_or_skip(workspace, &mut tx, &job.session, |tx| {
            store_part(workspace, tx, job, step.part, machines, staging_dir)
        })?;
        workspace.ctx.progress.advance(1, job.bytes());
        if let Some(report) = report {
            stored.push(step.job);
            reports.push(report);
        }
    }

    let message = commit_message(Some(&machine.machine.name), &reports);
    let writers = std::slice::from_ref(&machine.machine);
    commit(workspace, tx, base.as_ref(), writers, &message)?;
    workspace.localizer = mine;
    for (job, report) in stored.into_iter().zip(reports) {
        let before = jobs[job].outcome.take();
        jobs[job].outcome = Some(match before {
            Some(before) => join_outcomes(before, report),
            None => report,
        });
    }
    Ok(())
}

/// Stores a part of a job; `None`: the store has it already.
fn store_part(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    job: &ImportJob,
    part: JobPart,
    machines: &[SourceMachine],
    staging_dir: &Path,
) -> Result<Option<StoreOutcome>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    match (part, &job.copy) {
        (JobPart::Lines(last), Some(copy)) => {
            let stretches = job.stretches[..=last].iter().map(|stretch| StagedLines {
                machine: &machines[stretch.machine],
                lines: stretch.lines,
            });
            let source = SourceTranscript {
                session: &job.session,
                path: &copy.path,
                stretches: &stretches.collect::<Vec<_>>(),
                machines,
                fallback_directory: &job.fallback_directory,
            };
            match stage(&source, staging_dir, &workspace.localizer, &snapshot)? {
                Staged::Session(session) => store_session(workspace, tx, &session),
                Staged::Refused(reason) => {
                    let session = job.session.clone();
                    let report = SessionReport::skipped(session, reason.to_owned());
                    Ok(Some(StoreOutcome::Stored(report)))
                }
            }
        }
        (JobPart::Agents(at), _) => {
            // If the transcript was skipped, its report tells why.
            let Some(manifest) = snapshot.manifest(&job.session)? else {
                return Ok(None);
            };
            // A file that the client rewrites is only added: which version is newer is unknown.
            let files = job.agents[at].files.iter().filter(|agent| {
                let file = SessionFile::from(agent.name.clone());
                file.is_append_only() || manifest.file(&file).is_none()
            });
            store_session(
                workspace,
                tx,
                &stage_agents(&job.session, files, staging_dir)?,
            )
        }
        (JobPart::Lines(_), None) => Ok(None),
    }
}

/// Returns the localizer that a machine of the source would use.
fn localizer_of(
    workspace: &Workspace<'_>,
    machine: &SourceMachine,
) -> Result<Localizer, SyncError> {
    let ctx = workspace.ctx;
    let mine = &ctx.settings.placeholders;
    let machines = workspace.store.head_snapshot()?.machines()?;
    let others = machines
        .into_iter()
        .filter(|other| other.id != machine.machine.id)
        .map(|other| other.placeholders);
    let localizer = Localizer::new(
        machine.machine.id.clone(),
        machine.machine.placeholders.clone(),
        std::iter::once(mine.clone()).chain(others).collect(),
        ctx.settings.localize,
        Clones::new(ctx.env, mine, ctx.clock),
    );
    Ok(match workspace.localizer.secrets() {
        Some(secrets) => localizer.with_secrets(Arc::clone(secrets)),
        None => localizer,
    })
}

/// Joins the outcomes of two parts of one session.
fn join_outcomes(before: SessionReport, report: SessionReport) -> SessionReport {
    use Outcome::{Added, Extended, Forked, Skipped};
    let outcome = match (&before.outcome, &report.outcome) {
        (Added { lines, bytes }, Extended { lines: l, bytes: b }) => Added {
            lines: lines + l,
            bytes: bytes + b,
        },
        (Extended { lines, bytes }, Extended { lines: l, bytes: b }) => Extended {
            lines: lines + l,
            bytes: bytes + b,
        },
        // A fork or a problem must not be hidden by a later success.
        (Forked { .. } | Skipped { .. }, Added { .. } | Extended { .. }) => before.outcome,
        _ => report.outcome,
    };
    let mut warnings = before.warnings;
    for warning in report.warnings {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let turns = before.turns.zip(report.turns);
    SessionReport {
        outcome,
        warnings,
        turns: turns.map(|(before, more)| before + more),
        ..report
    }
}
