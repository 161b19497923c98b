//! Upward: local sessions -> collapse -> store -> remote.
//!
//! `plan` finds what differs; here it is carried out (`storing`), session after session, into one commit. A session that fails is
//! taken back whole and named; the others go on.

use std::collections::BTreeSet;

use crate::domain::error::{UserError, error_chain};
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Phase;
use crate::flows::merge::Merged;
use crate::flows::plan::{Differences, compare_session, described};
use crate::flows::remote_sync::{fetch_before_push, send};
use crate::flows::store_session::{SessionWriter, is_stored};
use crate::localize::local_copy::LocalCopy;
use crate::report::transfer::{Outcome, Report, SessionReport, SkippedFile};
use crate::session::LocalSession;
use crate::session::discover::Discovery;
use crate::session::live::live_sessions;
use crate::store::machine::Machine;
use crate::store::{Author, RenamedMilestone, Transaction};
use crate::sys::fail_point::fail_point;
use crate::sys::signal;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::exclusion::ExcludeReason;
use crate::workspace::filter::Selection;
use crate::workspace::open::Workspace;

/// Brings every session of this machine to the remote.
///
/// # Errors
/// What concerns the whole command; what concerns one session is in the report.
pub fn push(ctx: &Context<'_>, dry_run: bool) -> Result<Report, SyncError> {
    push_selected(ctx, dry_run, &Selection::default())
}

/// As [`push`], but looks only at the sessions of the selection.
///
/// # Errors
/// As for [`push`].
pub fn push_selected(
    ctx: &Context<'_>,
    dry_run: bool,
    selection: &Selection,
) -> Result<Report, SyncError> {
    let purpose = if dry_run {
        PushReason::Plan
    } else {
        PushReason::Push
    };
    push_for(ctx, purpose, selection).map(|(report, _)| report)
}

/// Said of a session whose lock goes back while not all of it may be sent.
const STAYS: &str = "what was not pushed before stays here; if another machine goes on with it, both sides are kept";

/// For what everything is pushed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PushReason<'a> {
    /// To see what would be done.
    Plan,
    /// Because somebody asked for it.
    Push,
    /// As a sign of life: every lock that is held is renewed.
    BackUp,
    /// Because a client has ended: the locks of these sessions go back together with the last of their data.
    Finish(&'a BTreeSet<SessionId>),
}

/// Pushes everything; the locks that a killed process left are given back. Also returns the sessions whose lock was lost and whose holder
/// has ended, or is this process: a pull makes this machine's turns a session of their own.
pub(crate) fn push_for(
    ctx: &Context<'_>,
    purpose: PushReason<'_>,
    selection: &Selection,
) -> Result<(Report, Vec<SessionId>), SyncError> {
    let dry_run = matches!(purpose, PushReason::Plan);
    let (mut workspace, found) = Workspace::open_and_discover(ctx)?;
    if !dry_run {
        fetch_before_push(&mut workspace)?;
    }
    fail_point("the sessions are found");
    let plan = Plan::make(&workspace, &found, selection)?;
    fail_point("the push is planned");
    if dry_run {
        let mut report = plan.as_report(&workspace)?;
        report.extras = crate::extras::push::push(&mut workspace, true)?;
        return Ok((report, Vec::new()));
    }
    let not_looked_at = plan.not_looked_at.clone();
    let mut report = plan.execute(&mut workspace)?;
    report.extras = crate::extras::push::push(&mut workspace, false)?;
    prepare_locks(&mut workspace, purpose, &report, &not_looked_at);
    let staying = excluded_but_local(&workspace, &found, &report)?;
    let (remote, merged) = send(&mut workspace)?;
    add_merge_notes(&mut report, &workspace, merged)?;
    note_excluded_sessions(&workspace, &staying, &mut report)?;
    report.remote = remote;
    workspace.save()?;
    Ok((report, workspace.locks.lost_without_holder()))
}

/// Which locks go with what is sent. That of a session which could not be stored stays: its turns are only here.
fn prepare_locks(
    workspace: &mut Workspace<'_>,
    purpose: PushReason<'_>,
    report: &Report,
    not_looked_at: &BTreeSet<SessionId>,
) {
    let live = live_sessions(&workspace.ctx.env.claude_dir);
    let skipped = report
        .sessions
        .iter()
        .filter(|session| matches!(session.outcome, Outcome::Skipped { .. }));
    let skipped: BTreeSet<&SessionId> = skipped
        .map(|session| &session.session)
        .chain(not_looked_at)
        .collect();
    let none = BTreeSet::new();
    let done = if let PushReason::Finish(sessions) = purpose {
        sessions
    } else {
        &none
    };
    workspace.locks.end(
        done,
        |session| live.contains_key(session),
        |session| skipped.contains(session),
    );
    if matches!(purpose, PushReason::BackUp) {
        workspace.locks.renew();
    }
}

