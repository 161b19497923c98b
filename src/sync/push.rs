//! Upward: local sessions -> collapse -> store -> remote.
//!
//! `plan` finds what differs; here it is carried out (`storing`), session after session, into one commit. A session that fails is
//! taken back whole and named; the others go on.

use super::merge::Merged;
use super::plan::{Differences, Local, compare_session, described};
use super::report::{Outcome, PassedOver, Report, SessionReport};
use super::send::{fetch, send};
use super::storing::Storing;
use super::work::Work;
use super::{Context, SyncError};
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Phase;
use crate::session::discover::{Discovery, LocalSession};
use crate::session::live::live_sessions;
use crate::store::Transaction;
use crate::store::machine::Machine;
use crate::sys::fail_point::fail_point;

/// Brings every session of this machine to the remote.
///
/// # Errors
/// What concerns the whole command; what concerns one session is in the report.
pub fn push(ctx: &Context<'_>, dry_run: bool) -> Result<Report, SyncError> {
    let mut work = Work::open(ctx)?;
    if work.store.head()?.is_none() && !dry_run {
        fetch_first(&mut work)?;
    }
    let found = work.discover()?;
    fail_point("the sessions are found");
    let plan = Plan::make(&work, &found)?;
    fail_point("the push is planned");
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

/// A store without a commit is new, or was lost: what the remote holds is looked at before anything is compared with it.
fn fetch_first(work: &mut Work<'_>) -> Result<(), SyncError> {
    match fetch(work) {
        // Offline, everything is stored as new; merging finds out later what was there.
        Ok(_) | Err(SyncError::Remote(_)) => work.refresh_machine(),
        Err(e) => Err(e),
    }
}

/// What a push is going to do.
pub(super) struct Plan<'a> {
    found: &'a Discovery,
    steps: Vec<(Local<'a>, Differences)>,
    /// Sessions that cannot be handled, with the reason.
    skipped: Vec<(SessionId, String)>,
    unchanged: u64,
}

impl<'a> Plan<'a> {
    /// Compares every session of this machine with the store.
    pub(super) fn make(work: &Work<'_>, found: &'a Discovery) -> Result<Self, SyncError> {
        let live = live_sessions(&work.ctx.env.claude_dir);
        let snapshot = work.store.head_snapshot()?;
        let mut plan = Self { found, steps: Vec::new(), skipped: Vec::new(), unchanged: 0 };
        for session in found.sessions.values() {
            let local = Local { session, live: live.contains_key(&session.id) };
            match compare_session(work, &snapshot, &local) {
                Ok(differences) if differences.is_empty() => plan.unchanged += 1,
                Ok(differences) => plan.steps.push((local, differences)),
                Err(e) if e.is_about_one_session() => plan.skipped.push((session.id.clone(), e.in_words())),
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
        for (local, differences) in &self.steps {
            let outcome = Storing { work, snapshot: &snapshot, local }.foresee(differences)?;
            let manifest = snapshot.manifest(&local.session.id)?;
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
        for (local, differences) in &self.steps {
            let (session, complete) = store_one(work, &mut tx, local, differences)?;
            if complete {
                in_step.push(local.session);
            }
            report.sessions.push(session);
            work.ctx.progress.advance(1, local.session.bytes());
        }
        work.ctx.progress.end();
        if let Some(machine) = commit(work, tx, base.as_ref(), &report)? {
            work.machine = machine;
            work.machine_changed = false;
        }
        self.record(work, &in_step)?;
        report.sort();
        Ok(report)
    }

    fn begin_report(&self, work: &Work<'_>) -> Report {
        let sessions = self.skipped.iter().map(|(id, reason)| skipped(work, id, reason.clone())).collect();
        Report { sessions, unchanged: self.unchanged, passed_over: passed_over(self.found), ..Report::default() }
    }

    /// Enters in the index what is now in step, and forgets what is not.
    fn record(&self, work: &mut Work<'_>, in_step: &[&LocalSession]) -> Result<(), SyncError> {
        let states = work.store.head_snapshot()?.sessions()?;
        for (local, _) in &self.steps {
            work.index.forget(&local.session.id);
        }
        for session in in_step {
            if let Some(state) = states.get(&session.id) {
                work.record_in_step(session, state.clone());
            }
        }
        work.index.keep_only(&self.found.sessions);
        Ok(())
    }
}

/// Stores one session, and says whether it is in step then.
fn store_one(
    work: &Work<'_>,
    tx: &mut Transaction<'_>,
    local: &Local<'_>,
    differences: &Differences,
) -> Result<(SessionReport, bool), SyncError> {
    if crate::sys::signal::interrupted() {
        work.ctx.progress.end();
        return Err(SyncError::Interrupted);
    }
    let snapshot = work.store.head_snapshot()?;
    match (Storing { work, snapshot: &snapshot, local }).store(tx, differences) {
        Ok(report) => Ok((report, differences.down.is_empty() && differences.parted.is_none() && !local.live)),
        Err(e) if e.is_about_one_session() => {
            tx.forget_incomplete_sessions()?;
            Ok((skipped(work, &local.session.id, e.in_words()), false))
        }
        Err(e) => Err(e),
    }
}

/// Files that look like parts of sessions and cannot be taken.
pub(super) fn passed_over(found: &Discovery) -> Vec<PassedOver> {
    let refused = found.refused.iter();
    refused.map(|r| PassedOver { path: r.path.display().to_string(), reason: r.reason.clone() }).collect()
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

/// Merging may have made a fork of what this very push had stored as an extension, or met a session that cannot be read.
pub(super) fn mention_merged(report: &mut Report, work: &Work<'_>, merged: Merged) -> Result<(), SyncError> {
    let snapshot = work.store.head_snapshot()?;
    for (session, (fork, lines)) in merged.forks {
        let there = snapshot.manifest(&fork)?;
        report.replace(described(work, &session, there.as_ref(), Outcome::Forked { fork, lines }));
    }
    for (session, reason) in merged.skipped {
        report.replace(described(work, &session, None, Outcome::Skipped { reason }));
    }
    report.sort();
    Ok(())
}
