//! Upward: local sessions -> collapse -> store -> remote.
//!
//! `plan` decides per session; here the steps are carried out, one after the other, into one commit. A session that fails is taken back
//! whole and named; the others go on.

use std::collections::BTreeMap;

use super::collect::{Collected, Collector, collapse_title, describe, share_segments};
use super::fork::{fork_id, fork_manifest, share_file, written_as};
use super::merge::Merged;
use super::plan::{FileStep, Files, Local, Step, described, plan_against, plan_session, portable_hash};
use super::report::{Outcome, Report, SessionReport};
use super::send::send;
use super::text::{StoredText, text_kind};
use super::work::Work;
use super::{Context, SyncError};
use crate::domain::client_dir::client_dir_name;
use crate::domain::id::{CommitId, SessionId};
use crate::domain::path::RelativeName;
use crate::domain::progress::Phase;
use crate::rewrite::{Collapser, TextKind, collapse_path, expand_path};
use crate::session::discover::{Discovery, LocalSession};
use crate::session::facts::{Facts, custom_title_file};
use crate::session::live::live_sessions;
use crate::store::machine::Machine;
use crate::store::manifest::{FORMAT, Manifest, StoredFile, Titles};
use crate::store::segment::count_lines;
use crate::store::{Snapshot, Transaction};

/// Brings every session of this machine to the remote.
///
/// # Errors
/// What concerns the whole command; what concerns one session is in the report.
pub fn push(ctx: &Context<'_>, dry_run: bool) -> Result<Report, SyncError> {
    let mut work = Work::open(ctx)?;
    let found = work.discover()?;
    let plan = Plan::make(&work, &found)?;
    if dry_run {
        return plan.as_report(&work);
    }
    let mut report = plan.execute(&mut work)?;
    let (remote, merged) = send(&mut work)?;
    mention_merged(&mut report, &work, merged)?;
    report.remote = remote;
    work.save_index();
    work.save_seen()?;
    Ok(report)
}

/// What a push is going to do.
pub(super) struct Plan<'a> {
    found: &'a Discovery,
    steps: Vec<(Local<'a>, Step)>,
    /// Sessions that cannot be handled, with the reason.
    skipped: BTreeMap<SessionId, String>,
    unchanged: u64,
}

impl<'a> Plan<'a> {
    /// Compares every session of this machine with the store.
    pub(super) fn make(work: &Work<'_>, found: &'a Discovery) -> Result<Self, SyncError> {
        let live = live_sessions(&work.ctx.env.claude_dir);
        let snapshot = work.store.head_snapshot()?;
        let mut plan = Self { found, steps: Vec::new(), skipped: refused(found), unchanged: 0 };
        for session in found.sessions.values() {
            let local = Local { session, live: live.contains_key(&session.id) };
            match plan_session(work, &snapshot, &local) {
                Ok(Step::Nothing) => plan.unchanged += u64::from(!plan.skipped.contains_key(&session.id)),
                Ok(step) => plan.steps.push((local, step)),
                Err(e) if e.is_about_one_session() => drop(plan.skipped.insert(session.id.clone(), e.in_words())),
                Err(e) => return Err(e),
            }
        }
        Ok(plan)
    }

    /// The report of a push that does nothing.
    pub(super) fn as_report(&self, work: &Work<'_>) -> Result<Report, SyncError> {
        let snapshot = work.store.head_snapshot()?;
        let mut report = self.begin_report(work);
        report.dry_run = true;
        for (local, step) in &self.steps {
            let manifest = snapshot.manifest(&local.session.id)?;
            let outcome = foreseen(work, &snapshot, manifest.as_ref(), local, step)?;
            report.sessions.push(described(work, &local.session.id, manifest.as_ref(), outcome));
        }
        report.sort();
        Ok(report)
    }

