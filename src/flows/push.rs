//! Pushes the sessions of this machine.
//!
//! Files of Claude Code -> compare with the store -> collapse and commit -> remote. A
//! session that fails is skipped whole and reported; the others continue.

use std::collections::BTreeSet;

use crate::domain::SessionId;
use crate::extras::{context::load_state, push::push_selected};
use crate::flows::{
    foreign_locks::add_fork_notes, foreign_locks::keep_foreign_locks,
    foreign_locks::record_foreign_locks, foreign_locks::sessions_at_risk,
    merge_notes::add_merge_notes, push_commit::store_sessions, push_copies::preview_copies,
    push_copies::store_copies, push_plan::PushPlan, remote_sync::RemoteSync, send::author_advice,
    store_session::is_stored,
};
use crate::report::{Outcome, RemoteState, Report};
use crate::session::{Discovery, continued::running_as, live::live_sessions};
use crate::sys::fail_point::fail_point;
use crate::workspace::{Context, Selection, SyncError, Workspace};

/// Added to the note about a released lock of a session that stays on this machine.
const STAYS: &str =
    "what was not pushed before stays here; if another machine continues it, both sides are kept";

/// Why everything is pushed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PushReason<'a> {
    /// The user asked for it.
    Push,
    /// As a sign of life: every lock of this machine is renewed.
    BackUp,
    /// Claude Code has ended: the locks of these sessions are released with the last of their data.
    Finish(&'a BTreeSet<SessionId>),
}

/// A push, and what is left to do after it.
#[derive(Debug)]
pub struct Pushed {
    /// Its report. A session with a lost lock is reported as forked.
    pub report: Report,
    /// Sessions whose lock was lost and whose holder has ended, or is this process. A pull makes
    /// forks of this machine's turns. They are missing in the report if another command here did.
    pub lost: BTreeSet<SessionId>,
}

/// Pushes the selected sessions of this machine to the remote.
///
/// # Errors
/// Fails for what concerns the whole command. The report has what concerns one session.
pub fn push(ctx: &Context<'_>, selection: &Selection, dry_run: bool) -> Result<Report, SyncError> {
    if !dry_run {
        return push_for(ctx, PushReason::Push, selection).map(|pushed| pushed.report);
    }
    let (mut workspace, found) = Workspace::look_and_discover(ctx)?;
    let plan = PushPlan::new(&workspace, &found, selection)?;
    let mut report = plan.preview(&workspace)?;
    if *selection == Selection::default() {
        let copies = preview_copies(&mut workspace, &found)?;
        report.sessions.extend(copies);
        report.sort();
    }
    report.extras = push_selected(&mut workspace, &selection.projects, &report.sessions, true)?;
    Ok(report)
}

/// Pushes the selected sessions. Releases the locks that a killed process left.
pub(crate) fn push_for(
    ctx: &Context<'_>,
    reason: PushReason<'_>,
    selection: &Selection,
) -> Result<Pushed, SyncError> {
    let began = ctx.clock.monotonic();
    let (mut workspace, found) = Workspace::open_and_discover(ctx)?;
    RemoteSync::new(&mut workspace).fetch_before_push()?;
    if selection.again {
        forget_purged(&mut workspace)?;
    }
    fail_point("the sessions are found");
    let (before, held) = (workspace.store.head()?, workspace.leases.active_sessions());
    let mut plan = PushPlan::new(&workspace, &found, selection)?;
    let at_risk = sessions_at_risk(&workspace, &plan.changed())?;
    let mut lock_warnings = Vec::new();
    if !at_risk.is_empty() {
        match RemoteSync::new(&mut workspace).fetch_locks() {
            // Nothing is sent to it either.
            Err(SyncError::Remote(_)) => {}
            result => result?,
        }
        let foreign = record_foreign_locks(&mut workspace, &at_risk)?;
        lock_warnings = foreign.warnings;
        if foreign.any_held {
            plan = PushPlan::new(&workspace, &found, selection)?;
        }
    }
    fail_point("the push is planned");
    let not_selected = plan.not_selected.clone();
    let mut report = store_sessions(&mut workspace, plan)?;
    if *selection == Selection::default() {
        report
            .sessions
            .extend(store_copies(&mut workspace, &found)?);
        report.sort();
    }
    report.extras = push_selected(&mut workspace, &selection.projects, &report.sessions, false)?;

    select_leases(&mut workspace, reason, &report, &not_selected);
    let staying = released_but_not_stored(&workspace, &found, &report)?;
    let is_backup = matches!(reason, PushReason::BackUp);
    let sync = RemoteSync::new(&mut workspace);
    let pushed = sync.for_backup(is_backup).push()?;

    add_merge_notes(&mut report, &workspace, pushed.merged)?;
    if !held.is_empty() && workspace.store.head()? != before {
        let before = workspace.store.snapshot(before.as_ref())?;
        add_fork_notes(&mut report, &workspace, &held, &before)?;
    }
    keep_foreign_locks(&mut workspace, &report)?;
    report.add_refusals(pushed.refusals);
    add_release_notes(&mut report, &workspace, &staying)?;
    if let RemoteState::Refused { reason, .. } = &pushed.state {
        report.warnings.extend(author_advice(&workspace, reason));
    }
    report.remote = pushed.state;
    report.warnings.extend(workspace.localizer.rule_warnings());
    report.warnings.extend(lock_warnings);
    report.is_selection = *selection != Selection::default();
    workspace.save()?;
    report.sum_up(ctx.clock.monotonic().saturating_sub(began));
    Ok(Pushed {
        report,
        lost: workspace.leases.lost_without_holder(ctx.clock.now()),
    })
}

