//! Downward: remote -> store -> expand -> the client's directory.
//!
//! First what others did is fetched and merged; then each session is compared with what lies here, and only what is missing is
//! written. Tails that lost their session's id become forks and are sent at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::merge::Merged;
use super::place::{is_recent, place};
use super::plan::{Differences, FilePull, Local, compare_session, compare_with, described};
use super::push::{mention_merged, passed_over};
use super::report::{Outcome, Report, SessionReport};
use super::send::{fetch, send_rest};
use super::set_up::adopt_proposed_paths;
use super::storing::Storing;
use super::work::{Work, undo_path};
use super::writing::{Writing, all_files};
use super::{Context, SyncError};
use crate::domain::id::SessionId;
use crate::domain::progress::Phase;
use crate::session::discover::{Discovery, LocalSession, files_without_transcript};
use crate::session::live::{live_sessions, running_client};
use crate::session::materialise::{self, Journal};
use crate::store::Snapshot;
use crate::store::manifest::{Manifest, StoredFile};
use crate::store::snapshot::SessionState;
use crate::sys::fail_point::fail_point;

/// What a pull is asked for.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// Only these sessions (whole ids, or beginnings that only one has), whatever their age; none: all that are recent or here already.
    pub sessions: Vec<SessionId>,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Write sessions anew even where they are in step.
    pub force: bool,
    /// Bring sessions that were active in the last so many days; none: as configured.
    pub days: Option<u32>,
}

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoReport {
    /// Files put back as they were before the pull.
    pub restored: Vec<PathBuf>,
    /// Files left alone, with the reason.
    pub kept: Vec<(PathBuf, String)>,
    /// When that pull began.
    pub pulled_at: DateTime<Utc>,
}

/// Brings here what other machines pushed.
///
/// # Errors
/// What concerns the whole command, an unreachable remote among it; what concerns one session is in the report.
pub fn pull(ctx: &Context<'_>, request: &PullRequest) -> Result<Report, SyncError> {
    let mut work = Work::open(ctx)?;
    let merged = fetch(&mut work)?;
    if request.dry_run {
        return bring(work, merged, request);
    }
    match adopt_proposed_paths(&work)? {
        None => bring(work, merged, request),
        Some(settings) => {
            // Everything that was opened knows the former paths.
            drop(work);
            let progress = Arc::clone(&ctx.progress);
            let Context { env, clock, interactive, .. } = *ctx;
            bring(Work::open(&Context { env, settings, clock, progress, interactive })?, merged, request)
        }
    }
}

/// Writes what is missing here.
fn bring(mut work: Work<'_>, merged: Merged, request: &PullRequest) -> Result<Report, SyncError> {
    let found = work.discover()?;
    let mut puller = Puller::plan(&work, &found, request)?;
    fail_point("the pull is planned");
    if request.dry_run {
        return puller.as_report(&work);
    }
    puller.keep_forks(&mut work)?;
    let mut report = puller.execute(&mut work)?;
    let (remote, more) = send_rest(&mut work)?;
    let mut all = Merged::default();
    all.add(merged);
    all.add(more);
    mention_merged(&mut report, &work, all)?;
    report.remote = remote;
    work.save_index();
    work.save_seen()?;
    Ok(report)
}

/// Takes back what the last pull wrote here; `None` if there is nothing to take back.
///
/// # Errors
/// [`SyncError::Session`] if the journal of that pull cannot be read.
pub fn undo(ctx: &Context<'_>) -> Result<Option<UndoReport>, SyncError> {
    let _work = Work::open(ctx)?;
    let running = |path: &Path| running_client(&ctx.env.claude_dir, path);
    let undone = materialise::undo(&undo_path(ctx.env), &running)?;
    Ok(undone.map(|(pulled_at, undone)| UndoReport { restored: undone.restored, kept: undone.kept, pulled_at }))
}

/// What a pull does with one session.
enum PullStep {
    Nothing,
    Ahead,
    /// Files to be written into `directory`.
    Write(Writing),
    /// This machine's tail becomes a fork first; then the session and the fork are written.
    Fork(Differences),
    Listed(String),
    Skip(String),
}

struct Puller<'a> {
    found: &'a Discovery,
    request: &'a PullRequest,
    steps: Vec<(SessionId, PullStep)>,
    /// Forks made by this pull: session, fork, own lines.
    forks: Vec<(SessionId, SessionId, u64)>,
}

