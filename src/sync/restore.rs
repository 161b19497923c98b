//! Putting sessions back to an earlier state of the store's history: in place, or beside as a fork.
//!
//! What lies here is stored before anything is replaced, and what is replaced is kept for `undo`. A session that was put back in place is held so
//! (`held`). The store's history is never changed: it only ever goes on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::choice;
use super::fork::{add_fork, restored_id};
use super::history::{states_at_merges_too, stored_session_named};
use super::milestones::commit_of;
use super::place::place;
use super::plan::{FilePull, Local, compare_with, described};
use super::pull::{Brought, bring_to};
use super::push::store_sessions;
use super::report::{Outcome, RemoteState};
use super::send::send;
use super::stored::machine_names;
use super::storing::is_stored;
use super::work::{Work, undo_path};
use super::writing::{Writer, Writing};
use super::{Context, SyncError};
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Phase;
use crate::domain::when::When;
use crate::session::SessionError;
use crate::session::discover::{Discovery, LocalSession};
use crate::session::files::file_path;
use crate::session::live::live_sessions;
use crate::session::materialise::{self, Journal};
use crate::store::Snapshot;
use crate::store::manifest::Manifest;
use crate::store::milestone::MilestoneName;
use crate::store::snapshot::SessionState;
use crate::sys::fail_point::fail_point;
use crate::sys::signal::interrupted;

/// What is to be put back.
#[derive(Debug, Clone)]
pub enum RestoreWhat {
    /// One session, to its state at a time or in a commit.
    Session(SessionId, When),
    /// Every session that the store had when this was named.
    Milestone(MilestoneName),
}

/// What a restore is asked for.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// What is to be put back.
    pub what: RestoreWhat,
    /// As sessions of their own; what is here stays.
    pub as_fork: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}

/// What a restore did. Every session that was asked for is in exactly one of `sessions`, `skipped` and `unchanged`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Sessions that were put back.
    pub sessions: Vec<RestoredSession>,
    /// Sessions that could not be put back.
    pub skipped: Vec<SkippedSession>,
    /// Sessions that are here as they were then.
    pub unchanged: u64,
    /// Sessions that there was no trace of then. They stay.
    pub newer: u64,
    /// Whether this is a plan: nothing was done.
    pub dry_run: bool,
    /// What became of the remote.
    pub remote: RemoteState,
}

/// A session that was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoredSession {
    /// The session.
    pub session: SessionId,
    /// Portable path of its project.
    pub project: Option<String>,
    /// Its title, unsanitised.
    pub title: Option<String>,
    /// The commit in whose state it is.
    pub commit: CommitId,
    /// When that was made.
    pub time: DateTime<Utc>,
    /// Lines of its transcript.
    pub lines: u64,
    /// Turns of a person in it, where they were counted.
    pub turns: Option<u64>,
    /// Lines that the store has and that it does not have any more here.
    pub lines_fewer: u64,
    /// The id of the session that it became; none: it was put back in place.
    pub fork: Option<SessionId>,
    /// Where its transcript lies.
    pub path: PathBuf,
    /// It was not on this machine.
    pub was_away: bool,
    /// What was here and had parted from the store before: the session in which that is kept.
    pub kept_as: Option<SessionId>,
}

/// A session that could not be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedSession {
    /// The session.
    pub session: SessionId,
    /// Why.
    pub reason: String,
}

/// Puts sessions back.
///
/// # Errors
/// For one session: [`SyncError::NoSuchSession`], [`SyncError::AmbiguousName`], [`SyncError::NoSuchCommit`], [`SyncError::AmbiguousCommit`],
/// [`SyncError::NotInCommit`], [`SyncError::TooEarly`], and whatever keeps it from being put back. For a milestone:
/// [`SyncError::NoSuchMilestone`]; what concerns one session is in the report.
pub fn restore(ctx: &Context<'_>, request: &RestoreRequest) -> Result<RestoreReport, SyncError> {
    let (mut work, found) = Work::open_and_discover(ctx)?;
    let mut report = RestoreReport { dry_run: request.dry_run, ..RestoreReport::default() };
    let targets = match &request.what {
        RestoreWhat::Session(name, when) => vec![Target::of_session(&work, name, when)?],
        RestoreWhat::Milestone(name) => Target::of_milestone(&work, name, &mut report)?,
    };
    fail_point("a restore is planned");
    let restoring = Restoring { found: &found, request, alone: matches!(request.what, RestoreWhat::Session(..)) };
    ctx.progress.begin(Phase::Materialise, targets.len() as u64, 0);
    let done = if request.as_fork {
        restoring.as_forks(&mut work, targets, &mut report)
    } else {
        restoring.in_place(&mut work, targets, &mut report)
    };
    ctx.progress.end();
    done?;
    if !request.dry_run {
        materialise::prune(&undo_path(ctx.env), ctx.clock.now());
        report.remote = send(&mut work)?.0;
        work.save()?;
    }
    Ok(report)
}

