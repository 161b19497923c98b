//! Carrying what was found into the store: each copy as if the machine that wrote it had pushed it.
//!
//! A copy is staged and compared like a session of this machine; what is new of it is collapsed with its machine's roots and stored, by the
//! same rules: the same, a part of what is here, a continuation, or a fork. A copy of which several machines wrote a stretch each is stored
//! stretch by stretch, because a commit changes a session from one side only.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use crate::checkouts::clones::Clones;
use crate::domain::id::SessionId;
use crate::domain::progress::Phase;
use crate::domain::session_file::SessionFile;
use crate::import::agents;
use crate::import::directory::Named;
use crate::import::extras::ExtraKind;
use crate::import::foreign::Foreign;
use crate::import::jobs::{Job, Part, add_agents, origins, plan_all};
use crate::import::listing::Listing;
use crate::import::machines::{machines, proposals};
use crate::import::origin::Origin;
use crate::import::source::Opened;
use crate::import::staging::{Copy, stage, stage_agents};
use crate::import::types::{Edit, ImportReport};
use crate::localize::localizer::Localizer;
use crate::report::transfer::{ExtraOutcome, Outcome, Report, SessionReport};
use crate::store::Transaction;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

use crate::import::store::{commit, empty, guarded, message, skipped_session, store_session};

/// A part of a job that is to be stored next.
#[derive(Debug, Clone, Copy)]
struct Step {
    job: usize,
    part: Part,
}

/// A store of claude-session-sync.
pub(crate) fn claude_session_sync(
    workspace: &mut Workspace<'_>,
    opened: &Opened,
) -> Result<ImportReport, SyncError> {
    let directory = &opened.directory;
    let mut refused = Named::default();
    let foreign = Foreign::read(directory, workspace.ctx.clock.now(), &mut refused);
    let mut listing = Listing::read(directory, &mut refused);
    let mut left = std::mem::take(&mut listing.left);
    let extras = ExtraKind::read(directory, &mut left, &mut refused);
    let agents = agents::read(directory, &mut left, &mut refused);
    let origins = origins(workspace.ctx, &foreign, &listing.copies, extras.editors());
    let (mut jobs, mut skipped) = plan_all(workspace, listing.copies, &foreign, &origins)?;
    skipped.splice(0..0, listing.refused);
    add_agents(
        workspace,
        &mut jobs,
        agents,
        &origins,
        (directory, &mut left),
    )?;
    run(
        workspace,
        &mut jobs,
        &origins,
        &opened.staging_dir.path().join("staged"),
    )?;
    let stored = workspace.store.head_snapshot()?.sessions()?;
    for job in jobs
        .iter_mut()
        .filter(|job| !stored.contains_key(&job.session))
    {
        job.leave_agents(directory, &mut left, "its session was not taken");
    }
    let mut report = empty(opened);
    let spelled: Vec<String> = foreign
        .projects
        .values()
        .cloned()
        .chain(jobs.iter().filter_map(|job| job.cwd.clone()))
        .collect();
    take_extra(
        workspace,
        &extras.assigned(&spelled, &origins, &mut left),
        &mut report.report,
    )?;
    report.found = (jobs.len() + skipped.len()) as u64;
    report.proposals = proposals(workspace, &origins)?;
    report.machines = machines(&origins, &jobs);
    collect(&mut report.report, jobs);
    let of_skipped = skipped
        .into_iter()
        .map(|(id, reason)| skipped_session(workspace, &id, reason));
    report.report.sessions.extend(of_skipped);
    report.report.passed_over = refused.into_vec();
    report.locks = foreign.locks;
    report.edits = foreign.edits.into_values().collect::<Vec<Edit>>();
    report.left = left.into_vec();
    Ok(report)
}

/// Stores what lies beside sessions, in one commit.
fn take_extra(
    workspace: &mut Workspace<'_>,
    texts: &[crate::extras::foreign_text::ForeignText],
    report: &mut Report,
) -> Result<(), SyncError> {
    let base = workspace.store.head()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    let writers = crate::extras::foreign::take_over(workspace, texts, &mut tx, report)?;
    let is_stored = |o: &ExtraOutcome| {
        matches!(
            o,
            ExtraOutcome::Sent | ExtraOutcome::Merged | ExtraOutcome::BothKept
        )
    };
    let files = report
        .extras
        .iter()
        .flat_map(|bundle| &bundle.files)
        .filter(|file| is_stored(&file.outcome))
        .count();
    let message = format!(
        "import: {files} file{} beside sessions",
        if files == 1 { "" } else { "s" }
    );
    commit(workspace, tx, base.as_ref(), &writers, &message)?;
    Ok(())
}

/// Carries every job, in as few commits as there are machines and parts.
fn run(
    workspace: &mut Workspace<'_>,
    jobs: &mut [Job],
    origins: &[Origin],
    place: &Path,
) -> Result<(), SyncError> {
    let mut queues: BTreeMap<SessionId, VecDeque<Step>> = BTreeMap::new();
    for (at, job) in jobs.iter().enumerate() {
        let steps = job.parts().map(|part| Step { job: at, part });
        queues.entry(job.session.clone()).or_default().extend(steps);
    }
    workspace.ctx.progress.begin(
        Phase::Store,
        jobs.len() as u64,
        jobs.iter().map(Job::bytes).sum(),
    );
    while queues.values().any(|queue| !queue.is_empty()) {
        let mut by_origin: BTreeMap<usize, Vec<Step>> = BTreeMap::new();
        for step in queues.values_mut().filter_map(VecDeque::pop_front) {
            by_origin
                .entry(jobs[step.job].writer_of(step.part))
                .or_default()
                .push(step);
        }
        for (origin, steps) in by_origin {
            store_together(workspace, jobs, origins, &origins[origin], &steps, place)?;
        }
    }
    workspace.ctx.progress.end();
    Ok(())
}

