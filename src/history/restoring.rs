//! What both ways of restoring share: the request, the targets, the report.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::error::UserError;
use crate::domain::error::error_chain;
use crate::domain::id::{CommitId, SessionId};
use crate::domain::when::When;
use crate::flows::plan::described;
use crate::history::error::HistoryError;
use crate::history::log::{go_on, stored_session_named};
use crate::history::milestones::commit_of;
use crate::localize::location::place;
use crate::localize::stored_text::StoredText;
use crate::report::transfer::{BundleReport, Outcome, RemoteState};
use crate::session::discover::Discovery;
use crate::session::files::transcript_path;
use crate::session::materialise::Journal;
use crate::store::manifest::Manifest;
use crate::store::milestone::MilestoneName;
use crate::store::{SessionState, Steps};
use crate::sys::signal;
use crate::workspace::error::SyncError;
use crate::workspace::lookup::LookupScope;
use crate::workspace::open::Workspace;

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
    /// Files beside sessions that were put back, or that could not be.
    #[serde(rename = "beside")]
    pub extras: Vec<BundleReport>,
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

/// A session in one state of its history.
pub(crate) struct Target {
    pub(crate) id: SessionId,
    pub(crate) commit: CommitId,
    pub(crate) time: DateTime<Utc>,
    pub(crate) state: SessionState,
}

impl Target {
    pub(crate) fn of_session(
        workspace: &Workspace<'_>,
        name: &SessionId,
        when: &When,
    ) -> Result<Self, SyncError> {
        let id = stored_session_named(workspace, name)?;
        match when {
            When::Time(time) => Self::at_time(workspace, id, *time),
            When::Commit(prefix) => {
                let commit = match workspace
                    .store
                    .history()
                    .commits_with_prefix(prefix)?
                    .as_slice()
                {
                    [] => {
                        return Err(HistoryError::NoSuchCommit {
                            commit: prefix.clone(),
                        }
                        .into());
                    }
                    [one] => one.clone(),
                    _ => {
                        return Err(HistoryError::AmbiguousCommit {
                            commit: prefix.clone(),
                        }
                        .into());
                    }
                };
                let state = workspace.store.snapshot(Some(&commit))?.state(&id)?;
                let state = state.ok_or_else(|| HistoryError::NotInCommit {
                    session: id.clone(),
                    commit: commit.clone(),
                })?;
                Ok(Self {
                    id,
                    time: workspace.store.commit(&commit)?.time,
                    commit,
                    state,
                })
            }
        }
    }

    /// The newest state that was there at that time.
    pub(crate) fn at_time(
        workspace: &Workspace<'_>,
        id: SessionId,
        time: DateTime<Utc>,
    ) -> Result<Self, SyncError> {
        let history = workspace.store.history();
        let wanted = Steps::ChangesAndMerges;
        let steps = history.session_steps(&id, wanted, usize::MAX, || go_on(workspace))?;
        let Some(earliest) = steps.iter().map(|step| step.commit.time).min() else {
            return Err(LookupScope::Store.no_session(&id).into());
        };
        // The walk gives the newest first; of equal times the first is the newest.
        let past = steps
            .into_iter()
            .rev()
            .filter(|step| step.commit.time <= time);
        let Some(step) = past.max_by_key(|step| step.commit.time) else {
            return Err(HistoryError::BeforeFirst {
                session: id,
                earliest,
            }
            .into());
        };
        let commit = step.commit.id;
        let state = step.state.ok_or_else(|| HistoryError::NotInCommit {
            session: id.clone(),
            commit: commit.clone(),
        })?;
        Ok(Self {
            id,
            commit,
            time: step.commit.time,
            state,
        })
    }

    pub(crate) fn of_milestone(
        workspace: &Workspace<'_>,
        name: &MilestoneName,
        report: &mut RestoreReport,
    ) -> Result<Vec<Self>, SyncError> {
        let commit = commit_of(workspace, name)?;
        let time = workspace.store.commit(&commit)?.time;
        let then = workspace.store.snapshot(Some(&commit))?.sessions()?;
        let now = workspace.store.head_snapshot()?.sessions()?;
        report.newer = now.keys().filter(|id| !then.contains_key(*id)).count() as u64;
        let target = |(id, state)| Self {
            id,
            state,
            commit: commit.clone(),
            time,
        };
        Ok(then.into_iter().map(target).collect())
    }
}

pub(crate) struct Restoring<'a> {
    pub(crate) found: &'a Discovery,
    pub(crate) request: &'a RestoreRequest,
    pub(crate) journal: &'a Journal,
    /// One session was asked for: what goes wrong with it is what went wrong.
    pub(crate) alone: bool,
}

impl Restoring<'_> {
    /// What `plan` says has to be done to each session; where it says nothing, there is nothing to do.
    pub(crate) fn plan<S>(
        &self,
        workspace: &Workspace<'_>,
        targets: Vec<Target>,
        report: &mut RestoreReport,
        plan: impl Fn(&Self, &Workspace<'_>, Target) -> Result<Option<S>, SyncError>,
    ) -> Result<Vec<S>, SyncError> {
        let mut steps = Vec::new();
        for target in targets {
            signal::check()?;
            let id = target.id.clone();
            match plan(self, workspace, target) {
                Ok(Some(step)) => steps.push(step),
                Ok(None) => report.unchanged += 1,
                Err(e) => self.skip(id, e, report)?,
            }
        }
        Ok(steps)
    }

    /// Where a session that is not here is put.
    pub(crate) fn directory(
        &self,
        workspace: &Workspace<'_>,
        manifest: &Manifest,
        transcript: &StoredText<'_>,
    ) -> Result<PathBuf, SyncError> {
        workspace.localizer.resolve_location(manifest, transcript)?;
        let found = place(
            &workspace.localizer.with_current_project(manifest),
            &workspace.localizer.roots_of(manifest),
            &workspace.ctx.env.claude_dir,
        )?;
        found.map_err(|reason| {
            let session = manifest.session.clone();
            HistoryError::NotRestored { session, reason }.into()
        })
    }

    /// Of many sessions, one that cannot be put back is named; of one, that is the end.
    pub(crate) fn skip(
        &self,
        session: SessionId,
        error: SyncError,
        report: &mut RestoreReport,
    ) -> Result<(), SyncError> {
        if self.alone || !error.is_about_one_session() {
            return Err(error);
        }
        report.skipped.push(SkippedSession {
            session,
            reason: error_chain(&error),
        });
        Ok(())
    }
}

impl RestoredSession {
    /// What is said of a session in the state of `target`, which is put into `directory` under the id `session`.
    pub(crate) fn new(
        workspace: &Workspace<'_>,
        target: &Target,
        manifest: &Manifest,
        directory: &Path,
        session: &SessionId,
    ) -> Self {
        let named = described(
            &workspace.localizer,
            &target.id,
            Some(manifest),
            Outcome::Ahead,
        );
        Self {
            session: target.id.clone(),
            project: named.project,
            title: named.title,
            commit: target.commit.clone(),
            time: target.time,
            lines: manifest.transcript.lines(),
            turns: manifest.turns,
            lines_fewer: 0,
            fork: None,
            path: transcript_path(directory, session),
            was_away: false,
            kept_as: None,
        }
    }
}
