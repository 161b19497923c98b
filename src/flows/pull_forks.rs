//! Before a pull writes: tails that lost their session's id are stored as forks.

use crate::domain::SessionId;
use crate::flows::{
    pull_plan::CreatedFork, pull_plan::PlannedSession, pull_plan::PullPlan,
    pull_planner::PullPlanner, pull_step::PullStep, skip::Attempt, store_session::SessionWriter,
    store_session::StoreOutcome, write_session::SessionUpdate,
};
use crate::localize::LocalCopy;
use crate::report::Outcome;
use crate::session::LocalSession;
use crate::store::manifest::Manifest;
use crate::workspace::{SyncError, Workspace};

impl PullPlan<'_> {
    /// Stores the tails that lost their session's id, and plans to write both sides.
    pub(super) fn store_forks(&mut self, workspace: &mut Workspace<'_>) -> Result<(), SyncError> {
        let is_fork = |planned: &PlannedSession| matches!(planned.step, PullStep::Fork(_));
        while self.steps.iter().any(is_fork) {
            let earlier = self.forks.len();
            let retry = self.store_once(workspace)?;
            workspace.records.index.follow(&workspace.store)?;
            self.plan_forks(workspace, earlier)?;

            let snapshot = workspace.store.head_snapshot()?;
            let planner = PullPlanner::new(workspace, &snapshot, self.found, self.request);
            for id in retry {
                let step = planner.plan(&id)?;
                self.set_step(id, step);
            }
        }
        Ok(())
    }

    /// Stores tails in one commit. Returns the sessions that have to wait for the next one; no
    /// other session has a fork as its step afterwards.
    fn store_once(&mut self, workspace: &Workspace<'_>) -> Result<Vec<SessionId>, SyncError> {
        let mut retry = Vec::new();
        let base = workspace.store.head()?;
        let mut tx = workspace.store.begin(base.as_ref())?;
        let snapshot = workspace.store.head_snapshot()?;
        for PlannedSession { id, step } in &mut self.steps {
            let PullStep::Fork(differences) = step else {
                continue;
            };
            let here = self.found.sessions.get(id);
            let (Some(parent), Some(here)) = (snapshot.manifest(id)?, here) else {
                *step = PullStep::Nothing;
                continue;
            };
            let local = LocalCopy::closed(here);
            let writer = SessionWriter::new(workspace, &snapshot, &local);
            match Attempt::in_transaction(&mut tx, |tx| writer.store(tx, differences))? {
                Attempt::Done(StoreOutcome::Stored(report)) => {
                    *step = PullStep::Nothing;
                    if let Outcome::Forked { fork, lines } = report.outcome {
                        self.forks.push(CreatedFork {
                            session: id.clone(),
                            fork,
                            lines,
                            turns: report.turns,
                        });
                        *step = PullStep::Write(replacement(here, &parent));
                    }
                }
                Attempt::Done(StoreOutcome::Retry) => retry.push(id.clone()),
                Attempt::Skipped(reason) => *step = PullStep::Skip(reason),
            }
        }
        if !tx.is_empty() {
            let message = format!("forks kept by a pull of {}", workspace.machine.name);
            tx.commit(&workspace.author(), &message, base.as_slice())?;
        }
        Ok(retry)
    }

    /// Plans to write the forks except the first `earlier` ones, which are planned already.
    fn plan_forks(&mut self, workspace: &Workspace<'_>, earlier: usize) -> Result<(), SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let planner = PullPlanner::new(workspace, &snapshot, self.found, self.request);
        let mut steps = Vec::new();
        for created in &self.forks[earlier..] {
            let parent = self.found.sessions.get(&created.session);
            if let (Some(fork), Some(parent)) = (snapshot.manifest(&created.fork)?, parent) {
                steps.push(PlannedSession {
                    step: planner.plan_fork(&fork, parent)?,
                    id: created.fork.clone(),
                });
            }
        }
        self.steps
            .retain(|planned| steps.iter().all(|fork| planned.id != fork.id));
        // Before the sessions themselves: what is replaced there is in the forks by then.
        self.steps.splice(0..0, steps);
        Ok(())
    }
}

/// Replaces the files of a session whose tail is a fork now. Files that only the tail has
/// are in the fork, and stay here.
fn replacement(here: &LocalSession, stored: &Manifest) -> SessionUpdate {
    let mut files = here.files.keys();
    SessionUpdate {
        ahead: files.any(|file| stored.file(file).is_none()),
        here: Some(here.clone()),
        ..SessionUpdate::new(here.directory.clone(), stored)
    }
}