/// A session in one state of its history.
struct Target {
    id: SessionId,
    commit: CommitId,
    time: DateTime<Utc>,
    state: SessionState,
}

impl Target {
    fn of_session(work: &Work<'_>, name: &SessionId, when: &When) -> Result<Self, SyncError> {
        let id = stored_session_named(work, name)?;
        match when {
            When::Time(time) => Self::at_time(work, id, *time),
            When::Commit(prefix) => {
                let commit = match work.store.commits_named(prefix)?.as_slice() {
                    [] => return Err(SyncError::NoSuchCommit { commit: prefix.clone() }),
                    [one] => one.clone(),
                    _ => return Err(SyncError::AmbiguousCommit { commit: prefix.clone() }),
                };
                let state = work.store.snapshot(Some(&commit))?.state(&id)?;
                let state =
                    state.ok_or_else(|| SyncError::NotInCommit { session: id.clone(), commit: commit.clone() })?;
                Ok(Self { id, time: work.store.commit(&commit)?.time, commit, state })
            }
        }
    }

    /// The newest state that was there at that time.
    fn at_time(work: &Work<'_>, id: SessionId, time: DateTime<Utc>) -> Result<Self, SyncError> {
        let steps = states_at_merges_too(work, &id)?;
        let Some(earliest) = steps.iter().map(|step| step.commit.time).min() else {
            return Err(SyncError::NoSuchSession { session: id });
        };
        // The walk gives the newest first; of equal times the first is the newest.
        let past = steps.into_iter().rev().filter(|step| step.commit.time <= time);
        let Some(step) = past.max_by_key(|step| step.commit.time) else {
            return Err(SyncError::TooEarly { session: id, earliest });
        };
        let commit = step.commit.id;
        let state = step.state.ok_or_else(|| SyncError::NotInCommit { session: id.clone(), commit: commit.clone() })?;
        Ok(Self { id, commit, time: step.commit.time, state })
    }

    fn of_milestone(work: &Work<'_>, name: &MilestoneName, report: &mut RestoreReport) -> Result<Vec<Self>, SyncError> {
        let commit = commit_of(work, name)?;
        let time = work.store.commit(&commit)?.time;
        let then = work.store.snapshot(Some(&commit))?.sessions()?;
        let now = work.store.head_snapshot()?.sessions()?;
        report.newer = now.keys().filter(|id| !then.contains_key(*id)).count() as u64;
        let target = |(id, state)| Self { id, state, commit: commit.clone(), time };
        Ok(then.into_iter().map(target).collect())
    }
}

struct Restoring<'a> {
    found: &'a Discovery,
    request: &'a RestoreRequest,
    /// One session was asked for: what goes wrong with it is what went wrong.
    alone: bool,
}

/// What putting one session back in place takes.
struct InPlace {
    target: Target,
    manifest: Manifest,
    /// Files to be written; the transcript is among them if it is not as it was then.
    writing: Writing,
    /// The path of each file that was not there then, with how it is.
    excess: Vec<crate::domain::path::RelativeName>,
}