impl<'a> Puller<'a> {
    fn plan(work: &Work<'_>, found: &'a Discovery, request: &'a PullRequest) -> Result<Self, SyncError> {
        let snapshot = work.store.head_snapshot()?;
        let states = snapshot.sessions()?;
        let live = live_sessions(&work.ctx.env.claude_dir);
        let mut puller = Self { found, request, steps: Vec::new(), forks: Vec::new() };
        let unasked = |id: &&SessionId| found.sessions.contains_key(*id) || !work.was_here(id, &states[*id]);
        let wanted: BTreeSet<SessionId> = match request.sessions.as_slice() {
            [] => states.keys().filter(unasked).cloned().collect(),
            named => named.iter().map(|id| beginning_with(id, &states)).collect(),
        };
        for id in wanted {
            let step = puller.plan_or_skip(work, &snapshot, &id, live.get(&id).copied())?;
            puller.steps.push((id, step));
        }
        Ok(puller)
    }

    /// As [`Self::plan_one`]; what concerns only this session is a reason to skip it.
    fn plan_or_skip(
        &self,
        work: &Work<'_>,
        snapshot: &Snapshot<'_>,
        id: &SessionId,
        pid: Option<u32>,
    ) -> Result<PullStep, SyncError> {
        match self.plan_one(work, snapshot, id, pid) {
            Err(e) if e.is_about_one_session() => Ok(PullStep::Skip(e.in_words())),
            planned => planned,
        }
    }

    fn plan_one(
        &self,
        work: &Work<'_>,
        snapshot: &Snapshot<'_>,
        id: &SessionId,
        pid: Option<u32>,
    ) -> Result<PullStep, SyncError> {
        let state = snapshot.state(id)?;
        let here = self.found.sessions.get(id);
        if here.is_some_and(|here| work.index.in_step(here, state.as_ref())) && !self.request.force {
            return Ok(PullStep::Nothing);
        }
        let manifest = match snapshot.manifest(id)? {
            Some(manifest) => manifest,
            // A directory without a manifest is no session.
            None if self.request.sessions.is_empty() => return Ok(PullStep::Nothing),
            None => return Err(Self::not_found(snapshot, id)?),
        };
        let Some(here) = here else { return self.plan_new(work, snapshot, &manifest) };
        let local = Local { session: here, live: pid.is_some() };
        let step = self.step_for(here, &manifest, compare_session(work, snapshot, &local)?);
        Ok(match (step, pid) {
            (PullStep::Write(_) | PullStep::Fork(_), Some(pid)) => {
                PullStep::Skip(format!("running here (process {pid}); pull again when it has ended"))
            }
            (step, _) => step,
        })
    }

    /// Why nothing is known under `id`.
    fn not_found(snapshot: &Snapshot<'_>, id: &SessionId) -> Result<SyncError, SyncError> {
        let several = snapshot.sessions()?.keys().any(|whole| whole != id && whole.as_str().starts_with(id.as_str()));
        let session = id.clone();
        Ok(if several { SyncError::AmbiguousSession { session } } else { SyncError::NoSuchSession { session } })
    }

    /// What is done with a session that is here.
    fn step_for(&self, here: &LocalSession, manifest: &Manifest, found: Differences) -> PullStep {
        if found.parted.is_some() {
            return PullStep::Fork(found);
        }
        let ahead = !found.up.is_empty();
        let files = if self.request.force && !ahead { all_files(manifest) } else { found.down };
        if files.is_empty() {
            return if ahead { PullStep::Ahead } else { PullStep::Nothing };
        }
        PullStep::Write(Writing { directory: here.directory.clone(), files, here: Some(here.clone()), ahead })
    }

    /// A session that is not here.
    fn plan_new(&self, work: &Work<'_>, snapshot: &Snapshot<'_>, manifest: &Manifest) -> Result<PullStep, SyncError> {
        let settings = &work.ctx.settings;
        let days = self.request.days.unwrap_or(settings.days);
        if self.request.sessions.is_empty() && !is_recent(manifest, work.ctx.clock.now(), days) {
            return Ok(PullStep::Listed(format!("not active for {days} days: ccsync pull SESSION, or --days N")));
        }
        let place = place(manifest, work.views.roots(), &work.ctx.env.claude_dir)?;
        match place {
            Ok(directory) => bring_to(work, snapshot, manifest, directory),
            Err(reason) => Ok(PullStep::Listed(reason)),
        }
    }

    fn as_report(&self, work: &Work<'_>) -> Result<Report, SyncError> {
        let snapshot = work.store.head_snapshot()?;
        let mut report = Report { dry_run: true, passed_over: passed_over(self.found), ..Report::default() };
        for (id, step) in &self.steps {
            if matches!(step, PullStep::Nothing) {
                report.unchanged += 1;
                continue;
            }
            let manifest = snapshot.manifest(id).ok().flatten();
            let outcome = match (step, self.found.sessions.get(id)) {
                (PullStep::Fork(found), Some(session)) => {
                    let local = Local { session, live: false };
                    Storing { work, snapshot: &snapshot, local: &local }.foresee(found)?
                }
                _ => foreseen(step, manifest.as_ref()),
            };
            report.sessions.push(described(work, id, manifest.as_ref(), outcome));
        }
        report.sort();
        Ok(report)
    }

