//! Pulls what other machines pushed.
//!
//! Remote -> merge into the store -> compare with the files here -> expand and write. Only what is
//! missing is written. Tails that lost their session's id become forks, which are pushed at the
//! end.

use std::collections::BTreeSet;

use crate::domain::{error::error_chain, id::SessionId};
use crate::extras::{pull::pull as pull_extras, returned::ReturnedSessions};
use crate::flows::merge::Merged;
use crate::flows::merge_notes::{add_merge_notes, note_forks_of_skipped};
use crate::flows::pull_options::PullRequest;
use crate::flows::pull_plan::PullPlan;
use crate::flows::remote_sync::{FetchMode, RemoteSync};
use crate::report::{transfer::Outcome, transfer::Report, transfer::SessionReport};
use crate::session::{LocalSession, discover::Discovery, journal::Journal};
use crate::sys::fail_point::fail_point;
use crate::workspace::{
    context::Context, error::SyncError, open::Workspace, paths::undo_path, received_notes::unseen,
};

/// Writes here what other machines pushed; offline, as far as the store of this machine has it.
///
/// # Errors
/// Fails for what concerns the whole command, such as an unreachable remote. The report has what
/// concerns one session; but if only one is named, and neither the store nor this machine has it,
/// [`LookupError`](crate::workspace::lookup::LookupError).
pub fn pull(ctx: &Context<'_>, request: &PullRequest) -> Result<Report, SyncError> {
    let began = ctx.clock.monotonic();
    let mut workspace = Workspace::open(ctx)?;
    let (merged, found) = workspace.scan_during(|workspace| match workspace.ctx.offline {
        true => Ok(Merged::default()),
        false => RemoteSync::new(workspace).fetch(FetchMode::Sessions),
    })?;
    if request.dry_run {
        return preview(&mut workspace, &found, request);
    }
    let mut report = write(&mut workspace, &found, merged, request)?;
    report.sum_up(ctx.clock.monotonic().saturating_sub(began));
    Ok(report)
}

/// Fetches and merges, and writes nothing here. Returns the warnings of the merge.
///
/// # Errors
/// As for [`pull`].
pub fn fetch(ctx: &Context<'_>) -> Result<Vec<String>, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let merged = RemoteSync::new(&mut workspace).fetch(FetchMode::SessionsAndLocks)?;
    let mut report = Report::default();
    add_merge_notes(&mut report, &workspace, merged)?;
    workspace.save()?;
    Ok(report.warnings)
}

/// Returns the report of a pull that changes nothing, without a fetch.
pub(crate) fn preview(
    workspace: &mut Workspace<'_>,
    found: &Discovery,
    request: &PullRequest,
) -> Result<Report, SyncError> {
    workspace.records.record_discovery(found);
    let plan = PullPlan::new(workspace, found, request)?;
    let mut report = plan.preview(workspace)?;
    let returned = returned_sessions(workspace, request, &report, &[]);
    report.extras = pull_extras(workspace, None, &returned)?;
    Ok(report)
}

/// Writes what is missing here.
fn write(
    workspace: &mut Workspace<'_>,
    found: &Discovery,
    mut merged: Merged,
    request: &PullRequest,
) -> Result<Report, SyncError> {
    workspace.records.record_discovery(found);
    let mut plan = PullPlan::new(workspace, found, request)?;
    fail_point("the pull is planned");
    plan.store_forks(workspace)?;
    record_repositories(workspace, found, &plan);
    let planned: BTreeSet<SessionId> = plan.sessions().cloned().collect();

    let journal = Journal::new(&undo_path(workspace.ctx.env), workspace.ctx.clock.now());
    let (mut report, added) = plan.execute(workspace, &journal)?;
    report.add_extras(std::mem::take(&mut merged.extras));
    let returned = returned_sessions(workspace, request, &report, &added);
    report.add_extras(pull_extras(workspace, Some(&journal), &returned)?);
    note_forks_of_skipped(&mut report, &mut merged);

    let pushed = RemoteSync::new(workspace).push_remaining()?;
    merged.add(pushed.merged);
    add_merge_notes(&mut report, workspace, merged)?;
    report.add_refusals(pushed.refusals);
    report.remote = pushed.state;
    report.is_selection = request.names_sessions() || request.restores_deleted();
    forget_lost_leases(workspace, &report, &planned, found)?;
    match unseen(workspace) {
        Ok(notes) => report.notes = notes,
        // A notes error must not fail a pull that already succeeded.
        Err(e) => {
            let warning = format!("cannot read notes of other machines: {}", error_chain(&e));
            report.warnings.push(warning);
        }
    }
    workspace.save()?;
    Ok(report)
}

/// Describes the `added` sessions, with the projects that the report names.
fn returned_sessions(
    workspace: &Workspace<'_>,
    request: &PullRequest,
    report: &Report,
    added: &[LocalSession],
) -> ReturnedSessions {
    let is_added = |session: &&SessionReport| matches!(session.outcome, Outcome::Added { .. });
    let sessions = report.sessions.iter().filter(is_added);
    let projects = sessions.filter_map(|session| session.project.clone());
    let placeholders = workspace.localizer.placeholders();
    ReturnedSessions::new(request.all, added, &projects.collect(), placeholders)
}

/// Records where the repositories of the written sessions are, before anything is written. If that
/// cannot be saved, a later command finds them again.
fn record_repositories(workspace: &Workspace<'_>, found: &Discovery, plan: &PullPlan<'_>) {
    let clones = workspace.localizer.clones();
    clones.retain_checkouts(&found.sessions.keys().chain(plan.sessions()).collect());
    let _ = clones.save();
}

/// Forgets lost leases whose holder has ended: this machine's turns are a fork now, and the session
/// here is that of the store.
fn forget_lost_leases(
    workspace: &mut Workspace<'_>,
    report: &Report,
    planned: &BTreeSet<SessionId>,
    found: &Discovery,
) -> Result<(), SyncError> {
    let is_open = |outcome: &Outcome| matches!(outcome, Outcome::Skipped { .. } | Outcome::Ahead);
    let sessions = report.sessions.iter();
    let open = sessions.filter(|session| is_open(&session.outcome));
    let open: BTreeSet<&SessionId> = open.map(|session| &session.session).collect();
    for session in workspace
        .leases
        .lost_without_holder(workspace.ctx.clock.now())
    {
        let was_pulled = planned.contains(&session) && !open.contains(&session);
        if was_pulled || !found.sessions.contains_key(&session) {
            workspace.leases.forget_lost(&session)?;
        }
    }
    Ok(())
}