impl Restoring<'_> {
    fn in_place(&self, work: &mut Work<'_>, targets: Vec<Target>, report: &mut RestoreReport) -> Result<(), SyncError> {
        let mut plans = Vec::new();
        for target in targets {
            go_on()?;
            let id = target.id.clone();
            match self.plan(work, target) {
                Ok(Some(plan)) => plans.push(plan),
                Ok(None) => report.unchanged += 1,
                Err(e) => self.skip(id, e, report)?,
            }
        }
        let kept_as = if self.request.dry_run { BTreeMap::new() } else { self.store_first(work, &mut plans, report)? };
        let journal = Journal::new(&undo_path(work.ctx.env), work.ctx.clock.now());
        for plan in plans {
            go_on()?;
            let id = plan.target.id.clone();
            let mut restored = plan.restored(work)?;
            restored.kept_as = kept_as.get(&id).cloned();
            if !self.request.dry_run {
                match plan.carry_out(work, &journal) {
                    Ok(()) => {}
                    Err(e) => {
                        self.skip(id, e, report)?;
                        continue;
                    }
                }
            }
            work.ctx.progress.advance(1, 0);
            report.sessions.push(restored);
        }
        Ok(())
    }

    /// What has to be done to one session; none: it is as it was then, and would stay so.
    fn plan(&self, work: &Work<'_>, target: Target) -> Result<Option<InPlace>, SyncError> {
        let then = work.store.snapshot(Some(&target.commit))?;
        let manifest = then.manifest(&target.id)?;
        let manifest = manifest.ok_or_else(|| SyncError::NoSuchSession { session: target.id.clone() })?;
        let Some(here) = self.found.sessions.get(&target.id) else {
            let directory = self.directory(work, &manifest)?;
            let writing = match bring_to(work, &then, &manifest, directory)? {
                Brought::Write(writing) => writing,
                Brought::Refused(reason) => return Err(SyncError::NotRestored { session: target.id, reason }),
            };
            return Ok(Some(InPlace { target, manifest, writing, excess: Vec::new() }));
        };
        refuse_running(work, &target.id)?;
        let is_head = work.store.head_snapshot()?.state(&target.id)?.as_ref() == Some(&target.state);
        // What the client has cleared away of a session in step is no difference.
        let known = work.index.entry(here).filter(|_| is_head);
        let differences = compare_with(work, &then, &manifest, &Local { session: here, live: false }, known)?;
        if differences.is_empty() && is_head {
            return Ok(None);
        }
        refuse_what_stays(work, here)?;
        let differing = differences.up.keys().chain(differences.down.keys());
        let (written, excess): (Vec<_>, Vec<_>) =
            differing.cloned().partition(|name| manifest.file(name.as_ref()).is_some());
        let files = written.into_iter().map(|name| (name, FilePull::Whole)).collect();
        let writing = Writing { directory: here.directory.clone(), files, here: Some(here.clone()), ahead: false };
        Ok(Some(InPlace { target, manifest, writing, excess: excess.into_iter().flatten().collect() }))
    }

    /// Stores what of these sessions is only here, so that it is in the history, too. Gives the sessions in which is kept what had parted from the
    /// store; what could not be stored is not put back.
    fn store_first(
        &self,
        work: &mut Work<'_>,
        plans: &mut Vec<InPlace>,
        report: &mut RestoreReport,
    ) -> Result<BTreeMap<SessionId, SessionId>, SyncError> {
        let here: Vec<&LocalSession> =
            plans.iter().filter_map(|plan| self.found.sessions.get(&plan.target.id)).collect();
        let stored = store_sessions(work, &here)?;
        let mut kept_as = BTreeMap::new();
        for session in stored.sessions {
            match session.outcome {
                Outcome::Forked { fork, .. } => drop(kept_as.insert(session.session, fork)),
                Outcome::Skipped { reason } => {
                    plans.retain(|plan| plan.target.id != session.session);
                    let error = SyncError::NotRestored { session: session.session.clone(), reason };
                    self.skip(session.session, error, report)?;
                }
                _ => {}
            }
        }
        // What the index vouches for is about to change: a restore that dies leaves sessions that are compared byte by byte.
        plans.iter().for_each(|plan| work.index.forget(&plan.target.id));
        work.save()?;
        fail_point("what is here is stored before a restore");
        Ok(kept_as)
    }

    fn as_forks(&self, work: &mut Work<'_>, targets: Vec<Target>, report: &mut RestoreReport) -> Result<(), SyncError> {
        let mut plans = Vec::new();
        for target in targets {
            go_on()?;
            let id = target.id.clone();
            match self.plan_fork(work, target) {
                Ok(Some(plan)) => plans.push(plan),
                Ok(None) => report.unchanged += 1,
                Err(e) => self.skip(id, e, report)?,
            }
        }
        if !self.request.dry_run {
            store_forks(work, &plans)?;
            fail_point("restored forks are stored");
        }
        let journal = Journal::new(&undo_path(work.ctx.env), work.ctx.clock.now());
        for plan in plans {
            go_on()?;
            let id = plan.target.id.clone();
            if !self.request.dry_run
                && let Err(e) = plan.carry_out(work, &journal)
            {
                self.skip(id, e, report)?;
                continue;
            }
            work.ctx.progress.advance(1, 0);
            report.sessions.push(plan.restored(work));
        }
        Ok(())
    }

    /// None, where it is one of many: there is no need for a fork, because the store has no more of it.
    fn plan_fork(&self, work: &Work<'_>, target: Target) -> Result<Option<AsFork>, SyncError> {
        let head = work.store.head_snapshot()?;
        let here = self.found.sessions.get(&target.id);
        if !self.alone && head.state(&target.id)?.as_ref() == Some(&target.state) {
            return Ok(None);
        }
        let then = work.store.snapshot(Some(&target.commit))?.manifest(&target.id)?;
        let manifest = then.ok_or_else(|| SyncError::NoSuchSession { session: target.id.clone() })?;
        let fork = restored_id(&target.id, &target.state);
        let (directory, is_here) = match (self.found.sessions.get(&fork), here) {
            (Some(fork), _) => (fork.directory.clone(), true),
            (None, Some(here)) => {
                // It lies beside the session, and its repository is where that of the session is.
                let repo = work.views.repos().of(&manifest, &target.id);
                work.views.clones().use_for(&fork, repo.as_ref().map(|repo| repo.path.as_str()));
                (here.directory.clone(), false)
            }
            (None, None) => {
                let named = Manifest { session: fork.clone(), ..manifest.clone() };
                (self.directory(work, &named)?, false)
            }
        };
        Ok(Some(AsFork { target, manifest, fork, directory, is_here }))
    }

    /// Where a session that is not here is put.
    fn directory(&self, work: &Work<'_>, manifest: &Manifest) -> Result<PathBuf, SyncError> {
        work.views.settle(manifest);
        let found = place(manifest, &work.views.roots_of(manifest), &work.ctx.env.claude_dir)?;
        found.map_err(|reason| SyncError::NotRestored { session: manifest.session.clone(), reason })
    }

    /// Of many sessions, one that cannot be put back is named; of one, that is the end.
    fn skip(&self, session: SessionId, error: SyncError, report: &mut RestoreReport) -> Result<(), SyncError> {
        if self.alone || !error.is_about_one_session() {
            return Err(error);
        }
        report.skipped.push(SkippedSession { session, reason: error.in_words() });
        Ok(())
    }
}