    /// Stores the tails that lost their session's id, and plans to write both sides.
    fn keep_forks(&mut self, work: &mut Work<'_>) -> Result<(), SyncError> {
        if !self.steps.iter().any(|(_, step)| matches!(step, PullStep::Fork(_))) {
            return Ok(());
        }
        let base = work.store.head()?;
        let mut tx = work.store.begin(base.as_ref())?;
        let snapshot = work.store.head_snapshot()?;
        for (id, step) in &mut self.steps {
            let PullStep::Fork(differences) = step else { continue };
            let (Some(parent), Some(session)) = (snapshot.manifest(id)?, self.found.sessions.get(id)) else { continue };
            let local = Local { session, live: false };
            match (Storing { work, snapshot: &snapshot, local: &local }).store(&mut tx, differences) {
                Ok(SessionReport { outcome: Outcome::Forked { fork, lines }, .. }) => {
                    self.forks.push((id.clone(), fork, lines));
                    let here = Some(session.clone());
                    // What only the tail has beside the transcript is in the fork, and still here.
                    let ahead = session.files.keys().any(|name| parent.file(name.as_ref()).is_none());
                    let writing = Writing { here, ahead, ..Writing::new(session.directory.clone(), &parent) };
                    *step = PullStep::Write(writing);
                }
                Ok(_) => *step = PullStep::Nothing,
                Err(e) if e.is_about_one_session() => {
                    tx.forget_incomplete_sessions()?;
                    *step = PullStep::Skip(e.in_words());
                }
                Err(e) => return Err(e),
            }
        }
        if !tx.is_empty() {
            let message = format!("forks kept by a pull of {}", work.machine.name);
            tx.commit(&work.author(), &message, base.as_slice())?;
        }
        self.plan_forks(work)
    }

    /// A fork lies beside the session it left.
    fn plan_forks(&mut self, work: &Work<'_>) -> Result<(), SyncError> {
        let snapshot = work.store.head_snapshot()?;
        let live = live_sessions(&work.ctx.env.claude_dir);
        let mut steps = Vec::new();
        for (id, fork, _) in &self.forks {
            let Some(manifest) = snapshot.manifest(fork)? else { continue };
            let step = match (self.found.sessions.get(id), self.found.sessions.get(fork)) {
                // It was here, and has just grown in the store: what was planned for it is out of date.
                (_, Some(_)) => self.plan_or_skip(work, &snapshot, fork, live.get(fork).copied())?,
                (Some(beside), None) => bring_to(work, &snapshot, &manifest, beside.directory.clone())?,
                (None, None) => continue,
            };
            steps.push((fork.clone(), step));
        }
        self.steps.retain(|(planned, _)| steps.iter().all(|(fork, _)| planned != fork));
        // Before the sessions themselves: what is replaced there lies in the forks by then.
        self.steps.splice(0..0, steps);
        Ok(())
    }

    fn execute(&self, work: &mut Work<'_>) -> Result<Report, SyncError> {
        let root = undo_path(work.ctx.env);
        let mut journal = Journal::new(&root, work.ctx.clock.now());
        let mut report = Report { passed_over: passed_over(self.found), ..Report::default() };
        let mut in_step = self.already_in_step();
        let writes = self.steps.iter().filter(|(_, step)| matches!(step, PullStep::Write(_))).count();
        work.ctx.progress.begin(Phase::Materialise, writes as u64, 0);
        for (id, step) in &self.steps {
            if crate::sys::signal::interrupted() {
                work.ctx.progress.end();
                return Err(SyncError::Interrupted);
            }
            match carry_out(work, &mut journal, id, step) {
                Ok(None) => report.unchanged += 1,
                Ok(Some((session, written))) => {
                    in_step.extend(written);
                    report.sessions.push(session);
                }
                Err(e) if e.is_about_one_session() => {
                    report.sessions.push(described(work, id, None, Outcome::Skipped { reason: e.in_words() }));
                }
                Err(e) => {
                    work.ctx.progress.end();
                    return Err(e);
                }
            }
            work.ctx.progress.advance(1, 0);
        }
        work.ctx.progress.end();
        materialise::prune(&root, work.ctx.clock.now());
        record(work, &in_step)?;
        self.name_forks(work, &mut report)?;
        report.sort();
        Ok(report)
    }

