//! Carrying what was found into the store: each copy as if the machine that wrote it had pushed it.
//!
//! A copy is staged and compared like a session of this machine; what is new of it is collapsed with its machine's roots and stored, by the
//! same rules: the same, a part of what is here, a continuation, or a fork. A copy of which several machines wrote a stretch each is stored
//! stretch by stretch, because a commit changes a session from one side only.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use crate::checkouts::clones::Clones;
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Phase;
use crate::flows::merge::Merged;
use crate::flows::plan::{Differences, FileStep, Local, compare_with, described};
use crate::flows::push::mention_merged;
use crate::flows::remote_sync::{fetch, send, send_rest};
use crate::flows::store_session::Storing;
use crate::import::agents;
use crate::import::client::client;
use crate::import::directory::Named;
use crate::import::extras::Beside;
use crate::import::foreign::Foreign;
use crate::import::jobs::{Job, Part, add_agents, origins, plan_all};
use crate::import::listing::Listing;
use crate::import::machines::{machines, proposals};
use crate::import::origin::Origin;
use crate::import::run::{Edit, ImportReport, Layout};
use crate::import::source::Opened;
use crate::import::staging::{Copy, stage, stage_agents};
use crate::localize::localizer::Views;
use crate::report::transfer::{Outcome, ProseOutcome, RemoteState, Report, SessionReport};
use crate::session::discover::LocalSession;
use crate::store::Transaction;
use crate::store::machine::Machine;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Work;

/// A part of a job that is to be stored next.
#[derive(Debug, Clone, Copy)]
struct Step {
    job: usize,
    part: Part,
}

/// Does the import of an opened source. A plan is carried out like everything else, in a store of its own that is thrown away.
pub(crate) fn carry(
    ctx: &Context<'_>,
    opened: &Opened,
    dry_run: bool,
) -> Result<ImportReport, SyncError> {
    let mut work = Work::open(ctx)?;
    let newest = if dry_run {
        None
    } else {
        fetch_newest(&mut work)?
    };
    if dry_run {
        work.store = work.store.scratch(&opened.workshop.path().join("store"))?;
    }
    let mut report = match opened.layout {
        Layout::Client => client(&mut work, opened)?,
        Layout::Shared | Layout::PerMachine => foreign(&mut work, opened)?,
    };
    report.report.dry_run = dry_run;
    if !dry_run {
        let reached = newest.is_some();
        let (remote, mut merged) = if reached {
            send_rest(&mut work)?
        } else {
            send(&mut work)?
        };
        merged.add(newest.unwrap_or_default());
        mention_merged(&mut report.report, &work, merged)?;
        report.report.remote = remote;
        work.save()?;
    }
    report.report.sort();
    Ok(report)
}

/// What others have pushed comes first, so that nothing becomes a fork that need not be one. `None`: the remote is out of reach.
fn fetch_newest(work: &mut Work<'_>) -> Result<Option<Merged>, SyncError> {
    let merged = match fetch(work) {
        Ok(merged) => Some(merged),
        Err(SyncError::Remote(_)) => None,
        Err(e) => return Err(e),
    };
    work.refresh_machine()?;
    Ok(merged)
}

/// A store of claude-session-sync.
fn foreign(work: &mut Work<'_>, opened: &Opened) -> Result<ImportReport, SyncError> {
    let directory = &opened.directory;
    let mut refused = Named::default();
    let foreign = Foreign::read(directory, work.ctx.clock.now(), &mut refused);
    let mut listing = Listing::read(directory, &mut refused);
    let mut left = std::mem::take(&mut listing.left);
    let beside = Beside::read(directory, &mut left, &mut refused);
    let agents = agents::read(directory, &mut left, &mut refused);
    let origins = origins(work.ctx, &foreign, &listing.copies, beside.editors());
    let (mut jobs, mut skipped) = plan_all(work, listing.copies, &foreign, &origins)?;
    skipped.splice(0..0, listing.refused);
    add_agents(work, &mut jobs, agents, &origins, (directory, &mut left))?;
    run(
        work,
        &mut jobs,
        &origins,
        &opened.workshop.path().join("staged"),
    )?;
    let stored = work.store.head_snapshot()?.sessions()?;
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
    take_prose(
        work,
        &beside.assigned(&spelled, &origins, &mut left),
        &mut report.report,
    )?;
    report.found = (jobs.len() + skipped.len()) as u64;
    report.proposals = proposals(work, &origins)?;
    report.machines = machines(&origins, &jobs);
    collect(&mut report.report, jobs);
    let of_skipped = skipped
        .into_iter()
        .map(|(id, reason)| skipped_session(work, &id, reason));
    report.report.sessions.extend(of_skipped);
    report.report.passed_over = refused.into_vec();
    report.locks = foreign.locks;
    report.edits = foreign.edits.into_values().collect::<Vec<Edit>>();
    report.left = left.into_vec();
    Ok(report)
}

