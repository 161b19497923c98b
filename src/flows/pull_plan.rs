//! The sessions that a pull handles, and what it does with each.

use std::collections::BTreeSet;

use crate::domain::{CommitId, SessionId};
use crate::flows::{
    describe::describe_session, pull_options::PullRequest, pull_planner::PullPlanner,
    pull_step::PullStep, push_plan::skipped_files, skip::Attempt, store_session::SessionWriter,
};
use crate::localize::LocalCopy;
use crate::report::Report;
use crate::session::Discovery;
use crate::workspace::{SyncError, Workspace, lookup::find_stored_session};

/// The sessions of a pull, with a step for each.
pub(crate) struct PullPlan<'a> {
    pub(super) found: &'a Discovery,
    pub(super) request: &'a PullRequest,
    /// The head with which the sessions here were compared.
    pub(super) compared_at: Option<CommitId>,
    /// Sessions that Claude Code had open: only their whole lines were compared.
    pub(super) live: BTreeSet<SessionId>,
    pub(super) steps: Vec<PlannedSession>,
    pub(super) forks: Vec<CreatedFork>,
    /// Number of sessions that were deleted from this machine and stay in the store.
    pub(super) deleted: u64,
}

/// A session, and what a pull does with it.
pub(super) struct PlannedSession {
    pub(super) id: SessionId,
    pub(super) step: PullStep,
}

/// A fork that this pull stored.
pub(super) struct CreatedFork {
    /// The session that it left.
    pub(super) session: SessionId,
    pub(super) fork: SessionId,
    /// Lines that only the fork has.
    pub(super) lines: u64,
    /// The user's turns that were stored with it now.
    pub(super) turns: Option<u64>,
}

impl<'a> PullPlan<'a> {
    /// Compares the sessions here with the store.
    pub(super) fn new(
        workspace: &Workspace<'_>,
        found: &'a Discovery,
        request: &'a PullRequest,
    ) -> Result<Self, SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let states = snapshot.sessions()?;
        let planner = PullPlanner::new(workspace, &snapshot, found, request);
        let mut plan = Self {
            found,
            request,
            compared_at: workspace.store.head()?,
            live: planner.live.keys().cloned().collect(),
            steps: Vec::new(),
            forks: Vec::new(),
            deleted: 0,
        };
        let mut wanted: BTreeSet<SessionId> = BTreeSet::new();
        if !request.names_sessions() {
            for (id, state) in &states {
                let is_here = found.sessions.contains_key(id);
                let is_deleted = !is_here && workspace.records.was_deleted(id, state);
                if is_deleted && !request.restores_deleted() {
                    plan.deleted += 1;
                } else {
                    wanted.insert(id.clone());
                }
            }
        }
        for name in &request.sessions {
            match find_stored_session(name, states.keys()) {
                Ok(id) => drop(wanted.insert(id)),
                Err(_) if found.sessions.contains_key(name) => drop(wanted.insert(name.clone())),
                // Nothing else was asked for, so there is nothing to report.
                Err(e) if request.sessions.len() == 1 => return Err(e.into()),
                Err(e) => {
                    if let Attempt::Skipped(reason) = Attempt::<()>::new(Err(e.into()))? {
                        plan.set_step(name.clone(), PullStep::Skip(reason));
                    }
                }
            }
        }
        for id in wanted {
            let step = planner.plan(&id)?;
            // Each has no step yet: a search for it would cost time in the square of the sessions.
            plan.steps.push(PlannedSession { id, step });
        }
        Ok(plan)
    }

    /// Returns the sessions that the pull handles.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.steps.iter().map(|planned| &planned.id)
    }

    /// Returns true if sessions were deleted here and none is left.
    pub(super) fn deleted_all(&self) -> bool {
        self.deleted > 0 && self.found.sessions.is_empty()
    }

    /// Adds a step, which replaces an earlier one of the same session.
    pub(super) fn set_step(&mut self, id: SessionId, step: PullStep) {
        self.steps.retain(|planned| planned.id != id);
        self.steps.push(PlannedSession { id, step });
    }

    /// Returns the report of a pull that changes nothing.
    pub(super) fn preview(&self, workspace: &Workspace<'_>) -> Result<Report, SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let mut report = Report {
            dry_run: true,
            skipped_files: skipped_files(self.found),
            deleted: self.deleted,
            deleted_all: self.deleted_all(),
            ..Report::default()
        };
        for PlannedSession { id, step } in &self.steps {
            if let Some(session) = step.report() {
                report.sessions.push(session.clone());
                continue;
            }
            if matches!(step, PullStep::Nothing | PullStep::Pinned(None)) {
                report.unchanged += 1;
                continue;
            }
            let manifest = snapshot.manifest(id).ok().flatten();
            let outcome = match (step, self.found.sessions.get(id)) {
                (PullStep::Fork(found), Some(session)) => {
                    let local = LocalCopy::closed(session);
                    let outcome = SessionWriter::new(workspace, &snapshot, &local).preview(found);
                    Attempt::new(outcome)?.into_outcome()
                }
                _ => step.preview(manifest.as_ref()),
            };
            let localizer = &workspace.localizer;
            let session = describe_session(localizer, id, manifest.as_ref(), outcome);
            report.sessions.push(session);
        }
        report.sort();
        Ok(report)
    }
}
