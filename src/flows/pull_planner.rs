//! Decides what a pull does with each session.

use std::collections::BTreeMap;

use crate::domain::{SessionFile, SessionId};
use crate::flows::{
    compare::SessionComparer, describe::describe_session, differences::Differences,
    differences::FilePull, pull_options::PullRequest, pull_step::NotPulled, pull_step::PullStep,
    skip::Attempt, write_session::SessionUpdate, write_session::UpdatePlan,
    write_session::all_files, write_session::plan_update,
};
use crate::localize::{LocalCopy, StoredText, location::SessionLocation};
use crate::report::{Outcome, SessionReport};
use crate::session::{
    Discovery, LocalSession, live::ClientProcess, live::live_sessions, time::parse_time,
};
use crate::store::{Snapshot, manifest::Manifest};
use crate::workspace::{
    ExcludeReason, LookupScope, SyncError, Workspace, exclusion::is_active, index::NotPulledSession,
};

/// Compares sessions with one snapshot of the store, and decides.
pub(super) struct PullPlanner<'a> {
    workspace: &'a Workspace<'a>,
    pub(super) comparer: SessionComparer<'a>,
    found: &'a Discovery,
    request: &'a PullRequest,
    /// Sessions that a running Claude Code has open, with its process.
    pub(super) live: BTreeMap<SessionId, ClientProcess>,
}

impl<'a> PullPlanner<'a> {
    pub(super) fn new(
        workspace: &'a Workspace<'_>,
        snapshot: &'a Snapshot<'_>,
        found: &'a Discovery,
        request: &'a PullRequest,
    ) -> Self {
        Self {
            workspace,
            comparer: SessionComparer::new(workspace, snapshot),
            found,
            request,
            live: live_sessions(&workspace.ctx.env.claude_dir),
        }
    }

    /// Plans one session. What concerns only this session is a reason to skip it.
    pub(super) fn plan(&self, id: &SessionId) -> Result<PullStep, SyncError> {
        let step = match self.found.sessions.get(id) {
            Some(here) => self.plan_present(here),
            None => self.plan_absent(id),
        };
        or_skip(step)
    }

    /// Plans a fork, which is written to the directory of the session that it left.
    pub(super) fn plan_fork(
        &self,
        fork: &Manifest,
        parent: &LocalSession,
    ) -> Result<PullStep, SyncError> {
        if self.found.sessions.contains_key(&fork.session) {
            // It was here, and has just grown in the store.
            return self.plan(&fork.session);
        }
        let plan = plan_update(&self.comparer, fork, parent.directory.clone());
        or_skip(plan.map(PullStep::from))
    }

    fn plan_present(&self, here: &LocalSession) -> Result<PullStep, SyncError> {
        let (workspace, snapshot) = (self.workspace, self.comparer.snapshot);
        if workspace.records.index.is_up_to_date(here) && !self.request.force {
            return Ok(PullStep::Nothing);
        }
        let filter = workspace.filter();
        if let Some(reason) = self.unless_named(|| filter.local_only_reason(here)) {
            let outcome = excluded(&reason);
            return Ok(PullStep::not_pulled(SessionReport {
                project: filter.project(here),
                ..SessionReport::new(here.id.clone(), outcome)
            }));
        }
        let Some(manifest) = self.manifest(&here.id)? else {
            return Ok(PullStep::Nothing);
        };

        let client = self.live.get(&here.id);
        let local = LocalCopy {
            session: here,
            live: client.is_some(),
        };
        let may_stay_pinned = !self.request.names_sessions() || self.request.keep_pinned;
        let pinned = &workspace.records.pinned;
        if may_stay_pinned && pinned.has(here, snapshot)? {
            return Ok(self.pinned(&manifest));
        }
        let found = self.comparer.compare(&local)?;
        if may_stay_pinned && pinned.has_transcript(here, snapshot)? {
            // Claude Code has changed another file of the session.
            return Ok(if found.to_push.is_empty() {
                self.pinned(&manifest)
            } else {
                PullStep::Ahead
            });
        }
        let step = match self.step_for(here, &manifest, found) {
            PullStep::Write(update) => self.follow_move(update, &manifest)?,
            step => step,
        };
        if matches!(step, PullStep::Fork(_)) && workspace.records.purged.get(&here.id).is_some() {
            let reason = "changed in the history of the remote: remove the transcript here, then ccsync pull SESSION";
            let outcome = Outcome::NotPulled {
                reason: reason.to_owned(),
            };
            return Ok(PullStep::not_pulled(self.describe(&manifest, outcome)));
        }
        if matches!(step, PullStep::Fork(_))
            && let Some(reason) = filter.local_only_reason(here)
        {
            return Ok(PullStep::Skip(format!(
                "it was continued differently here, and a fork would be pushed, but {reason}"
            )));
        }
        Ok(match (step, client) {
            (PullStep::Write(_) | PullStep::Fork(_), Some(client)) => PullStep::Skip(format!(
                "running here ({client}); pull again when it has ended"
            )),
            (step, _) => step,
        })
    }