impl InPlace {
    fn restored(&self, work: &Work<'_>) -> Result<RestoredSession, SyncError> {
        let Target { id, commit, time, .. } = &self.target;
        let named = described(&work.views, id, Some(&self.manifest), Outcome::Ahead);
        let now = work.store.head_snapshot()?.manifest(id).ok().flatten();
        let lines = self.manifest.transcript.lines();
        Ok(RestoredSession {
            session: id.clone(),
            project: named.project,
            title: named.title,
            commit: commit.clone(),
            time: *time,
            lines,
            turns: self.manifest.turns,
            lines_fewer: now.map_or(0, |now| now.transcript.lines().saturating_sub(lines)),
            fork: None,
            path: file_path(&self.writing.directory, id, None),
            was_away: self.writing.here.as_ref().is_none_or(|here| !here.files.contains_key(&None)),
            kept_as: None,
        })
    }

    fn carry_out(&self, work: &mut Work<'_>, journal: &Journal) -> Result<(), SyncError> {
        let id = &self.target.id;
        let names = machine_names(work.ctx, Some(&work.store.head_snapshot()?))?;
        let writer = Writer { views: &work.views, claude_dir: &work.ctx.env.claude_dir, journal, names: &names };
        let then = work.store.snapshot(Some(&self.target.commit))?;
        let (_, now) = self.writing.carry_out(&writer, &then, id)?;
        fail_point("a session is put back");
        let Some(mut now) = now else { return Ok(()) };
        for name in &self.excess {
            if let Some(stamp) = now.files.remove(&Some(name.clone())) {
                journal.remove(&file_path(&now.directory, id, Some(name)), &stamp)?;
            }
        }
        fail_point("what came later beside it is gone");
        match work.store.head_snapshot()?.state(id)? {
            Some(state) if state != self.target.state => work.held.hold(&now, state),
            _ => {
                let head = work.store.head()?;
                work.record_in_step([&now], head.as_ref())?;
            }
        }
        // Before the next session: a restore that dies has put back what it has put back.
        Ok(work.held.save()?)
    }
}

