//! Carrying what was found into the store: each copy as if the machine that wrote it had pushed it.
//!
//! A copy is staged and compared like a session of this machine; what is new of it is collapsed with its machine's roots and stored, by the
//! same rules: the same, a part of what is here, a continuation, or a fork. A copy of which several machines wrote a stretch each is stored
//! stretch by stretch, because a commit changes a session from one side only.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use super::directory::Named;
use super::foreign::Foreign;
use super::listing::{Listing, SessionCopy};
use super::origin::{Origin, writer};
use super::source::Opened;
use super::staging::{Copy, stage};
use super::survey::{Lines, Survey};
use super::text::Directories;
use super::{Edit, ImportReport, ImportedMachine, Layout, Proposal};
use crate::domain::client_dir::client_dir_name;
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Phase;
use crate::domain::root::{Root, RootName, RootSet};
use crate::rewrite::{collapse_path, expand_path};
use crate::session::discover::{LocalSession, discover};
use crate::store::Transaction;
use crate::store::machine::Machine;
use crate::sync::choice;
use crate::sync::clones::Clones;
use crate::sync::merge::Merged;
use crate::sync::plan::{Differences, FileStep, Local, compare_with, described};
use crate::sync::push::{left_out_report, mention_merged};
use crate::sync::report::{Outcome, PassedOver, RemoteState, Report, SessionReport};
use crate::sync::send::{fetch, send, send_rest};
use crate::sync::storing::Storing;
use crate::sync::views::Views;
use crate::sync::work::Work;
use crate::sync::{Context, SyncError};
use crate::sys::fs::PathError;

/// A copy and who wrote it.
struct Job {
    copy: SessionCopy,
    /// Machine and number of lines, in order.
    writers: Vec<(usize, u64)>,
    /// The client's directory if no record names a working directory.
    otherwise: String,
    /// What a person should know of it.
    notes: Vec<String>,
    outcome: Option<SessionReport>,
}

/// A copy up to the end of one of its stretches.
#[derive(Debug, Clone, Copy)]
struct Step {
    job: usize,
    stretch: usize,
}