/// A session that the settings leave out gives its lock back: nobody is at work on it any more, and nothing of it may be sent. Those of which
/// something stays here.
fn excluded_but_local(
    workspace: &Workspace<'_>,
    found: &Discovery,
    report: &Report,
) -> Result<BTreeSet<SessionId>, SyncError> {
    let mut staying = BTreeSet::new();
    for session in &report.sessions {
        if matches!(session.outcome, Outcome::Excluded { .. })
            && workspace.locks.ends(&session.session)
            && let Some(here) = found.sessions.get(&session.session)
            && !is_stored(workspace, here)?
        {
            staying.insert(session.session.clone());
        }
    }
    Ok(staying)
}

/// That something stays here is said, because another machine may go on without it now; and what has become of the lock.
fn note_excluded_sessions(
    workspace: &Workspace<'_>,
    staying: &BTreeSet<SessionId>,
    report: &mut Report,
) -> Result<(), SyncError> {
    let is_left_out =
        |session: &&mut SessionReport| matches!(session.outcome, Outcome::Excluded { .. });
    for session in report
        .sessions
        .iter_mut()
        .filter(is_left_out)
        .filter(|left| staying.contains(&left.session))
    {
        let lock = match workspace.locks.note(&workspace.store, &session.session)? {
            Some(lost) => lost,
            None if workspace.locks.claim(&session.session).is_some() => {
                "its lock goes back with the next push".to_owned()
            }
            None => "its lock is given back".to_owned(),
        };
        session.notes.push(format!("{lock}, and {STAYS}"));
    }
    Ok(())
}

/// What a push is going to do.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    passed_over: Vec<SkippedFile>,
    steps: Vec<(LocalCopy<'a>, Differences)>,
    /// Sessions that cannot be handled, with the reason.
    skipped: Vec<(SessionId, String)>,
    /// Sessions that the settings leave out.
    left_out: Vec<SessionReport>,
    /// Sessions that were not asked for.
    not_looked_at: BTreeSet<SessionId>,
    unchanged: Vec<LocalCopy<'a>>,
    /// How many are to stay at an earlier state: there is nothing to send of them.
    held: u64,
}

/// Stores what of these sessions is only here; nothing is sent.
pub(crate) fn store_sessions(
    workspace: &mut Workspace<'_>,
    sessions: &[&LocalSession],
) -> Result<Report, SyncError> {
    Plan::compare(
        workspace,
        sessions.iter().map(|session| LocalCopy::closed(session)),
    )?
    .execute(workspace)
}

impl<'a> Plan<'a> {
    /// Compares every session of this machine with the store that is selected, and that the settings let travel.
    pub(crate) fn make(
        workspace: &Workspace<'_>,
        found: &'a Discovery,
        selection: &Selection,
    ) -> Result<Self, SyncError> {
        let live = live_sessions(&workspace.ctx.env.claude_dir);
        let is_selected = workspace.filter().selected(selection);
        let (mut not_looked_at, mut left_out, mut chosen) =
            (BTreeSet::new(), Vec::new(), Vec::new());
        for session in found.sessions.values() {
            if !is_selected(session) {
                not_looked_at.insert(session.id.clone());
            } else if let Some(reason) = workspace.filter().push_exclude_reason(session) {
                left_out.push(left_out_report(workspace, session, &reason)?);
            } else {
                chosen.push(LocalCopy {
                    session,
                    live: live.contains_key(&session.id),
                });
            }
        }
        Ok(Self {
            passed_over: passed_over(found),
            left_out,
            not_looked_at,
            ..Self::compare(workspace, chosen)?
        })
    }