/// What putting one session beside takes.
struct AsFork {
    target: Target,
    manifest: Manifest,
    fork: SessionId,
    directory: PathBuf,
    /// An earlier restore has put it there.
    is_here: bool,
}

impl AsFork {
    fn restored(&self, work: &Work<'_>) -> RestoredSession {
        let named = described(&work.views, &self.target.id, Some(&self.manifest), Outcome::Ahead);
        RestoredSession {
            session: self.target.id.clone(),
            project: named.project,
            title: named.title,
            commit: self.target.commit.clone(),
            time: self.target.time,
            lines: self.manifest.transcript.lines(),
            turns: self.manifest.turns,
            lines_fewer: 0,
            fork: Some(self.fork.clone()),
            path: file_path(&self.directory, &self.fork, None),
            was_away: false,
            kept_as: None,
        }
    }

    fn carry_out(&self, work: &mut Work<'_>, journal: &Journal) -> Result<(), SyncError> {
        if self.is_here {
            return Ok(());
        }
        let names = machine_names(work.ctx, Some(&work.store.head_snapshot()?))?;
        let writer = Writer { views: &work.views, claude_dir: &work.ctx.env.claude_dir, journal, names: &names };
        let head = work.store.head_snapshot()?;
        let missing = || SyncError::NoSuchSession { session: self.fork.clone() };
        let manifest = head.manifest(&self.fork)?.ok_or_else(missing)?;
        let writing = match bring_to(work, &head, &manifest, self.directory.clone())? {
            Brought::Write(writing) => writing,
            Brought::Refused(reason) => return Err(SyncError::NotRestored { session: self.fork.clone(), reason }),
        };
        let (_, now) = writing.carry_out(&writer, &head, &self.fork)?;
        let commit = work.store.head()?;
        work.record_in_step(&now, commit.as_ref())
    }
}

/// Stores the forks that the store does not have yet, in one commit. They share the segments of the sessions that they come from.
fn store_forks(work: &mut Work<'_>, plans: &[AsFork]) -> Result<(), SyncError> {
    let base = work.store.head()?;
    let head = work.store.head_snapshot()?;
    let mut tx = work.store.begin(base.as_ref())?;
    for plan in plans {
        if head.state(&plan.fork)?.is_some() || tx.touches(&plan.fork) {
            continue;
        }
        let then: Snapshot<'_> = work.store.snapshot(Some(&plan.target.commit))?;
        let lines = plan.manifest.transcript.lines();
        add_fork(&mut tx, &then, &plan.manifest, (&plan.target.id, &plan.fork), lines)?;
    }
    if tx.is_empty() {
        return Ok(());
    }
    tx.commit(&work.author(), &format!("restored by {}", work.machine.name), base.as_slice())?;
    Ok(work.index.follow(&work.store)?)
}

fn refuse_running(work: &Work<'_>, id: &SessionId) -> Result<(), SyncError> {
    match live_sessions(&work.ctx.env.claude_dir).get(id) {
        Some(pid) => Err(SessionError::Running { session: id.clone(), pid: *pid }.into()),
        None => Ok(()),
    }
}

/// What is here is stored, and pushed, before it is replaced. What the settings leave out is not; so it is not replaced.
fn refuse_what_stays(work: &Work<'_>, here: &LocalSession) -> Result<(), SyncError> {
    let Some(why) = choice::stays_here(work, here) else { return Ok(()) };
    if is_stored(work, here)? {
        return Ok(());
    }
    let reason = format!("what was said here would be pushed first, but {why}");
    Err(SyncError::NotRestored { session: here.id.clone(), reason })
}

fn go_on() -> Result<(), SyncError> {
    if interrupted() { Err(SyncError::Interrupted) } else { Ok(()) }
}