    /// The session that lost a tail is reported as forked, the fork itself not twice.
    fn name_forks(&self, work: &Work<'_>, report: &mut Report) -> Result<(), SyncError> {
        let snapshot = work.store.head_snapshot()?;
        for (id, fork, lines) in &self.forks {
            let skipped = |r: &SessionReport| matches!(r.outcome, Outcome::Skipped { .. });
            report.sessions.retain(|r| r.session != *fork && r.session != *id || skipped(r));
            if !report.sessions.iter().any(|r| r.session == *id) {
                let outcome = Outcome::Forked { fork: fork.clone(), lines: *lines };
                report.sessions.push(described(work, id, snapshot.manifest(id)?.as_ref(), outcome));
            }
        }
        Ok(())
    }

    fn already_in_step(&self) -> Vec<LocalSession> {
        let unchanged = self.steps.iter().filter(|(_, step)| matches!(step, PullStep::Nothing));
        unchanged.filter_map(|(id, _)| self.found.sessions.get(id).cloned()).collect()
    }
}

/// Writes a session whose transcript is not here into `directory`. Files beside it that are there already are not replaced by what they
/// are no part of.
fn bring_to(
    work: &Work<'_>,
    snapshot: &Snapshot<'_>,
    manifest: &Manifest,
    directory: PathBuf,
) -> Result<PullStep, SyncError> {
    let Some(here) = files_without_transcript(&directory, &manifest.session) else {
        return Ok(PullStep::Write(Writing::new(directory, manifest)));
    };
    let found = compare_with(work, snapshot, manifest, &Local { session: &here, live: false }, None)?;
    if let Some(other) = found.up.keys().find(|name| manifest.file(name.as_ref()).is_some()) {
        let path = here.path(other.as_ref());
        return Ok(PullStep::Skip(format!(
            "`{}` is not what the store has: move it away, then pull again",
            path.display()
        )));
    }
    let ahead = !found.up.is_empty();
    Ok(PullStep::Write(Writing { directory, files: found.down, here: Some(here), ahead }))
}

/// Enters in the index what is now in step, by the stamps of what was compared or written: a file that a client has
/// written to since is looked at again.
fn record(work: &mut Work<'_>, in_step: &[LocalSession]) -> Result<(), SyncError> {
    let states = work.store.head_snapshot()?.sessions()?;
    for session in in_step {
        if let Some(state) = states.get(&session.id) {
            work.record_in_step(session, state.clone());
        }
    }
    Ok(())
}

/// The session whose id begins with `id`, as reports print it; `id` itself if there is not exactly one.
fn beginning_with(id: &SessionId, states: &BTreeMap<SessionId, SessionState>) -> SessionId {
    let mut found = states.range(id..).map(|(whole, _)| whole).take_while(|w| w.as_str().starts_with(id.as_str()));
    match (found.next(), found.next()) {
        (Some(only), None) => only.clone(),
        _ => id.clone(),
    }
}

fn foreseen(step: &PullStep, manifest: Option<&Manifest>) -> Outcome {
    match step {
        PullStep::Nothing | PullStep::Ahead | PullStep::Fork(_) => Outcome::Ahead,
        PullStep::Listed(reason) => Outcome::Listed { reason: reason.clone() },
        PullStep::Skip(reason) => Outcome::Skipped { reason: reason.clone() },
        PullStep::Write(writing) => {
            let stored = writing.files.keys().filter_map(|name| manifest.and_then(|m| m.file(name.as_ref())));
            let bytes = stored.map(StoredFile::local_bytes).sum();
            let total = manifest.map_or(0, |m| m.transcript.lines());
            let lines = match writing.files.get(&None) {
                None => 0,
                Some(FilePull::Whole) => total,
                Some(FilePull::Extend { lines, .. }) => total - lines,
            };
            writing.outcome(lines, bytes)
        }
    }
}

/// Carries out one step. `None`: nothing had to be done; else the report, and the session if it is in step now.
fn carry_out(
    work: &Work<'_>,
    journal: &mut Journal,
    id: &SessionId,
    step: &PullStep,
) -> Result<Option<(SessionReport, Option<LocalSession>)>, SyncError> {
    let snapshot = work.store.head_snapshot()?;
    let writing = match step {
        PullStep::Nothing => return Ok(None),
        PullStep::Write(writing) => writing,
        other => {
            let manifest = snapshot.manifest(id).ok().flatten();
            let outcome = foreseen(other, manifest.as_ref());
            return Ok(Some((described(work, id, manifest.as_ref(), outcome), None)));
        }
    };
    writing.carry_out(work, &snapshot, journal, id).map(Some)
}