/// Stores what lies beside sessions, in one commit.
fn take_prose(
    work: &mut Work<'_>,
    texts: &[crate::extras::foreign::ForeignText],
    report: &mut Report,
) -> Result<(), SyncError> {
    let base = work.store.head()?;
    let mut tx = work.store.begin(base.as_ref())?;
    let writers = crate::extras::foreign::take_over(work, texts, &mut tx, report)?;
    let is_stored = |o: &ProseOutcome| {
        matches!(
            o,
            ProseOutcome::Sent | ProseOutcome::Merged | ProseOutcome::BothKept
        )
    };
    let files = report
        .beside
        .iter()
        .flat_map(|shelf| &shelf.files)
        .filter(|file| is_stored(&file.outcome))
        .count();
    let message = format!(
        "import: {files} file{} beside sessions",
        if files == 1 { "" } else { "s" }
    );
    let registered = commit(work, tx, base.as_ref(), &writers, &message)?;
    work.machine_changed &= !registered;
    Ok(())
}

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

/// Carries every job, in as few commits as there are machines and parts.
fn run(
    work: &mut Work<'_>,
    jobs: &mut [Job],
    origins: &[Origin],
    place: &Path,
) -> Result<(), SyncError> {
    let mut queues: BTreeMap<SessionId, VecDeque<Step>> = BTreeMap::new();
    for (at, job) in jobs.iter().enumerate() {
        let steps = job.parts().map(|part| Step { job: at, part });
        queues.entry(job.session.clone()).or_default().extend(steps);
    }
    work.ctx.progress.begin(
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
            store_together(work, jobs, origins, &origins[origin], &steps, place)?;
        }
    }
    work.ctx.progress.end();
    Ok(())
}

/// Stores what one machine wrote, in one commit.
fn store_together(
    work: &mut Work<'_>,
    jobs: &mut [Job],
    origins: &[Origin],
    origin: &Origin,
    steps: &[Step],
    place: &Path,
) -> Result<(), SyncError> {
    let views = views_of(work, origin)?;
    let mine = std::mem::replace(&mut work.views, views);
    let base = work.store.head()?;
    let mut tx = work.store.begin(base.as_ref())?;
    let mut done = Vec::new();
    for step in steps {
        let job = &jobs[step.job];
        let result = guarded(work, &mut tx, &job.session, |tx| {
            store_part(work, tx, job, step.part, origins, place)
        })?;
        work.ctx.progress.advance(1, job.bytes());
        if let Some(report) = result {
            done.push((step.job, report));
        }
    }
    let reports: Vec<SessionReport> = done.iter().map(|(_, report)| report.clone()).collect();
    let machine = Some(&origin.machine).filter(|_| !origin.this);
    let registered = commit(
        work,
        tx,
        base.as_ref(),
        machine.into_iter().cloned().collect::<Vec<_>>().as_slice(),
        &message(Some(origin), &reports),
    )?;
    work.machine_changed &= !registered;
    work.views = mine;
    done.into_iter()
        .for_each(|(job, report)| add_outcome(&mut jobs[job], report));
    Ok(())
}