/// Does the import of an opened source.
pub(super) fn carry(ctx: &Context<'_>, opened: &Opened, dry_run: bool) -> Result<ImportReport, SyncError> {
    let mut work = Work::open(ctx)?;
    let newest = if dry_run { None } else { fetch_newest(&mut work)? };
    let mut report = match opened.layout {
        Layout::Client => client(&mut work, opened, dry_run)?,
        Layout::Shared | Layout::PerMachine => foreign(&mut work, opened, dry_run)?,
    };
    report.report.dry_run = dry_run;
    if !dry_run {
        let reached = newest.is_some();
        let (remote, mut merged) = if reached { send_rest(&mut work)? } else { send(&mut work)? };
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
fn foreign(work: &mut Work<'_>, opened: &Opened, dry_run: bool) -> Result<ImportReport, SyncError> {
    let mut refused = Named::default();
    let foreign = Foreign::read(&opened.directory, work.ctx.clock.now(), &mut refused);
    let mut listing = Listing::read(&opened.directory, &mut refused);
    let copies = std::mem::take(&mut listing.copies);
    let origins = origins(work.ctx, &foreign, &copies);
    let mut jobs = Vec::new();
    let mut skipped = std::mem::take(&mut listing.refused);
    for (copy, covered) in in_order(copies, &foreign) {
        match plan(&copy, &foreign, &origins) {
            Ok(job) if covered => jobs.push(Job { writers: Vec::new(), ..job }),
            Ok(job) => jobs.push(job),
            Err(e) => skipped.push((copy.session, e.in_words())),
        }
    }
    run(work, &mut jobs, &origins, &opened.workshop.path().join("staged"), dry_run)?;
    let mut report = empty(opened);
    report.found = (jobs.len() + skipped.len()) as u64;
    report.proposals = proposals(work, &origins)?;
    report.machines = machines(&origins, &jobs);
    collect(&mut report.report, jobs);
    let of_skipped = skipped.into_iter().map(|(id, reason)| skipped_session(work, &id, reason));
    report.report.sessions.extend(of_skipped);
    report.report.passed_over = refused.into_vec();
    report.locks = foreign.locks;
    report.edits = foreign.edits.into_values().collect::<Vec<Edit>>();
    report.left = listing.left.into_vec();
    Ok(report)
}

/// A copy of the client's directory: the sessions are as this machine would have them.
fn client(work: &mut Work<'_>, opened: &Opened, dry_run: bool) -> Result<ImportReport, SyncError> {
    let found = discover(opened.directory.root())?;
    let mut report = empty(opened);
    report.found = found.sessions.len() as u64;
    let refused = found.refused.iter();
    let passed_over = refused.map(|r| PassedOver { path: r.path.display().to_string(), reason: r.reason.clone() });
    report.report.passed_over = passed_over.collect();
    let base = work.store.head()?;
    let mut tx = work.store.begin(base.as_ref())?;
    let mut done = Vec::new();
    for (id, session) in &found.sessions {
        let linked = [session.directory.clone(), session.path(None)].iter().any(|path| path.is_symlink());
        let result = if linked {
            Some(skipped_session(work, id, "not a plain file (links are not followed)".to_owned()))
        } else if let Some(why) = choice::stays_here(work, session) {
            // What this machine does not push, it does not push out of a copy either.
            Some(left_out_report(work, session, &why)?)
        } else {
            let clones = work.views.clones();
            let used = clones.used(id);
            let result = guarded(work, &mut tx, id, |tx| store_session(work, tx, session, dry_run));
            // Where the copy was at home says nothing of where the session is here.
            clones.use_for(id, used.as_deref());
            result?
        };
        match result {
            Some(session) => done.push(session),
            None => report.report.unchanged += 1,
        }
    }
    let registered = commit(work, tx, base.as_ref(), None, &done)?;
    work.machine_changed &= !registered;
    report.report.sessions = done;
    Ok(report)
}

fn empty(opened: &Opened) -> ImportReport {
    ImportReport {
        source: opened.name.clone(),
        layout: opened.layout,
        found: 0,
        report: Report { remote: RemoteState::NotContacted, ..Report::default() },
        machines: Vec::new(),
        proposals: Vec::new(),
        locks: Vec::new(),
        edits: Vec::new(),
        left: Vec::new(),
    }
}

/// Every machine that the source names anywhere; at least one, because somebody wrote the sessions.
fn origins(ctx: &Context<'_>, foreign: &Foreign, copies: &[SessionCopy]) -> Vec<Origin> {
    let mut machines = foreign.machines.clone();
    let editors = foreign.edits.values().map(|edit| edit.machine.clone());
    for name in copies.iter().filter_map(|copy| copy.machine.clone()).chain(editors) {
        machines.entry(name).or_default();
    }
    if machines.is_empty() {
        machines.insert("unknown".to_owned(), Default::default());
    }
    machines.iter().map(|(name, machine)| Origin::new(name, machine, ctx.env, &ctx.settings)).collect()
}

/// The copies in the order in which they are carried: of several of one session first the one that was edited last. One that is no
/// more than the beginning of another says nothing of its own, and is marked `true`.
fn in_order(mut copies: Vec<SessionCopy>, foreign: &Foreign) -> Vec<(SessionCopy, bool)> {
    copies.sort_by_cached_key(|copy| (copy.session.clone(), u64::MAX - copy.bytes, copy.path.clone()));
    let mut ordered: Vec<(SessionCopy, bool)> = Vec::new();
    for copy in copies {
        let others = ordered.iter().rev().take_while(|(other, _)| other.session == copy.session);
        let covered = others.into_iter().any(|(other, _)| begins_with(&other.path, &copy.path).unwrap_or(false));
        ordered.push((copy, covered));
    }
    ordered.sort_by_cached_key(|(copy, _)| {
        let editor = foreign.edits.get(&copy.session).map(|edit| &edit.machine);
        (copy.session.clone(), editor.is_none() || editor != copy.machine.as_ref())
    });
    ordered
}

/// Whether the file at `whole` begins with the lines of that at `part`.
fn begins_with(whole: &Path, part: &Path) -> Result<bool, PathError> {
    let (mut whole, mut part) = (Lines::open(whole)?, Lines::open(part)?);
    while let Some(line) = part.next()? {
        if whole.next()?.as_ref() != Some(&line) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a copy and says which machine wrote which lines of it.
fn plan(copy: &SessionCopy, foreign: &Foreign, origins: &[Origin]) -> Result<Job, SyncError> {
    let names = origins.iter().flat_map(|origin| origin.paths.keys());
    let known = Directories::new(names.map(|name| (name.as_str(), "")));
    let mut survey = Survey::of(&copy.path, &known)?;
    let families = origins.iter().map(|origin| origin.family);
    if copy.machine.is_some() || families.clone().min() == families.max() {
        survey.as_one();
    }
    let editor = foreign.edits.get(&copy.session).map(|edit| edit.machine.as_str());
    let preferred = copy.machine.as_deref().or(editor);
    let of = |family| match &copy.machine {
        Some(machine) => origins.iter().position(|origin| origin.name == *machine),
        None => writer(origins, family, &survey.names, preferred),
    };
    let stretches = survey.stretches.iter();
    let writers: Vec<_> = stretches.filter_map(|(family, lines)| Some((of(*family)?, *lines))).collect();
    let last = writers.last().map_or(0, |(origin, _)| *origin);
    let lacks = |name: &&String| writers.iter().any(|(origin, _)| !origins[*origin].paths.contains_key(*name));
    let lacking: Vec<&str> = survey.names.iter().filter(lacks).map(String::as_str).collect();
    let mut notes = Vec::new();
    if !lacking.is_empty() {
        let names = lacking.join(", ");
        notes.push(format!("the source does not say where {names} is on `{}`: it stays as it is", origins[last].name));
    }
    let otherwise = otherwise(copy, foreign, &origins[last]);
    Ok(Job { copy: copy.clone(), writers, otherwise, notes, outcome: None })
}

/// Where the client keeps a session of which no record names a working directory.
fn otherwise(copy: &SessionCopy, foreign: &Foreign, origin: &Origin) -> String {
    let path = foreign.projects.get(&copy.directory).map(|path| {
        let json = serde_json::to_vec(path).expect("a text can be written as JSON");
        let local = super::text::local_line(&json, &origin.directories);
        serde_json::from_slice::<String>(&local).unwrap_or_else(|_| path.clone())
    });
    let name = client_dir_name(&path.unwrap_or_else(|| copy.directory.clone()));
    if name.is_empty() { "-".to_owned() } else { name }
}

/// Carries every job, in as few commits as there are machines and stretches.
fn run(
    work: &mut Work<'_>,
    jobs: &mut [Job],
    origins: &[Origin],
    place: &Path,
    dry_run: bool,
) -> Result<(), SyncError> {
    let mut queues: BTreeMap<SessionId, VecDeque<Step>> = BTreeMap::new();
    for (at, job) in jobs.iter().enumerate() {
        let stretches = job.writers.len();
        // What would be done is seen at the end.
        let steps = (0..stretches).filter(|stretch| !dry_run || stretch + 1 == stretches);
        queues.entry(job.copy.session.clone()).or_default().extend(steps.map(|stretch| Step { job: at, stretch }));
    }
    work.ctx.progress.begin(Phase::Store, jobs.len() as u64, jobs.iter().map(|job| job.copy.bytes).sum());
    while queues.values().any(|queue| !queue.is_empty()) {
        let mut by_origin: BTreeMap<usize, Vec<Step>> = BTreeMap::new();
        for step in queues.values_mut().filter_map(VecDeque::pop_front) {
            by_origin.entry(jobs[step.job].writers[step.stretch].0).or_default().push(step);
        }
        for (origin, steps) in by_origin {
            store_together(work, jobs, origins, &origins[origin], &steps, (place, dry_run))?;
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
    (place, dry_run): (&Path, bool),
) -> Result<(), SyncError> {
    let views = views_of(work, origin)?;
    let mine = std::mem::replace(&mut work.views, views);
    let base = work.store.head()?;
    let mut tx = work.store.begin(base.as_ref())?;
    let mut done = Vec::new();
    for step in steps {
        let job = &jobs[step.job];
        let result = guarded(work, &mut tx, &job.copy.session, |tx| {
            let writers = job.writers[..=step.stretch].iter();
            let writers: Vec<_> = writers.map(|(origin, lines)| (&origins[*origin], *lines)).collect();
            let (session, otherwise) = (&job.copy.session, job.otherwise.as_str());
            let copy = Copy { session, path: &job.copy.path, writers: &writers, origins, otherwise };
            match stage(&copy, place, &work.views, &work.store.head_snapshot()?)? {
                Ok(staged) => store_session(work, tx, &staged, dry_run),
                Err(reason) => Ok(Some(skipped_session(work, session, reason))),
            }
        })?;
        work.ctx.progress.advance(1, job.copy.bytes);
        if let Some(report) = result {
            done.push((step.job, report));
        }
    }
    let reports: Vec<SessionReport> = done.iter().map(|(_, report)| report.clone()).collect();
    let registered = commit(work, tx, base.as_ref(), Some(origin), &reports)?;
    work.machine_changed &= !registered;
    work.views = mine;
    done.into_iter().for_each(|(job, report)| add_outcome(&mut jobs[job], report));
    Ok(())
}

/// How a machine of the source would look at the store.
fn views_of(work: &Work<'_>, origin: &Origin) -> Result<Views, SyncError> {
    let (machines, _) = work.store.head_snapshot()?.machines()?;
    let others = machines.into_iter().filter(|other| other.id != origin.machine.id).map(|other| other.roots);
    let others = std::iter::once(work.ctx.settings.roots.clone()).chain(others).collect();
    let setting = work.ctx.settings.paths;
    Ok(Views::new(origin.machine.id.clone(), origin.machine.roots.clone(), others, setting, Clones::known(work.ctx)))
}

/// What `store` says; a session that fails is taken back whole and named.
fn guarded(
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
            let reason = "another copy changed what it belongs to: run the command again".to_owned();
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
fn store_session(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    session: &LocalSession,
    dry_run: bool,
) -> Result<Option<SessionReport>, SyncError> {
    let snapshot = work.store.head_snapshot()?;
    let local = Local { session, live: false };
    let manifest = snapshot.manifest(&session.id)?;
    let storing = Storing { work, snapshot: &snapshot, local: &local };
    let found = match &manifest {
        Some(manifest) => compare_with(work, &snapshot, manifest, &local, None)?,
        None => Differences {
            up: session.files.keys().map(|name| (name.clone(), FileStep::Whole)).collect(),
            ..Differences::default()
        },
    };
    if manifest.as_ref().map_or(Ok(found.up.is_empty()), |stored| storing.is_stored(stored, &found))? {
        return Ok(None);
    }
    if dry_run {
        let outcome = storing.foresee(&found)?;
        return Ok(Some(described(&work.views, &session.id, manifest.as_ref(), outcome)));
    }
    storing.store(tx, &found).map(Some)
}

/// Commits what the transaction holds, if anything; whether this machine is described in it.
fn commit(
    work: &Work<'_>,
    mut tx: Transaction<'_>,
    base: Option<&CommitId>,
    origin: Option<&Origin>,
    reports: &[SessionReport],
) -> Result<bool, SyncError> {
    if tx.is_empty() {
        return Ok(false);
    }
    if work.machine_changed {
        tx.put_machine(&work.machine)?;
    }
    if let Some(origin) = origin.filter(|origin| !origin.this) {
        let there = &origin.machine;
        // What of it cannot be read is written anew.
        let earlier = work.store.head_snapshot()?.machine(&there.id).unwrap_or_default();
        let renewed = Machine::renewed(earlier, there.id.clone(), &there.name, there.roots.clone());
        tx.put_machine(&Machine { last_push: there.last_push.clone(), ..renewed })?;
    }
    let stored = |o: &Outcome| matches!(o, Outcome::Added { .. } | Outcome::Extended { .. } | Outcome::Forked { .. });
    let sessions = reports.iter().filter(|report| stored(&report.outcome)).count() as u64;
    let whose = origin.map(|origin| format!(" of {}", origin.machine.name)).unwrap_or_default();
    let message = format!("import{whose}: {sessions} session{}", if sessions == 1 { "" } else { "s" });
    tx.commit(&work.author(), &message, base.cloned().as_slice())?;
    Ok(work.machine_changed)
}

/// A copy that was stored in several stretches has one outcome.
fn add_outcome(job: &mut Job, report: SessionReport) {
    let Some(before) = job.outcome.take() else {
        job.outcome = Some(report);
        return;
    };
    let outcome = match (&before.outcome, &report.outcome) {
        (Outcome::Added { lines, bytes }, Outcome::Extended { lines: more, bytes: more_bytes }) => {
            Outcome::Added { lines: lines + more, bytes: bytes + more_bytes }
        }
        (Outcome::Extended { lines, bytes }, Outcome::Extended { lines: more, bytes: more_bytes }) => {
            Outcome::Extended { lines: lines + more, bytes: bytes + more_bytes }
        }
        _ => report.outcome.clone(),
    };
    let mut notes = before.notes;
    notes.extend(report.notes.iter().filter(|note| !notes.contains(note)).cloned().collect::<Vec<_>>());
    job.outcome = Some(SessionReport { outcome, notes, ..report });
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

fn skipped_session(work: &Work<'_>, session: &SessionId, reason: String) -> SessionReport {
    described(&work.views, session, None, Outcome::Skipped { reason })
}

fn machines(origins: &[Origin], jobs: &[Job]) -> Vec<ImportedMachine> {
    let wrote = |at: usize| jobs.iter().filter(|job| job.writers.iter().any(|(origin, _)| *origin == at)).count();
    let machine = |(at, origin): (usize, &Origin)| ImportedMachine {
        name: origin.name.clone(),
        this: origin.this,
        sessions: wrote(at) as u64,
        placeholders: origin.paths.clone(),
    };
    origins.iter().enumerate().map(machine).collect()
}

/// Placeholders of the source that this machine, or one of the same name in the store, has no directory for.
fn proposals(work: &Work<'_>, origins: &[Origin]) -> Result<Vec<Proposal>, SyncError> {
    let mine = &work.ctx.settings.roots;
    let (machines, _) = work.store.head_snapshot()?.machines()?;
    let mut proposals: Vec<Proposal> = Vec::new();
    for origin in origins {
        let namesake =
            |machine: &&Machine| machine.id != work.machine.id && machine.name.eq_ignore_ascii_case(&origin.name);
        for root in &origin.machine.roots.roots {
            let name = root.name.as_str();
            let proposal = |machine, path| Proposal { placeholder: name.to_owned(), machine, path };
            if let Some(other) = machines.iter().find(namesake).filter(|other| other.roots.get(name).is_none()) {
                proposals.push(proposal(Some(other.name.clone()), Some(root.path.clone())));
            }
            if mine.get(name).is_none() {
                let path = if origin.this { Some(root.path.clone()) } else { below_my_home(origin, root, mine) };
                proposals.push(proposal(None, path));
            }
        }
    }
    proposals.sort_by(|a, b| {
        (&a.machine, &a.placeholder, b.path.is_some()).cmp(&(&b.machine, &b.placeholder, a.path.is_some()))
    });
    proposals.dedup_by(|a, b| (&a.machine, &a.placeholder) == (&b.machine, &b.placeholder));
    Ok(proposals)
}

/// Where a directory that another machine has below its home would be below this one's, if it is there.
fn below_my_home(origin: &Origin, root: &Root, mine: &RootSet) -> Option<String> {
    let there = &origin.machine.roots;
    let home = there.get(RootName::home().as_str())?.clone();
    let portable = collapse_path(&RootSet::new(there.system, [home]), &root.path);
    let path = expand_path(&portable, mine)?;
    (portable.as_str().starts_with("{{HOME}}/") && Path::new(&path).is_dir()).then_some(path)
}