    /// Stores everything in one commit and reports it.
    pub(super) fn execute(self, work: &mut Work<'_>) -> Result<Report, SyncError> {
        let mut report = self.begin_report(work);
        let mut in_step = Vec::new();
        let base = work.store.head()?;
        let mut tx = work.store.begin(base.as_ref())?;
        let bytes = self.steps.iter().map(|(local, _)| local.session.bytes()).sum();
        work.ctx.progress.begin(Phase::Store, self.steps.len() as u64, bytes);
        for (local, step) in &self.steps {
            if crate::sys::signal::interrupted() {
                work.ctx.progress.end();
                return Err(SyncError::Interrupted);
            }
            match store_session(work, &mut tx, local, step) {
                Ok(session) => {
                    if matches!(step, Step::Store(_)) && !local.live {
                        in_step.push(local.session);
                    }
                    report.sessions.push(session);
                }
                Err(e) if e.is_about_one_session() => {
                    tx.forget_session(&local.session.id)?;
                    report.sessions.push(skipped(work, &local.session.id, e.in_words()));
                }
                Err(e) => return Err(e),
            }
            work.ctx.progress.advance(1, local.session.bytes());
        }
        work.ctx.progress.end();
        if let Some(machine) = commit(work, tx, base.as_ref(), &report)? {
            work.machine = machine;
            work.machine_changed = false;
        }
        record(work, &in_step, self.found, &report)?;
        report.sort();
        Ok(report)
    }

    fn begin_report(&self, work: &Work<'_>) -> Report {
        let sessions = self.skipped.iter().map(|(id, reason)| skipped(work, id, reason.clone())).collect();
        Report { sessions, unchanged: self.unchanged, ..Report::default() }
    }
}

/// Sessions of which something was passed over.
fn refused(found: &Discovery) -> BTreeMap<SessionId, String> {
    let named = found
        .refused
        .iter()
        .filter_map(|r| Some((r.session.clone()?, format!("`{}`: {}", r.path.display(), r.reason))));
    named.collect()
}

fn skipped(work: &Work<'_>, session: &SessionId, reason: String) -> SessionReport {
    described(work, session, None, Outcome::Skipped { reason })
}

