//! Downward: remote -> store -> expand -> the client's directory.
//!
//! First what others did is fetched and merged; then each session is compared with what lies here, and only what is missing is
//! written. Tails that lost their session's id become forks and are sent at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::compare::{Relation, completing_reading};
use super::merge::Merged;
use super::place::{is_recent, place};
use super::plan::{Local, Step, described, is_superseded, plan_session, relate_file};
use super::push::{mention_merged, store_fork};
use super::report::{Outcome, Report, SessionReport};
use super::send::{fetch, send};
use super::set_up::adopt_proposed_paths;
use super::text::{StoredText, text_kind};
use super::work::{Work, undo_path};
use super::{Context, SyncError};
use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::domain::progress::Phase;
use crate::session::SessionError;
use crate::session::discover::{Discovery, LocalSession, file_path, find};
use crate::session::facts::parse_time;
use crate::session::live::{live_sessions, running_client};
use crate::session::materialise::{self, Journal, Put};
use crate::store::Snapshot;
use crate::store::manifest::Manifest;
use crate::store::segment::offset_after_lines;

/// What a pull is asked for.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// Only these sessions, whatever their age; none: all that are recent or here already.
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
    if request.dry_run {
        return puller.as_report(&work);
    }
    puller.keep_forks(&mut work)?;
    let mut report = puller.execute(&mut work)?;
    let (remote, more) = send(&mut work)?;
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
    /// Files to be written into `directory`; `new`: nothing of the session is here.
    Write {
        directory: PathBuf,
        files: BTreeMap<Option<RelativeName>, FilePull>,
        new: bool,
    },
    /// This machine's tail becomes a fork first; then the session and the fork are written.
    Fork(Step),
    Listed(String),
    Skip(String),
}