/// Stores one part of a job; `None` if the store has it.
fn store_part(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    job: &Job,
    part: Part,
    origins: &[Origin],
    place: &Path,
) -> Result<Option<SessionReport>, SyncError> {
    let snapshot = work.store.head_snapshot()?;
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
            match stage(&copy, place, &work.views, &snapshot)? {
                Ok(staged) => store_session(work, tx, &staged),
                Err(reason) => Ok(Some(skipped_session(work, &job.session, reason))),
            }
        }
        (Part::Agents(n), _) => {
            // Without a transcript in the store it could not be taken, which is said.
            let Some(manifest) = snapshot.manifest(&job.session)? else {
                return Ok(None);
            };
            // What the client rewrites in place is only added: nobody knows which of two is the newer.
            let is_lacking = |name| manifest.file(Some(name)).is_none();
            let files = job.agents[n]
                .1
                .iter()
                .filter(|file| file.name.is_json_lines() || is_lacking(&file.name));
            store_session(work, tx, &stage_agents(&job.session, files, place)?)
        }
        (Part::Lines(_), None) => Ok(None),
    }
}

/// How a machine of the source would look at the store.
fn views_of(work: &Work<'_>, origin: &Origin) -> Result<Views, SyncError> {
    let (machines, _) = work.store.head_snapshot()?.machines()?;
    let others = machines
        .into_iter()
        .filter(|other| other.id != origin.machine.id)
        .map(|other| other.roots);
    let others = std::iter::once(work.ctx.settings.roots.clone())
        .chain(others)
        .collect();
    let setting = work.ctx.settings.paths;
    Ok(Views::new(
        origin.machine.id.clone(),
        origin.machine.roots.clone(),
        others,
        setting,
        Clones::known(work.ctx),
    ))
}

/// What `store` says; a session that fails is taken back whole and named.
pub(crate) fn guarded(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    session: &SessionId,
    store: impl FnOnce(&mut Transaction<'_>) -> Result<Option<SessionReport>, SyncError>,
) -> Result<Option<SessionReport>, SyncError> {
    if crate::sys::signal::interrupted() {
        work.ctx.progress.end();
        return Err(SyncError::Interrupted);
    }
    match store(tx) {
        Err(SyncError::ChangedAlready { .. }) => {
            tx.forget_incomplete_sessions()?;
            let reason =
                "another copy changed what it belongs to: run the command again".to_owned();
            Ok(Some(skipped_session(work, session, reason)))
        }
        Err(e) if e.is_about_one_session() => {
            tx.forget_incomplete_sessions()?;
            Ok(Some(skipped_session(work, session, e.in_words())))
        }
        result => result,
    }
}

/// Adds to `tx` what `session` has more than the store; `None` if that is nothing.
pub(crate) fn store_session(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    session: &LocalSession,
) -> Result<Option<SessionReport>, SyncError> {
    let snapshot = work.store.head_snapshot()?;
    let local = Local {
        session,
        live: false,
    };
    let manifest = snapshot.manifest(&session.id)?;
    let storing = Storing {
        work,
        snapshot: &snapshot,
        local: &local,
    };
    let found = match &manifest {
        Some(manifest) => compare_with(work, &snapshot, manifest, &local, None)?,
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

/// Commits what the transaction holds of what `machines` wrote, if anything; whether this machine is described in it.
pub(crate) fn commit(
    work: &Work<'_>,
    mut tx: Transaction<'_>,
    base: Option<&CommitId>,
    machines: &[Machine],
    message: &str,
) -> Result<bool, SyncError> {
    if tx.is_empty() {
        return Ok(false);
    }
    if work.machine_changed {
        tx.put_machine(&work.machine)?;
    }
    for there in machines.iter().filter(|there| there.id != work.machine.id) {
        // What of it cannot be read is written anew.
        let earlier = work
            .store
            .head_snapshot()?
            .machine(&there.id)
            .unwrap_or_default();
        let renewed = Machine::renewed(earlier, there.id.clone(), &there.name, there.roots.clone());
        tx.put_machine(&Machine {
            last_push: there.last_push.clone(),
            ..renewed
        })?;
    }
    tx.commit(&work.author(), message, base.cloned().as_slice())?;
    Ok(work.machine_changed)
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

pub(crate) fn skipped_session(
    work: &Work<'_>,
    session: &SessionId,
    reason: String,
) -> SessionReport {
    described(&work.views, session, None, Outcome::Skipped { reason })
}
