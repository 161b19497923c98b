//! Plans a push: compares each session with the store.

use std::collections::BTreeSet;

use crate::domain::SessionId;
use crate::flows::{
    compare::SessionComparer, describe::describe_session, describe::excluded_session,
    differences::Differences, skip::Attempt, store_session::SessionWriter,
};
use crate::localize::LocalCopy;
use crate::report::{Outcome, Report, SessionReport, SkippedFile};
use crate::session::{Discovery, LocalSession, live::live_sessions};
use crate::workspace::{Selection, SyncError, Workspace, deleted_sessions::deleted_reason};

/// The sessions of this machine, by what a push does with them.
#[derive(Default)]
pub(crate) struct PushPlan<'a> {
    pub(super) steps: Vec<PushStep<'a>>,
    pub(super) up_to_date: Vec<LocalCopy<'a>>,
    /// Number of sessions of which nothing is pushed now: pinned ones, and those that were only
    /// opened and left.
    pub(super) resting: u64,
    /// Sessions that cannot be compared.
    pub(super) skipped: Vec<SessionReport>,
    /// Sessions that the settings exclude, or that were deleted from the store.
    excluded: Vec<SessionReport>,
    /// Sessions outside of the selection.
    pub(crate) not_selected: BTreeSet<SessionId>,
    skipped_files: Vec<SkippedFile>,
}

/// A session that is to be stored.
pub(crate) struct PushStep<'a> {
    pub(super) local: LocalCopy<'a>,
    pub(super) differences: Differences,
}

impl<'a> PushPlan<'a> {
    /// Plans to store the sessions that are selected and not excluded.
    pub(crate) fn new(
        workspace: &Workspace<'_>,
        found: &'a Discovery,
        selection: &Selection,
    ) -> Result<Self, SyncError> {
        let live = live_sessions(&workspace.ctx.env.claude_dir);
        let filter = workspace.filter();
        let is_selected = filter.selected(selection);
        let mut plan = Self {
            skipped_files: skipped_files(found),
            ..Self::default()
        };
        let mut chosen = Vec::new();
        for session in found.sessions.values() {
            if !is_selected(session) {
                plan.not_selected.insert(session.id.clone());
            } else if workspace.records.purged.get(&session.id).is_some() {
                plan.excluded.push(purged_session(workspace, session)?);
            } else if let Some(reason) = filter.push_exclude_reason(session) {
                let project = filter.project(session);
                let report = excluded_session(&workspace.store, &session.id, project, &reason)?;
                plan.excluded.push(report);
            } else {
                chosen.push(LocalCopy {
                    session,
                    live: live.contains_key(&session.id),
                });
            }
        }
        plan.compare(workspace, chosen)?;
        Ok(plan)
    }

    /// Plans to store these sessions.
    pub(crate) fn for_sessions(
        workspace: &Workspace<'_>,
        sessions: &[&'a LocalSession],
    ) -> Result<Self, SyncError> {
        let mut plan = Self::default();
        let copies = sessions.iter().map(|session| LocalCopy::closed(session));
        plan.compare(workspace, copies)?;
        Ok(plan)
    }

    /// Returns the sessions that are to be stored.
    pub(super) fn changed(&self) -> BTreeSet<SessionId> {
        let steps = self.steps.iter();
        steps.map(|step| step.local.session.id.clone()).collect()
    }

    /// Adds sessions to the plan.
    pub(super) fn compare(
        &mut self,
        workspace: &Workspace<'_>,
        sessions: impl IntoIterator<Item = LocalCopy<'a>>,
    ) -> Result<(), SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let comparer = SessionComparer::new(workspace, &snapshot);
        let pinned = &workspace.records.pinned;
        for local in sessions {
            let id = &local.session.id;
            if let Some(reason) = deleted_reason(workspace.ctx, &snapshot, id)? {
                let project = workspace.filter().project(local.session);
                let report = excluded_session(&workspace.store, id, project, &reason)?;
                self.excluded.push(report);
                continue;
            }
            if pinned.has(local.session, &snapshot)? {
                self.resting += 1;
                continue;
            }
            let compared = comparer.compare(&local).and_then(|differences| {
                let rests = workspace.ctx.by_itself && differences.are_of_a_look(&local)?;
                Ok((!rests).then_some(differences))
            });
            match Attempt::new(compared)? {
                Attempt::Done(None) => self.resting += 1,
                Attempt::Done(Some(differences)) if differences.is_empty() => {
                    self.up_to_date.push(local);
                }
                Attempt::Done(Some(differences)) => {
                    self.steps.push(PushStep { local, differences });
                }
                Attempt::Skipped(reason) => {
                    let id = local.session.id.clone();
                    self.skipped.push(SessionReport::skipped(id, reason));
                }
            }
        }
        Ok(())
    }

    /// Returns the report of a push that changes nothing.
    pub(crate) fn preview(self, workspace: &Workspace<'_>) -> Result<Report, SyncError> {
        let snapshot = workspace.store.head_snapshot()?;
        let mut sessions = Vec::new();
        for PushStep { local, differences } in &self.steps {
            let outcome = SessionWriter::new(workspace, &snapshot, local).preview(differences);
            let outcome = Attempt::new(outcome)?.into_outcome();
            let id = &local.session.id;
            let manifest = snapshot.manifest(id)?;
            let report = describe_session(&workspace.localizer, id, manifest.as_ref(), outcome);
            sessions.push(report);
        }
        let mut report = self.into_report();
        report.dry_run = true;
        report.sessions.extend(sessions);
        report.sort();
        Ok(report)
    }

    /// Returns the report without the sessions that are to be stored.
    pub(super) fn into_report(self) -> Report {
        let sessions = self.skipped.into_iter().chain(self.excluded);
        Report {
            sessions: sessions.collect(),
            unchanged: self.up_to_date.len() as u64 + self.resting,
            skipped_files: self.skipped_files,
            ..Report::default()
        }
    }
}

/// Reports a session that was removed from the remote's history.
fn purged_session(
    workspace: &Workspace<'_>,
    session: &LocalSession,
) -> Result<SessionReport, SyncError> {
    let stored = workspace.store.head_snapshot()?.state(&session.id)?;
    let reason =
        "removed from the history of the remote; to push it all the same: ccsync push --again";
    let outcome = Outcome::Excluded {
        reason: reason.to_owned(),
        stored: stored.is_some(),
    };
    Ok(SessionReport {
        project: workspace.filter().project(session),
        ..SessionReport::new(session.id.clone(), outcome)
    })
}

/// Returns the files that look like parts of sessions and are not synced.
pub(crate) fn skipped_files(found: &Discovery) -> Vec<SkippedFile> {
    let refused = found.refused.iter();
    let skipped = refused.map(|refused| SkippedFile {
        path: refused.path.display().to_string(),
        reason: refused.reason.clone(),
    });
    skipped.collect()
}