/// What is done with one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FilePull {
    /// Written whole, what is there being kept.
    Whole,
    /// Appended to after `lines` stored lines, which end at `offset`; a part of the next line may be there.
    Extend { lines: u64, offset: u64 },
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
        let wanted: Vec<SessionId> = match request.sessions.as_slice() {
            [] => states
                .keys()
                .filter(|id| found.sessions.contains_key(*id) || !work.was_here(id, &states[*id]))
                .cloned()
                .collect(),
            named => named.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        };
        for id in wanted {
            let step = match puller.plan_one(work, &snapshot, &id, live.get(&id).copied()) {
                Ok(step) => step,
                Err(e) if e.is_about_one_session() => PullStep::Skip(e.in_words()),
                Err(e) => return Err(e),
            };
            puller.steps.push((id, step));
        }
        Ok(puller)
    }

    fn plan_one(
        &self,
        work: &Work<'_>,
        snapshot: &Snapshot<'_>,
        id: &SessionId,
        pid: Option<u32>,
    ) -> Result<PullStep, SyncError> {
        let state = snapshot.state(id)?;
        let local = self.found.sessions.get(id);
        if local.is_some_and(|local| work.index.in_step(local, state.as_ref())) && !self.request.force {
            return Ok(PullStep::Nothing);
        }
        let manifest = snapshot.manifest(id)?.ok_or_else(|| SyncError::NoSuchSession { session: id.clone() })?;
        let Some(local) = local else { return self.plan_new(work, &manifest) };
        let local = Local { session: local, live: pid.is_some() };
        let step = match plan_session(work, snapshot, &local)? {
            Step::Store(_) => PullStep::Ahead,
            fork @ Step::Fork { .. } => PullStep::Fork(fork),
            Step::Nothing | Step::Behind => self.plan_missing(work, snapshot, &manifest, &local)?,
        };
        Ok(match (step, pid) {
            (PullStep::Write { .. } | PullStep::Fork(_), Some(pid)) => {
                PullStep::Skip(format!("running here (process {pid}); pull again when it has ended"))
            }
            (step, _) => step,
        })
    }

    /// A session that is not here.
    fn plan_new(&self, work: &Work<'_>, manifest: &Manifest) -> Result<PullStep, SyncError> {
        let settings = &work.ctx.settings;
        let days = self.request.days.unwrap_or(settings.days);
        if self.request.sessions.is_empty() && !is_recent(manifest, work.ctx.clock.now(), days) {
            return Ok(PullStep::Listed(format!("not active for {days} days: ccsync pull SESSION, or --days N")));
        }
        let place = place(manifest, work.views.roots(), &work.ctx.env.claude_dir)?;
        Ok(match place {
            Ok(directory) => PullStep::Write { directory, files: all_files(manifest), new: true },
            Err(reason) => PullStep::Listed(reason),
        })
    }

    /// What the store has more than a session that is here.
    fn plan_missing(
        &self,
        work: &Work<'_>,
        snapshot: &Snapshot<'_>,
        manifest: &Manifest,
        local: &Local<'_>,
    ) -> Result<PullStep, SyncError> {
        let directory = local.session.directory.clone();
        if self.request.force {
            return Ok(PullStep::Write { directory, files: all_files(manifest), new: false });
        }
        let mut files = BTreeMap::new();
        for (name, _) in manifest.all_files() {
            if !local.session.files.contains_key(&name.cloned()) {
                files.insert(name.cloned(), FilePull::Whole);
                continue;
            }
            let append_only = name.is_none_or(RelativeName::is_json_lines);
            match relate_file(work, snapshot, manifest, local, name)? {
                Some(Relation::Behind { lines, offset }) if append_only => {
                    files.insert(name.cloned(), FilePull::Extend { lines, offset });
                }
                Some(Relation::Same) | None => {}
                Some(_) if is_superseded(work, manifest, local, name)? => {
                    files.insert(name.cloned(), FilePull::Whole);
                }
                Some(_) => {}
            }
        }
        Ok(if files.is_empty() { PullStep::Nothing } else { PullStep::Write { directory, files, new: false } })
    }

    fn as_report(&self, work: &Work<'_>) -> Result<Report, SyncError> {
        let snapshot = work.store.head_snapshot()?;
        let mut report = Report { dry_run: true, ..Report::default() };
        for (id, step) in &self.steps {
            let manifest = snapshot.manifest(id).ok().flatten();
            if matches!(step, PullStep::Nothing) {
                report.unchanged += 1;
                continue;
            }
            let outcome = foreseen(step, manifest.as_ref());
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
            let PullStep::Fork(fork_step) = step else { continue };
            let (Some(parent), Some(session)) = (snapshot.manifest(id)?, self.found.sessions.get(id)) else { continue };
            let local = Local { session, live: false };
            match store_fork(work, &mut tx, &snapshot, &parent, &local, fork_step) {
                Ok(SessionReport { outcome: Outcome::Forked { fork, lines }, .. }) => {
                    self.forks.push((id.clone(), fork, lines));
                    let (directory, files) = (session.directory.clone(), all_files(&parent));
                    *step = PullStep::Write { directory, files, new: false };
                }
                Ok(_) => *step = PullStep::Nothing,
                Err(e) if e.is_about_one_session() => *step = PullStep::Skip(e.in_words()),
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
        for (id, fork, _) in &self.forks {
            let Some(manifest) = snapshot.manifest(fork)? else { continue };
            let here = self.found.sessions.get(fork);
            let beside = self.found.sessions.get(id).map(|session| session.directory.clone());
            let (Some(directory), None) = (beside, here) else { continue };
            self.steps.retain(|(planned, _)| planned != fork);
            self.steps.push((fork.clone(), PullStep::Write { directory, files: all_files(&manifest), new: true }));
        }
        Ok(())
    }

    fn execute(&self, work: &mut Work<'_>) -> Result<Report, SyncError> {
        let root = undo_path(work.ctx.env);
        let mut journal = Journal::new(&root, work.ctx.clock.now());
        let mut report = Report::default();
        let mut written = Vec::new();
        let writes = self.steps.iter().filter(|(_, step)| matches!(step, PullStep::Write { .. })).count();
        work.ctx.progress.begin(Phase::Materialise, writes as u64, 0);
        for (id, step) in &self.steps {
            if crate::sys::signal::interrupted() {
                work.ctx.progress.end();
                return Err(SyncError::Interrupted);
            }
            let snapshot = work.store.head_snapshot()?;
            let session = match carry_out(work, &snapshot, &mut journal, id, step) {
                Ok(None) => {
                    report.unchanged += 1;
                    continue;
                }
                Ok(Some(session)) => session,
                Err(e) if e.is_about_one_session() => {
                    described(work, id, None, Outcome::Skipped { reason: e.in_words() })
                }
                Err(e) => {
                    work.ctx.progress.end();
                    return Err(e);
                }
            };
            if let (PullStep::Write { directory, .. }, false) =
                (step, matches!(session.outcome, Outcome::Skipped { .. }))
            {
                written.push((id.clone(), directory.clone()));
            }
            report.sessions.push(session);
            work.ctx.progress.advance(1, 0);
        }
        work.ctx.progress.end();
        materialise::prune(&root, work.ctx.clock.now());
        self.record(work, &written)?;
        self.name_forks(work, &mut report)?;
        report.sort();
        Ok(report)
    }

    /// The session that lost a tail is reported as forked, the fork itself not twice.
    fn name_forks(&self, work: &Work<'_>, report: &mut Report) -> Result<(), SyncError> {
        let snapshot = work.store.head_snapshot()?;
        for (id, fork, lines) in &self.forks {
            report
                .sessions
                .retain(|r| r.session != *fork && r.session != *id || matches!(r.outcome, Outcome::Skipped { .. }));
            let outcome = Outcome::Forked { fork: fork.clone(), lines: *lines };
            report.sessions.push(described(work, id, snapshot.manifest(id)?.as_ref(), outcome));
        }
        Ok(())
    }

    /// Enters in the index what is now in step.
    fn record(&self, work: &mut Work<'_>, written: &[(SessionId, PathBuf)]) -> Result<(), SyncError> {
        let states = work.store.head_snapshot()?.sessions()?;
        let written = written.iter().filter_map(|(id, directory)| find(directory, id));
        let unchanged = self.steps.iter().filter(|(_, step)| matches!(step, PullStep::Nothing));
        let unchanged = unchanged.filter_map(|(id, _)| self.found.sessions.get(id).cloned());
        let in_step: Vec<LocalSession> = written.chain(unchanged).collect();
        for session in in_step {
            if let Some(state) = states.get(&session.id) {
                work.record_in_step(&session, state.clone());
            }
        }
        Ok(())
    }
}

fn all_files(manifest: &Manifest) -> BTreeMap<Option<RelativeName>, FilePull> {
    manifest.all_files().map(|(name, _)| (name.cloned(), FilePull::Whole)).collect()
}

fn foreseen(step: &PullStep, manifest: Option<&Manifest>) -> Outcome {
    let stored = |name: &Option<RelativeName>| manifest.and_then(|m| m.file(name.as_ref()));
    match step {
        PullStep::Nothing | PullStep::Ahead => Outcome::Ahead,
        PullStep::Listed(reason) => Outcome::Listed { reason: reason.clone() },
        PullStep::Skip(reason) => Outcome::Skipped { reason: reason.clone() },
        PullStep::Fork(Step::Fork { lines, .. }) => {
            Outcome::Skipped { reason: format!("diverged after {lines} lines; a pull keeps both sides") }
        }
        PullStep::Fork(_) => Outcome::Ahead,
        PullStep::Write { files, new, .. } => {
            let bytes = files.keys().filter_map(stored).map(|f| f.local_bytes()).sum();
            let lines = files.get(&None).map_or(0, |pull| {
                let total = manifest.map_or(0, |m| m.transcript.lines());
                if let FilePull::Extend { lines, .. } = pull { total - lines } else { total }
            });
            if *new { Outcome::Added { lines, bytes } } else { Outcome::Extended { lines, bytes } }
        }
    }
}

/// Carries out one step; `None` if nothing had to be done.
fn carry_out(
    work: &Work<'_>,
    snapshot: &Snapshot<'_>,
    journal: &mut Journal,
    id: &SessionId,
    step: &PullStep,
) -> Result<Option<SessionReport>, SyncError> {
    let (directory, files, new) = match step {
        PullStep::Nothing => return Ok(None),
        PullStep::Write { directory, files, new } => (directory, files, *new),
        other => {
            let manifest = snapshot.manifest(id).ok().flatten();
            return Ok(Some(described(work, id, manifest.as_ref(), foreseen(other, manifest.as_ref()))));
        }
    };
    let manifest = snapshot.manifest(id)?.ok_or_else(|| SyncError::NoSuchSession { session: id.clone() })?;
    // The plan may be seconds old: a client may have been started since.
    if let Some(pid) = live_sessions(&work.ctx.env.claude_dir).get(id) {
        return Err(SessionError::Running { session: id.clone(), pid: *pid }.into());
    }
    let (mut lines, mut bytes) = (0, 0);
    // The transcript comes last: a session that the client can see has everything beside it.
    for (name, pull) in files.iter().rev() {
        let written = write_file(work, snapshot, &manifest, journal, directory, name.as_ref(), *pull)?;
        bytes += written.1;
        if name.is_none() {
            lines = written.0;
        }
    }
    let outcome = if new { Outcome::Added { lines, bytes } } else { Outcome::Extended { lines, bytes } };
    Ok(Some(described(work, id, Some(&manifest), outcome)))
}

/// Writes one file; returns how many lines and bytes.
fn write_file(
    work: &Work<'_>,
    snapshot: &Snapshot<'_>,
    manifest: &Manifest,
    journal: &mut Journal,
    directory: &Path,
    name: Option<&RelativeName>,
    pull: FilePull,
) -> Result<(u64, u64), SyncError> {
    let missing = || SyncError::Inconsistent { session: manifest.session.clone() };
    let stored = StoredText::of(snapshot, manifest, name).ok_or_else(missing)?;
    let path = target(directory, &manifest.session, name);
    let modified = manifest.last_activity.as_deref().and_then(parse_time);
    let mut count = (0, 0);
    match pull {
        FilePull::Whole => {
            journal.write(&path, modified, |put| expand(work, &stored, 0, &[], put, &mut count))?;
        }
        FilePull::Extend { lines, offset } => {
            let part = crate::sys::fs::read_from(&path, offset)?;
            let from = offset + part.len() as u64;
            journal.extend(&path, from, modified, |put| expand(work, &stored, lines, &part, put, &mut count))?;
        }
    }
    Ok(count)
}

/// Where a file is written: behind a link, where the user has made the transcript one.
fn target(directory: &Path, id: &SessionId, name: Option<&RelativeName>) -> PathBuf {
    let path = file_path(directory, id, name);
    std::fs::canonicalize(&path).unwrap_or(path)
}

/// Expands the lines after the first `lines` into `put`; `part` is what the local file has of the next one.
fn expand(
    work: &Work<'_>,
    stored: &StoredText<'_>,
    lines: u64,
    part: &[u8],
    put: &mut Put<'_>,
    count: &mut (u64, u64),
) -> Result<(), SyncError> {
    let reader = work.views.reader(stored.manifest, &stored.manifest.session, text_kind(stored.name));
    let lines_only = stored.name.is_none_or(RelativeName::is_json_lines);
    let mut part = part;
    stored.walk(lines, &mut |piece| {
        if piece.run.torn && lines_only {
            // Of no use to any client, and old ones glue their next record to it.
            return Ok(true);
        }
        let mut text = piece.text;
        if !part.is_empty() {
            let line = &text[..offset_after_lines(text, 1)];
            let reading =
                completing_reading(&reader, piece.run, line, part).unwrap_or_else(|| reader.preferred(piece.run));
            put_counted(&reader.read(piece.run, reading, line)[part.len()..], put, count)?;
            text = &text[line.len()..];
            part = &[];
        }
        put_counted(&reader.read_preferred(piece.run, text), put, count)?;
        if lines_only && piece.text.last() != Some(&b'\n') {
            put(b"\n")?;
        }
        count.0 += piece.lines;
        Ok(true)
    })
}

fn put_counted(text: &[u8], put: &mut Put<'_>, count: &mut (u64, u64)) -> Result<(), SyncError> {
    count.1 += text.len() as u64;
    Ok(put(text)?)
}