/// Commits what the transaction holds, if anything; returns this machine as it is described in the commit.
fn commit(
    work: &Work<'_>,
    mut tx: Transaction<'_>,
    base: Option<&CommitId>,
    report: &Report,
) -> Result<Option<Machine>, SyncError> {
    if tx.is_empty() && !work.machine_changed {
        return Ok(None);
    }
    work.ctx.progress.begin(Phase::Commit, 0, 0);
    let mut machine = work.machine.clone();
    machine.last_push = Some(work.ctx.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    tx.put_machine(&machine)?;
    let sessions =
        report.count(|o| matches!(o, Outcome::Added { .. } | Outcome::Extended { .. } | Outcome::Forked { .. }));
    let message = format!("push from {}: {sessions} session{}", machine.name, if sessions == 1 { "" } else { "s" });
    let result = tx.commit(&work.author(), &message, base.cloned().as_slice());
    work.ctx.progress.end();
    result?;
    Ok(Some(machine))
}

/// Enters in the index what is now in step.
fn record(work: &mut Work<'_>, stored: &[&LocalSession], found: &Discovery, report: &Report) -> Result<(), SyncError> {
    let states = work.store.head_snapshot()?.sessions()?;
    for session in stored {
        let failed =
            report.sessions.iter().any(|r| r.session == session.id && matches!(r.outcome, Outcome::Skipped { .. }));
        match states.get(&session.id) {
            Some(state) if !failed => work.record_in_step(session, state.clone()),
            _ => work.index.forget(&session.id),
        }
    }
    work.index.keep_only(&found.sessions);
    Ok(())
}

/// Carries out one step.
fn store_session(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    local: &Local<'_>,
    step: &Step,
) -> Result<SessionReport, SyncError> {
    let id = &local.session.id;
    let snapshot = work.store.head_snapshot()?;
    let manifest = snapshot.manifest(id)?;
    match (step, manifest) {
        (Step::Nothing | Step::Behind, manifest) => Ok(described(work, id, manifest.as_ref(), Outcome::Behind)),
        (Step::Store(files), None) => {
            let (manifest, collected) = store_new(work, tx, local, files)?;
            let outcome = Outcome::Added { lines: manifest.transcript.lines(), bytes: collected.bytes };
            Ok(with_notes(described(work, id, Some(&manifest), outcome), collected))
        }
        (Step::Store(files), Some(manifest)) => {
            let (manifest, collected) = store_more(work, tx, &snapshot, &manifest, local, files)?;
            let outcome = Outcome::Extended { lines: collected.lines, bytes: collected.bytes };
            Ok(with_notes(described(work, id, Some(&manifest), outcome), collected))
        }
        (Step::Fork { .. }, Some(manifest)) => store_fork(work, tx, &snapshot, &manifest, local, step),
        (Step::Fork { .. }, None) => Err(SyncError::NoSuchSession { session: id.clone() }),
    }
}

fn with_notes(mut report: SessionReport, collected: Collected) -> SessionReport {
    if collected.verbatim > 0 {
        let lines = collected.verbatim;
        report
            .notes
            .push(format!("{lines} lines are stored verbatim, because rewriting them could not be undone exactly"));
    }
    report
}

/// Stores a session that the store does not have.
fn store_new(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    local: &Local<'_>,
    files: &Files,
) -> Result<(Manifest, Collected), SyncError> {
    // The first records name the working directory, by which the client's directory names in the text are known.
    let mut facts = Facts::default();
    facts.absorb(&local.open(None, 0)?.next_lines()?);
    let project = facts.project(local.session.directory_name()).map(str::to_owned);
    let collector = Collector::new(&work.views, project.as_slice(), None);
    let mut manifest = new_manifest(work, local);
    let mut facts = Facts::default();
    let mut collected = Collected::default();
    for name in files.keys() {
        collected +=
            store_file(work, tx, &collector, &mut manifest, None, local, name.as_ref(), FileStep::Whole, &mut facts)?;
    }
    manifest.project = facts.project(local.session.directory_name()).map(|cwd| collapse_path(work.views.roots(), cwd));
    describe(&mut manifest, &work.views, facts);
    tx.put_manifest(&manifest)?;
    Ok((manifest, collected))
}

fn new_manifest(work: &Work<'_>, local: &Local<'_>) -> Manifest {
    let mut directory = Vec::new();
    let name = local.session.directory_name();
    Collapser::new(work.views.roots(), &[]).collapse(name.as_bytes(), TextKind::Plain, &mut directory);
    Manifest {
        format: FORMAT,
        session: local.session.id.clone(),
        project: None,
        directory: String::from_utf8(directory).unwrap_or_else(|_| name.to_owned()),
        titles: Titles::default(),
        last_activity: None,
        bound: false,
        fork_of: None,
        roots: BTreeMap::new(),
        transcript: StoredFile::default(),
        files: BTreeMap::new(),
    }
}

/// Stores what a session has more than the store; `target` is the session itself or the fork it has become.
fn store_more(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    snapshot: &Snapshot<'_>,
    target: &Manifest,
    local: &Local<'_>,
    files: &Files,
) -> Result<(Manifest, Collected), SyncError> {
    let project = target.project.as_ref().and_then(|project| expand_path(project, work.views.roots()));
    let written_as = (target.session != local.session.id).then(|| local.session.id.clone());
    let collector = Collector::new(&work.views, project.as_slice(), written_as);
    let mut manifest = target.clone();
    let mut facts = Facts::default();
    let mut collected = Collected::default();
    for (name, step) in files {
        let stored = (snapshot, target);
        collected +=
            store_file(work, tx, &collector, &mut manifest, Some(stored), local, name.as_ref(), *step, &mut facts)?;
    }
    follow_move(work, &mut manifest, local, &facts);
    describe(&mut manifest, &work.views, facts);
    tx.put_manifest(&manifest)?;
    Ok((manifest, collected))
}

/// A session that moved to another project directory (the client does so for worktrees) belongs to that one from then on.
fn follow_move(work: &Work<'_>, manifest: &mut Manifest, local: &Local<'_>, facts: &Facts) {
    let name = local.session.directory_name();
    if let Some(cwd) = facts.cwds.iter().find(|cwd| client_dir_name(cwd) == name) {
        manifest.project = Some(collapse_path(work.views.roots(), cwd));
        manifest.directory = new_manifest(work, local).directory;
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one call that joins a local file, a stored one and the commit being made"
)]
fn store_file(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    collector: &Collector<'_>,
    manifest: &mut Manifest,
    stored: Option<(&Snapshot<'_>, &Manifest)>,
    local: &Local<'_>,
    name: Option<&RelativeName>,
    step: FileStep,
    facts: &mut Facts,
) -> Result<Collected, SyncError> {
    let session = manifest.session.clone();
    let facts = name.is_none().then_some(facts);
    let earlier = stored.and_then(|(snapshot, of)| StoredText::of(snapshot, of, name));
    let (mut file, collected) = match (step, &earlier) {
        (FileStep::Continue(from), Some(earlier)) => {
            if earlier.manifest.session != session {
                share_segments(tx, &session, earlier, from.lines)?;
            }
            let mut text = local.open(name, from.offset)?;
            collector.store(tx, &session, name, Some((earlier, from)), &mut text, facts)?
        }
        _ => collector.store(tx, &session, name, None, &mut local.open(name, 0)?, facts)?,
    };
    if let (FileStep::Whole, Some(earlier)) = (step, &earlier) {
        supersede(work, &mut file, earlier)?;
    }
    if name.is_some_and(|n| n.as_str() == "custom-title.json") {
        let title = custom_title_file(&crate::sys::fs::read(&local.path(name))?);
        manifest.titles.custom = title.map(|title| collapse_title(&work.views, &title));
    }
    match name {
        None => manifest.transcript = file,
        Some(name) => drop(manifest.files.insert(name.clone(), file)),
    }
    // Lines are those of the transcript; what lies beside it counts in bytes.
    Ok(Collected { lines: if name.is_none() { collected.lines } else { 0 }, ..collected })
}

/// A file that takes the place of `earlier` remembers it, so that a machine that still has it is known to be behind.
fn supersede(work: &Work<'_>, file: &mut StoredFile, earlier: &StoredText<'_>) -> Result<(), SyncError> {
    let mut local = Vec::new();
    let reader = work.views.reader(earlier.manifest, &earlier.manifest.session, text_kind(earlier.name));
    earlier.walk(0, &mut |piece| {
        local.extend_from_slice(&reader.read_preferred(piece.run, piece.text));
        Ok(true)
    })?;
    file.supersede(earlier.file, portable_hash(work, &local, earlier.name));
    Ok(())
}

/// Keeps what went on differently here as a fork; the stored session keeps its id and stays as it is.
pub(super) fn store_fork(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    snapshot: &Snapshot<'_>,
    parent: &Manifest,
    local: &Local<'_>,
    step: &Step,
) -> Result<SessionReport, SyncError> {
    let Step::Fork { file, lines, offset, files } = step else {
        return Ok(described(work, &local.session.id, Some(parent), Outcome::Behind));
    };
    let fork =
        fork_id(&parent.session, file.as_ref(), *lines, &first_line(work, parent, local, file.as_ref(), *offset)?);
    let report = |manifest: &Manifest| {
        let own = manifest.transcript.lines().saturating_sub(*lines);
        described(work, &local.session.id, Some(manifest), Outcome::Forked { fork: fork.clone(), lines: own })
    };
    if let Some(there) = snapshot.manifest(&fork)? {
        return match plan_against(work, snapshot, &there, local, None)? {
            Step::Nothing | Step::Behind => Ok(report(&there)),
            Step::Store(files) => store_more(work, tx, snapshot, &there, local, &files).map(|(m, _)| report(&m)),
            nested @ Step::Fork { .. } => store_fork(work, tx, snapshot, &there, local, &nested),
        };
    }
    for (name, file) in parent.all_files().filter(|(name, _)| !files.contains_key(&name.cloned())) {
        share_file(tx, &StoredText { snapshot, manifest: parent, name, file }, &fork)?;
    }
    let project = parent.project.as_ref().and_then(|project| expand_path(project, work.views.roots()));
    let collector = Collector::new(&work.views, project.as_slice(), Some(local.session.id.clone()));
    let mut manifest = fork_manifest(parent, &parent.session, &fork, *lines);
    let mut facts = Facts::default();
    let mut collected = Collected::default();
    for (name, step) in files {
        let stored = Some((snapshot, parent));
        collected += store_file(work, tx, &collector, &mut manifest, stored, local, name.as_ref(), *step, &mut facts)?;
        mark_inherited(&mut manifest, name.as_ref(), &parent.session);
    }
    describe(&mut manifest, &work.views, facts);
    tx.put_manifest(&manifest)?;
    Ok(with_notes(report(&manifest), collected))
}

/// The kept lines of a continued file were written under the parent's id.
fn mark_inherited(manifest: &mut Manifest, name: Option<&RelativeName>, parent: &SessionId) {
    let file = match name {
        None => Some(&mut manifest.transcript),
        Some(name) => manifest.files.get_mut(name),
    };
    if let Some(file) = file {
        *file = written_as(std::mem::take(file), parent);
    }
}

/// The first line, portable, in which the local file differs.
fn first_line(
    work: &Work<'_>,
    parent: &Manifest,
    local: &Local<'_>,
    file: Option<&RelativeName>,
    offset: u64,
) -> Result<Vec<u8>, SyncError> {
    let mut text = local.open(file, offset)?;
    let piece = text.next_lines()?;
    let line = &piece[..crate::store::segment::offset_after_lines(&piece, 1)];
    let project = parent.project.as_ref().and_then(|project| expand_path(project, work.views.roots()));
    let mut portable = Vec::new();
    Collapser::new(work.views.roots(), project.as_slice()).collapse(line, text_kind(file), &mut portable);
    Ok(portable)
}

/// What a step is going to report.
fn foreseen(
    work: &Work<'_>,
    snapshot: &Snapshot<'_>,
    manifest: Option<&Manifest>,
    local: &Local<'_>,
    step: &Step,
) -> Result<Outcome, SyncError> {
    let measure = |files: &Files| -> Result<(u64, u64), SyncError> {
        let (mut lines, mut bytes) = (0, 0);
        for (name, step) in files {
            let from = if let FileStep::Continue(from) = step { from.offset } else { 0 };
            bytes += local.limit(name.as_ref())?.saturating_sub(from);
            if name.is_none() {
                lines = count_remaining_lines(local, from)?;
            }
        }
        Ok((lines, bytes))
    };
    Ok(match (step, manifest) {
        (Step::Nothing | Step::Behind, _) => Outcome::Behind,
        (Step::Store(files), None) => measure(files).map(|(lines, bytes)| Outcome::Added { lines, bytes })?,
        (Step::Store(files), Some(_)) => measure(files).map(|(lines, bytes)| Outcome::Extended { lines, bytes })?,
        (Step::Fork { file, lines, offset, files }, manifest) => {
            let parent = manifest.ok_or_else(|| SyncError::NoSuchSession { session: local.session.id.clone() })?;
            let first = first_line(work, parent, local, file.as_ref(), *offset)?;
            let fork = fork_id(&parent.session, file.as_ref(), *lines, &first);
            match snapshot.manifest(&fork)? {
                Some(there) => Outcome::Forked { fork, lines: there.transcript.lines().saturating_sub(*lines) },
                None => Outcome::Forked { fork, lines: measure(files)?.0 },
            }
        }
    })
}

fn count_remaining_lines(local: &Local<'_>, from: u64) -> Result<u64, SyncError> {
    let mut text = local.open(None, from)?;
    let mut lines = 0;
    loop {
        let piece = text.next_lines()?;
        if piece.is_empty() {
            return Ok(lines);
        }
        lines += count_lines(&piece);
    }
}

/// Merging may have made a fork of what this very push had stored as an extension.
pub(super) fn mention_merged(report: &mut Report, work: &Work<'_>, merged: Merged) -> Result<(), SyncError> {
    let snapshot = work.store.head_snapshot()?;
    for (session, (fork, lines)) in merged.forks {
        let forked = described(work, &session, snapshot.manifest(&fork)?.as_ref(), Outcome::Forked { fork, lines });
        match report.sessions.iter_mut().find(|r| r.session == session) {
            Some(there) => there.outcome = forked.outcome,
            None => {
                report.unchanged = report.unchanged.saturating_sub(1);
                report.sessions.push(forked);
            }
        }
    }
    report.sort();
    Ok(())
}
