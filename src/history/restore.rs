//! Restores sessions to an earlier state of the store: in place, or as a fork. A
//! milestone in place also restores extras.
//!
//! Stores local text before it replaces anything, and keeps replaced files for `undo`.
//! A session restored in place is pinned. The store's history is never rewritten.
//!
//! This file has the steps that both ways share.

use crate::domain::{Phase, SessionId};
use crate::flows::RemoteSync;
use crate::history::milestones::milestone_commit;
use crate::report::BundleReport;
use crate::session::{journal, journal::Journal};
use crate::store::milestone::MilestoneName;
use crate::sys::{fail_point::fail_point, signal};
use crate::workspace::{Context, SyncError, Workspace, paths::undo_path};

use crate::history::restore_as_fork::ForkRestore;
use crate::history::restore_in_place::InPlaceRestore;
use crate::history::restore_request::{
    RestorePlanner, RestoreReport, RestoreRequest, RestoreTarget, RestoreWhat, RestoredSession,
};

/// Restores sessions.
///
/// # Errors
/// For one session: `LookupError`, `HistoryError`. For a milestone:
/// `MilestoneError`; what concerns one session is in the report.
pub fn restore(ctx: &Context<'_>, request: &RestoreRequest) -> Result<RestoreReport, SyncError> {
    let (mut workspace, found) = Workspace::open_and_discover(ctx)?;
    let mut report = RestoreReport {
        dry_run: request.dry_run,
        ..RestoreReport::default()
    };
    let targets = match &request.what {
        RestoreWhat::Session(name, when) => {
            vec![RestoreTarget::for_session(&workspace, name, when)?]
        }
        RestoreWhat::Milestone(name) => {
            RestoreTarget::for_milestone(&workspace, name, &mut report)?
        }
    };
    fail_point("a restore is planned");
    let journal = Journal::new(&undo_path(ctx.env), ctx.clock.now());
    let alone = matches!(request.what, RestoreWhat::Session(..));
    let planner = RestorePlanner {
        found: &found,
        request,
        journal: &journal,
        alone,
    };
    ctx.progress
        .begin(Phase::Materialise, targets.len() as u64, 0);
    let steps = if request.as_fork {
        let steps = planner.plan_forks(&mut workspace, targets, &mut report);
        steps.map(|steps| steps.into_iter().map(RestoreStep::AsFork).collect())
    } else {
        let steps = planner.plan_all_in_place(&mut workspace, targets, &mut report);
        steps.map(|steps| steps.into_iter().map(RestoreStep::InPlace).collect())
    };
    let done = steps.and_then(|steps| run(&planner, &mut workspace, steps, &mut report));
    ctx.progress.end();
    done?;
    if let (RestoreWhat::Milestone(name), false) = (&request.what, request.as_fork) {
        report.extras =
            restore_extras(&mut workspace, name, (!request.dry_run).then_some(&journal))?;
    }
    if !request.dry_run {
        journal::prune(&undo_path(ctx.env), ctx.clock.now());
        report.remote = RemoteSync::new(&mut workspace).push()?.state;
        workspace.save()?;
    }
    Ok(report)
}

/// Restores the extras of a milestone. Stores the local ones first.
pub(crate) fn restore_extras(
    workspace: &mut Workspace<'_>,
    name: &MilestoneName,
    journal: Option<&Journal>,
) -> Result<Vec<BundleReport>, SyncError> {
    let commit = milestone_commit(workspace, name)?;
    if journal.is_some() {
        crate::extras::push::push(workspace, false)?;
    }
    crate::extras::restore::restore(workspace, &commit, journal)
}

/// Plan to restore one session.
pub(crate) enum RestoreStep {
    InPlace(InPlaceRestore),
    AsFork(ForkRestore),
}

impl RestoreStep {
    pub(crate) fn session(&self) -> &SessionId {
        match self {
            Self::InPlace(InPlaceRestore { target, .. })
            | Self::AsFork(ForkRestore { target, .. }) => &target.id,
        }
    }

    /// Returns the report of the session.
    pub(crate) fn report(&self, workspace: &Workspace<'_>) -> Result<RestoredSession, SyncError> {
        match self {
            Self::InPlace(step) => step.report(workspace),
            Self::AsFork(step) => step.report(workspace),
        }
    }

    pub(crate) fn run(
        &self,
        workspace: &mut Workspace<'_>,
        journal: &Journal,
    ) -> Result<(), SyncError> {
        match self {
            Self::InPlace(step) => step.run(workspace, journal),
            Self::AsFork(step) => step.run(workspace, journal),
        }
    }
}

fn run(
    planner: &RestorePlanner<'_>,
    workspace: &mut Workspace<'_>,
    steps: Vec<RestoreStep>,
    report: &mut RestoreReport,
) -> Result<(), SyncError> {
    for step in steps {
        signal::check()?;
        let done = step.report(workspace).and_then(|restored| {
            if !planner.request.dry_run {
                step.run(workspace, planner.journal)?;
            }
            Ok(restored)
        });
        match done {
            Ok(restored) => report.sessions.push(restored),
            Err(e) => planner.skip(step.session().clone(), e, report)?,
        }
        workspace.ctx.progress.advance(1, 0);
    }
    Ok(())
}