/// Stores what one machine wrote, in one commit.
fn store_together(
    workspace: &mut Workspace<'_>,
    jobs: &mut [Job],
    origins: &[Origin],
    origin: &Origin,
    steps: &[Step],
    place: &Path,
) -> Result<(), SyncError> {
    let localizer = views_of(workspace, origin)?;
    let mine = std::mem::replace(&mut workspace.localizer, localizer);
    let base = workspace.store.head()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    let mut done = Vec::new();
    for step in steps {
        let job = &jobs[step.job];
        let result = guarded(workspace, &mut tx, &job.session, |tx| {
            store_part(workspace, tx, job, step.part, origins, place)
        })?;
        workspace.ctx.progress.advance(1, job.bytes());
        if let Some(report) = result {
            done.push((step.job, report));
        }
    }
    let reports: Vec<SessionReport> = done.iter().map(|(_, report)| report.clone()).collect();
    let machine = Some(&origin.machine).filter(|_| !origin.this);
    commit(
        workspace,
        tx,
        base.as_ref(),
        machine.into_iter().cloned().collect::<Vec<_>>().as_slice(),
        &message(Some(origin), &reports),
    )?;
    workspace.localizer = mine;
    done.into_iter()
        .for_each(|(job, report)| add_outcome(&mut jobs[job], report));
    Ok(())
}

/// Stores one part of a job; `None` if the store has it.
fn store_part(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    job: &Job,
    part: Part,
    origins: &[Origin],
    place: &Path,
) -> Result<Option<SessionReport>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    match (part, &job.copy) {
        (Part::Lines(stretch), Some(copy)) => {
            let writers = job.writers[..=stretch].iter();
            let writers: Vec<_> = writers
                .map(|(origin, lines)| (&origins[*origin], *lines))
                .collect();
            let otherwise = job.otherwise.as_str();
            let copy = Copy {
                session: &job.session,
                path: &copy.path,
                writers: &writers,
                origins,
                otherwise,
            };
            match stage(&copy, place, &workspace.localizer, &snapshot)? {
                Ok(staged) => store_session(workspace, tx, &staged),
                Err(reason) => Ok(Some(skipped_session(workspace, &job.session, reason))),
            }
        }
        (Part::Agents(n), _) => {
            // Without a transcript in the store it could not be taken, which is said.
            let Some(manifest) = snapshot.manifest(&job.session)? else {
                return Ok(None);
            };
            // What the client rewrites in place is only added: nobody knows which of two is the newer.
            let files = job.agents[n].1.iter().filter(|agent| {
                let file = SessionFile::from(agent.name.clone());
                file.is_append_only() || manifest.file(&file).is_none()
            });
            store_session(workspace, tx, &stage_agents(&job.session, files, place)?)
        }
        (Part::Lines(_), None) => Ok(None),
    }
}

/// How a machine of the source would look at the store.
fn views_of(workspace: &Workspace<'_>, origin: &Origin) -> Result<Localizer, SyncError> {
    let machines = workspace.store.head_snapshot()?.machines()?;
    let others = machines
        .into_iter()
        .filter(|other| other.id != origin.machine.id)
        .map(|other| other.placeholders);
    let others = std::iter::once(workspace.ctx.settings.placeholders.clone())
        .chain(others)
        .collect();
    let setting = workspace.ctx.settings.paths;
    Ok(Localizer::new(
        origin.machine.id.clone(),
        origin.machine.placeholders.clone(),
        others,
        setting,
        Clones::new(
            workspace.ctx.env,
            &workspace.ctx.settings.placeholders,
            workspace.ctx.clock,
        ),
    ))
}

/// What was stored in several parts has one outcome.
fn add_outcome(job: &mut Job, report: SessionReport) {
    let Some(before) = job.outcome.take() else {
        job.outcome = Some(report);
        return;
    };
    let outcome = match (&before.outcome, &report.outcome) {
        (
            Outcome::Added { lines, bytes },
            Outcome::Extended {
                lines: more,
                bytes: more_bytes,
            },
        ) => Outcome::Added {
            lines: lines + more,
            bytes: bytes + more_bytes,
        },
        (
            Outcome::Extended { lines, bytes },
            Outcome::Extended {
                lines: more,
                bytes: more_bytes,
            },
        ) => Outcome::Extended {
            lines: lines + more,
            bytes: bytes + more_bytes,
        },
        // That both sides were kept, or that something failed, is what has to be known.
        (
            Outcome::Forked { .. } | Outcome::Skipped { .. },
            Outcome::Added { .. } | Outcome::Extended { .. },
        ) => before.outcome.clone(),
        _ => report.outcome.clone(),
    };
    let mut notes = before.notes;
    notes.extend(
        report
            .notes
            .iter()
            .filter(|note| !notes.contains(note))
            .cloned()
            .collect::<Vec<_>>(),
    );
    let turns = before
        .turns
        .zip(report.turns)
        .map(|(before, more)| before + more);
    job.outcome = Some(SessionReport {
        outcome,
        notes,
        turns,
        ..report
    });
}

fn collect(report: &mut Report, jobs: Vec<Job>) {
    for job in jobs {
        match job.outcome {
            Some(mut session) => {
                session.notes.extend(job.notes);
                report.sessions.push(session);
            }
            None => report.unchanged += 1,
        }
    }
}