    /// Returns the stored session. A directory without a manifest is not a session.
    fn manifest(&self, id: &SessionId) -> Result<Option<Manifest>, SyncError> {
        let manifest = self.comparer.snapshot.manifest(id)?;
        if manifest.is_none() && self.request.names_sessions() {
            return Err(LookupScope::Store.no_session(id).into());
        }
        Ok(manifest)
    }

    fn pinned(&self, manifest: &Manifest) -> PullStep {
        if self.request.keep_pinned {
            return PullStep::Pinned(None);
        }
        let reason =
            "restored to an earlier state here; to get what came later: ccsync pull SESSION";
        let outcome = Outcome::NotPulled {
            reason: reason.to_owned(),
        };
        PullStep::Pinned(Some(Box::new(self.describe(manifest, outcome))))
    }

    /// Returns the step for the differences of a session that is here.
    fn step_for(&self, here: &LocalSession, manifest: &Manifest, found: Differences) -> PullStep {
        if found.divergence.is_some() {
            return PullStep::Fork(found);
        }
        let ahead = !found.to_push.is_empty() || found.waits;
        let files = if self.request.force && !ahead {
            all_files(manifest)
        } else {
            found.to_pull
        };
        if files.is_empty() {
            return if ahead {
                PullStep::Ahead
            } else {
                PullStep::Nothing
            };
        }
        PullStep::Write(SessionUpdate {
            directory: here.directory.clone(),
            files,
            here: Some(here.clone()),
            ahead,
            choices: found.choices.local,
            note: None,
        })
    }

    /// Lets the files of a session follow it to another project. If that is excluded, the session
    /// stays as it is.
    fn follow_move(
        &self,
        update: SessionUpdate,
        manifest: &Manifest,
    ) -> Result<PullStep, SyncError> {
        let from = match update.files.get(&SessionFile::Transcript) {
            Some(FilePull::Extend { lines, .. }) if !update.ahead => *lines,
            Some(FilePull::Whole) if !update.ahead => 0,
            _ => return Ok(PullStep::Write(update)),
        };
        let env = self.workspace.ctx.env;
        let transcript = StoredText::transcript(self.comparer.snapshot, manifest);
        let localizer = self.comparer.localizer;
        let moved = localizer.moved_location(manifest, &transcript, from, env)?;
        let filter = self.workspace.filter();
        if moved.is_some()
            && let Some(reason) = self.unless_named(|| filter.pull_exclude_reason(manifest))
        {
            let report = self.describe(manifest, excluded(&reason));
            return Ok(PullStep::not_pulled(report));
        }
        Ok(PullStep::Write(match moved {
            Some(SessionLocation::Directory { path, note })
                if path != update.directory && !update.is_linked() =>
            {
                let moved = || Some(format!("moved here to {}", localizer.project(manifest)?));
                SessionUpdate {
                    directory: path,
                    note: note.or_else(moved),
                    ..update
                }
            }
            Some(SessionLocation::Missing(reason)) => SessionUpdate {
                note: Some(format!("moved to another project, but not here: {reason}")),
                ..update
            },
            _ => update,
        }))
    }