/// Lets everything be pushed that was removed from the history of the remote.
fn forget_purged(workspace: &mut Workspace<'_>) -> Result<(), SyncError> {
    drop(workspace.records.purged.retain(|_| false));
    let mut state = load_state(workspace, workspace.store.head()?.as_ref());
    state.forget_purged();
    Ok(state.save()?)
}

/// Selects the leases that are renewed or released with the push. A session that was not stored
/// keeps its lock: its turns are only here.
fn select_leases(
    workspace: &mut Workspace<'_>,
    reason: PushReason<'_>,
    report: &Report,
    not_selected: &BTreeSet<SessionId>,
) {
    let claude_dir = &workspace.ctx.env.claude_dir;
    let live = live_sessions(claude_dir);
    let is_skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped { .. });
    let skipped = report.sessions.iter().filter(|s| is_skipped(&s.outcome));
    let skipped = skipped.map(|report| &report.session);
    let unstored: BTreeSet<&SessionId> = skipped.chain(not_selected).collect();
    let none = BTreeSet::new();
    let finished = match reason {
        PushReason::Finish(sessions) => sessions,
        PushReason::Push | PushReason::BackUp => &none,
    };
    workspace.leases.select_for_release(
        finished,
        workspace.ctx.clock.now(),
        |session| running_as(claude_dir, session, &live).is_some(),
        |session| unstored.contains(session),
    );
    if matches!(reason, PushReason::BackUp) {
        workspace.leases.renew_all();
    }
}

/// Finds excluded sessions with local data whose lock is being released.
fn released_but_not_stored(
    workspace: &Workspace<'_>,
    found: &Discovery,
    report: &Report,
) -> Result<BTreeSet<SessionId>, SyncError> {
    let mut staying = BTreeSet::new();
    for session in &report.sessions {
        if matches!(session.outcome, Outcome::Excluded { .. })
            && workspace.leases.is_releasing(&session.session)
            && let Some(here) = found.sessions.get(&session.session)
            && !is_stored(workspace, here)?
        {
            staying.insert(session.session.clone());
        }
    }
    Ok(staying)
}

/// Notes for excluded sessions that data stays here, because another machine may continue without
/// it now, and what has become of the lock.
fn add_release_notes(
    report: &mut Report,
    workspace: &Workspace<'_>,
    staying: &BTreeSet<SessionId>,
) -> Result<(), SyncError> {
    for session in staying {
        let leases = &workspace.leases;
        let lock = match leases.lost_note(&workspace.store, session)? {
            Some(lost) => lost,
            None if leases.active(session).is_some() => {
                "its lock is released with the next push".to_owned()
            }
            None => "its lock is released".to_owned(),
        };
        if let Some(session) = report.session_mut(session) {
            session.warnings.push(format!("{lock}, and {STAYS}"));
        }
    }
    Ok(())
}