    fn compare(
        workspace: &Workspace<'_>,
        sessions: impl IntoIterator<Item = LocalCopy<'a>>,
    ) -> Result<Self, SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let mut plan = Self::default();
        for local in sessions {
            if workspace.held.holds(local.session, &snapshot)? {
                plan.held += 1;
                continue;
            }
            match compare_session(workspace, &snapshot, &local) {
                Ok(differences) if differences.is_empty() => plan.unchanged.push(local),
                Ok(differences) => plan.steps.push((local, differences)),
                Err(e) if e.is_about_one_session() => {
                    plan.skipped
                        .push((local.session.id.clone(), error_chain(&e)));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(plan)
    }

    /// The report of a push that does nothing.
    pub(crate) fn as_report(&self, workspace: &Workspace<'_>) -> Result<Report, SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let mut report = self.begin_report(workspace);
        report.dry_run = true;
        for (local, differences) in &self.steps {
            let outcome = SessionWriter {
                workspace,
                snapshot: &snapshot,
                local,
            }
            .preview_outcome(differences)?;
            let manifest = snapshot.manifest(&local.session.id)?;
            report.sessions.push(described(
                &workspace.localizer,
                &local.session.id,
                manifest.as_ref(),
                outcome,
            ));
        }
        report.sort();
        Ok(report)
    }

    /// Stores everything, in one commit but for rare cases, and reports it.
    pub(crate) fn execute(mut self, workspace: &mut Workspace<'_>) -> Result<Report, SyncError> {
        let compared_at = workspace.store.head()?;
        let mut report = self.begin_report(workspace);
        let mut steps = std::mem::take(&mut self.steps);
        let bytes = steps.iter().map(|(local, _)| local.session.bytes()).sum();
        workspace
            .ctx
            .progress
            .begin(Phase::Store, steps.len() as u64, bytes);
        loop {
            let stored = store_together(workspace, steps)?;
            report.sessions.extend(stored.reports);
            if stored.later.is_empty() {
                break;
            }
            let again = Self::compare(workspace, stored.later)?;
            report.sessions.extend(
                again
                    .skipped
                    .iter()
                    .map(|(id, reason)| skipped(workspace, id, reason.clone())),
            );
            report.unchanged += again.unchanged.len() as u64 + again.held;
            steps = again.steps;
        }
        workspace.ctx.progress.end();
        // Of a running session only whole lines were compared.
        let whole = self
            .unchanged
            .iter()
            .filter(|local| !local.live)
            .map(|local| local.session);
        workspace.record_in_step(whole, compared_at.as_ref())?;
        report.sort();
        Ok(report)
    }

    fn begin_report(&self, workspace: &Workspace<'_>) -> Report {
        let skipped = self
            .skipped
            .iter()
            .map(|(id, reason)| skipped(workspace, id, reason.clone()));
        Report {
            sessions: skipped.chain(self.left_out.iter().cloned()).collect(),
            unchanged: self.unchanged.len() as u64 + self.held,
            passed_over: self.passed_over.clone(),
            ..Report::default()
        }
    }
}

/// What became of one commit.
struct Stored<'a> {
    reports: Vec<SessionReport>,
    /// Sessions that have to be compared again: another one of this commit, which became a fork, has changed what they belong to.
    later: Vec<LocalCopy<'a>>,
}

/// Stores these sessions in one commit.
fn store_together<'a>(
    workspace: &mut Workspace<'_>,
    steps: Vec<(LocalCopy<'a>, Differences)>,
) -> Result<Stored<'a>, SyncError> {
    let base = workspace.store.head()?;
    let mut tx = workspace.store.begin(base.as_ref())?;
    let mut stored = Stored {
        reports: Vec::new(),
        later: Vec::new(),
    };
    let (mut in_step, mut others, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for (local, differences) in steps {
        let is_held = workspace
            .held
            .holds_transcript(local.session, &workspace.store.head_snapshot()?)?;
        let done = store_one(workspace, &mut tx, &local, &differences)?;
        workspace.ctx.progress.advance(1, local.session.bytes());
        match done {
            None => stored.later.push(local),
            Some((report, complete)) => {
                if is_held && !complete && matches!(report.outcome, Outcome::Extended { .. }) {
                    held.push(local.session);
                }
                stored.reports.push(report);
                if complete {
                    in_step.push(local.session);
                } else {
                    others.push(&local.session.id);
                }
            }
        }
    }
    commit(
        workspace.ctx,
        &mut workspace.machine,
        tx,
        base.as_ref(),
        &stored.reports,
    )?;
    others.into_iter().for_each(|id| workspace.index.forget(id));
    in_step
        .iter()
        .for_each(|session| workspace.index.forget(&session.id));
    let head = workspace.store.head()?;
    workspace.record_in_step(in_step, head.as_ref())?;
    for session in held {
        // What changed beside it is this machine's own doing, and brings no later turns back.
        if let Some(state) = workspace.store.head_snapshot()?.state(&session.id)? {
            workspace.held.hold(session, state);
        }
    }
    Ok(stored)
}

/// Stores one session, and says whether it is in step then. `None`: it has to wait for the next commit.
fn store_one(
    workspace: &Workspace<'_>,
    tx: &mut Transaction<'_>,
    local: &LocalCopy<'_>,
    differences: &Differences,
) -> Result<Option<(SessionReport, bool)>, SyncError> {
    signal::check().inspect_err(|_| workspace.ctx.progress.end())?;
    let snapshot = workspace.store.head_snapshot()?;
    match (SessionWriter {
        workspace,
        snapshot: &snapshot,
        local,
    })
    .store(tx, differences)
    {
        Ok(report) => Ok(Some((
            report,
            differences.down.is_empty() && differences.parted.is_none() && !local.live,
        ))),
        Err(SyncError::ChangedAlready(_)) => {
            tx.discard_incomplete_sessions()?;
            Ok(None)
        }
        Err(e) if e.is_about_one_session() => {
            tx.discard_incomplete_sessions()?;
            Ok(Some((
                skipped(workspace, &local.session.id, error_chain(&e)),
                false,
            )))
        }
        Err(e) => Err(e),
    }
}

/// Files that look like parts of sessions and cannot be taken.
pub(crate) fn passed_over(found: &Discovery) -> Vec<SkippedFile> {
    let refused = found.refused.iter();
    refused
        .map(|r| SkippedFile {
            path: r.path.display().to_string(),
            reason: r.reason.clone(),
        })
        .collect()
}

/// How a session is reported that the settings keep here.
pub(crate) fn left_out_report(
    workspace: &Workspace<'_>,
    session: &LocalSession,
    why: &ExcludeReason,
) -> Result<SessionReport, SyncError> {
    let stored = workspace
        .store
        .head_snapshot()?
        .state(&session.id)?
        .is_some();
    let outcome = Outcome::Excluded {
        reason: why.to_string(),
        stored,
    };
    let project = workspace.filter().project(session);
    Ok(SessionReport {
        project,
        ..described(&workspace.localizer, &session.id, None, outcome)
    })
}

fn skipped(workspace: &Workspace<'_>, session: &SessionId, reason: String) -> SessionReport {
    described(
        &workspace.localizer,
        session,
        None,
        Outcome::Skipped { reason },
    )
}

/// Commits what the transaction holds, and this machine's file with the time of the push.
fn commit(
    ctx: &Context<'_>,
    machine: &mut Machine,
    mut tx: Transaction<'_>,
    base: Option<&CommitId>,
    reports: &[SessionReport],
) -> Result<(), SyncError> {
    if tx.is_empty() && tx.has_machine(machine)? {
        return Ok(());
    }
    ctx.progress.begin(Phase::Commit, 0, 0);
    let time = ctx.clock.now();
    machine.record_push(time);
    tx.write_machine(machine)?;
    let stored = |o: &Outcome| {
        matches!(
            o,
            Outcome::Added { .. } | Outcome::Extended { .. } | Outcome::Forked { .. }
        )
    };
    let sessions = reports
        .iter()
        .filter(|report| stored(&report.outcome))
        .count();
    let message = format!(
        "push from {}: {sessions} session{}",
        machine.name,
        if sessions == 1 { "" } else { "s" }
    );
    let result = tx.commit(
        &Author { machine, time },
        &message,
        base.cloned().as_slice(),
    );
    ctx.progress.end();
    result?;
    Ok(())
}

/// Merging may have made a fork of what this very push had stored as an extension, or met a session that cannot be read.
pub(crate) fn add_merge_notes(
    report: &mut Report,
    workspace: &Workspace<'_>,
    merged: Merged,
) -> Result<(), SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    for (session, (fork, lines)) in merged.forks {
        let there = snapshot.manifest(&fork)?;
        report.replace(described(
            &workspace.localizer,
            &session,
            there.as_ref(),
            Outcome::Forked { fork, lines },
        ));
    }
    let renamed = |RenamedMilestone { from, to }| {
        format!(
            "another machine was first with the milestone `{from}`; this one's is called `{to}`"
        )
    };
    report
        .remarks
        .extend(merged.renamed.into_iter().map(renamed));
    report.add_beside(merged.extras);
    for (session, reason) in merged.skipped {
        report.replace(described(
            &workspace.localizer,
            &session,
            None,
            Outcome::Skipped { reason },
        ));
    }
    for session in report
        .sessions
        .iter_mut()
        .filter(|s| matches!(s.outcome, Outcome::Forked { .. }))
    {
        session
            .notes
            .extend(workspace.locks.note(&workspace.store, &session.session)?);
    }
    report.sort();
    Ok(())
}