    fn plan_absent(&self, id: &SessionId) -> Result<PullStep, SyncError> {
        if let Some(report) = self.still_not_pulled(id) {
            return Ok(PullStep::not_pulled(report));
        }
        let Some(manifest) = self.manifest(id)? else {
            return Ok(PullStep::Nothing);
        };
        let filter = self.workspace.filter();
        let excluded = self
            .unless_named(|| filter.pull_exclude_reason(&manifest))
            .map(|reason| excluded(&reason));
        let too_old = || self.too_old(manifest.last_activity.as_deref());
        if let Some(outcome) = excluded.or_else(too_old) {
            let report = self.describe(&manifest, outcome);
            let location = filter.project_location(&manifest);
            let record = NotPulledSession::new(report.clone(), location, &manifest);
            return Ok(PullStep::NotPulled(Box::new(NotPulled {
                report,
                record: Some(record),
            })));
        }
        self.plan_new(&manifest)
    }

    fn plan_new(&self, manifest: &Manifest) -> Result<PullStep, SyncError> {
        let env = self.workspace.ctx.env;
        let transcript = StoredText::transcript(self.comparer.snapshot, manifest);
        let localizer = self.comparer.localizer;
        let location = localizer.resolve_location(manifest, &transcript, env)?;
        match location.or_in(self.request.directory.as_deref(), env) {
            SessionLocation::Directory { path, note } => {
                let plan = plan_update(&self.comparer, manifest, path)?;
                Ok(match plan {
                    UpdatePlan::Write(update) => PullStep::Write(SessionUpdate { note, ..update }),
                    blocked @ UpdatePlan::Blocked(_) => blocked.into(),
                })
            }
            SessionLocation::Missing(reason) => {
                let report = self.describe(manifest, Outcome::NotPulled { reason });
                Ok(PullStep::not_pulled(report))
            }
        }
    }

    /// Returns the report of a session that an earlier pull left in the store, if this one does so
    /// for a reason that the index can give.
    fn still_not_pulled(&self, session: &SessionId) -> Option<SessionReport> {
        let known = self.workspace.records.index.store_only(session)?;
        if known.location.is_none() && self.workspace.rules.ask_for_projects() {
            return None;
        }
        let filter = self.workspace.filter();
        let reason = self.unless_named(|| filter.known_exclude_reason(known));
        if let Some(reason) = &reason
            && !filter.is_still_excluded(known, reason)
        {
            return None;
        }
        let excluded = reason.map(|reason| excluded(&reason));
        let outcome = excluded.or_else(|| self.too_old(known.last_activity.as_deref()))?;
        Some(SessionReport {
            project: known.project.clone(),
            title: known.title.clone(),
            last_activity: known.last_activity.clone(),
            ..SessionReport::new(session.clone(), outcome)
        })
    }

    /// Skips `reason` if the user named the sessions.
    fn unless_named(
        &self,
        reason: impl FnOnce() -> Option<ExcludeReason>,
    ) -> Option<ExcludeReason> {
        if self.request.names_sessions() {
            None
        } else {
            reason()
        }
    }

    /// Returns the outcome of a session without recent activity that the user did not name.
    fn too_old(&self, last_activity: Option<&str>) -> Option<Outcome> {
        let ctx = self.workspace.ctx;
        let days = self.request.days.unwrap_or(ctx.settings.sync.pull_max_age);
        let now = ctx.clock.now();
        let last = last_activity.and_then(parse_time);
        let any_age = self.request.names_sessions() || self.request.all;
        if any_age || last.is_none_or(|last| is_active(last, days, now)) {
            return None;
        }
        Some(Outcome::NotPulled {
            reason: format!("not active for {days} days: ccsync pull SESSION, --days N or --all"),
        })
    }

    fn describe(&self, manifest: &Manifest, outcome: Outcome) -> SessionReport {
        let localizer = self.comparer.localizer;
        describe_session(localizer, &manifest.session, Some(manifest), outcome)
    }
}

fn or_skip(step: Result<PullStep, SyncError>) -> Result<PullStep, SyncError> {
    Ok(match Attempt::new(step)? {
        Attempt::Done(step) => step,
        Attempt::Skipped(reason) => PullStep::Skip(reason),
    })
}

/// Returns the outcome of a session that the settings leave in the store.
fn excluded(reason: &ExcludeReason) -> Outcome {
    Outcome::Excluded {
        reason: reason.to_string(),
        stored: true,
    }
}
