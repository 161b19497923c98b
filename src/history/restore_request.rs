//! Types that both ways of restoring share: request, targets, report.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::{
    CommitId, SessionId, UserError, error::error_chain, history_point::HistoryPoint,
};
use crate::flows::describe::describe_session;
use crate::history::error::HistoryError;
use crate::history::log::{advance, find_session_in_history};
use crate::history::milestones::milestone_commit;
use crate::localize::{StoredText, location::SessionLocation};
use crate::report::{BundleReport, Outcome, RemoteState};
use crate::session::{Discovery, files::transcript_path, journal::Journal};
use crate::store::{SessionState, Steps, manifest::Manifest, milestone::MilestoneName};
use crate::sys::signal;
use crate::workspace::{LookupScope, SyncError, Workspace};

/// Sessions to restore.
#[derive(Debug, Clone)]
pub enum RestoreWhat {
    /// One session, to its state at a time or in a commit.
    Session(SessionId, HistoryPoint),
    /// Every session of a milestone.
    Milestone(MilestoneName),
}

/// Input of a restore.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The target.
    pub what: RestoreWhat,
    /// Restore as new sessions; local ones stay.
    pub as_fork: bool,
    /// Only plan.
    pub dry_run: bool,
}

/// Result of a restore. Every requested session is in exactly one of `sessions`,
/// `skipped` and `unchanged`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Restored sessions.
    pub sessions: Vec<RestoredSession>,
    /// Sessions that could not be restored.
    pub skipped: Vec<SkippedSession>,
    /// Sessions that already have the earlier state.
    pub unchanged: u64,
    /// Sessions that did not exist at that time. They stay.
    pub newer: u64,
    /// Extras that were restored or skipped.
    pub extras: Vec<BundleReport>,
    /// True if this is a plan: nothing was done.
    pub dry_run: bool,
    /// State of the remote.
    pub remote: RemoteState,
}

/// A restored session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoredSession {
    /// The session.
    pub session: SessionId,
    /// Portable path of its project.
    pub project: Option<String>,
    /// Its title, not sanitized.
    pub title: Option<String>,
    /// The commit with its state.
    pub commit: CommitId,
    /// Time of that commit.
    pub time: DateTime<Utc>,
    /// Number of lines of its transcript.
    pub lines: u64,
    /// Number of its turns, if counted.
    pub turns: Option<u64>,
    /// Number of newer lines that only the store has now.
    pub lines_removed: u64,
    /// Id of the fork; `None` if it was restored in place.
    pub fork: Option<SessionId>,
    /// Path of its transcript.
    pub path: PathBuf,
    /// True if it was not on this machine.
    pub was_missing: bool,
    /// Fork that keeps the diverged local text.
    pub kept_as: Option<SessionId>,
}

/// A session that could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedSession {
    /// The session.
    pub session: SessionId,
    /// The reason.
    pub reason: String,
}

/// A session in one state of its history.
pub(crate) struct RestoreTarget {
    pub(crate) id: SessionId,
    pub(crate) commit: CommitId,
    pub(crate) time: DateTime<Utc>,
    pub(crate) state: SessionState,
}

impl RestoreTarget {
    pub(crate) fn for_session(
        workspace: &Workspace<'_>,
        name: &SessionId,
        when: &HistoryPoint,
    ) -> Result<Self, SyncError> {
        let id = find_session_in_history(workspace, name)?;
        match when {
            HistoryPoint::Time(time) => Self::at_time(workspace, id, *time),
            HistoryPoint::Commit(prefix) => {
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

    /// Returns the newest state at that time.
    pub(crate) fn at_time(
        workspace: &Workspace<'_>,
        id: SessionId,
        time: DateTime<Utc>,
    ) -> Result<Self, SyncError> {
        let history = workspace.store.history();
        let wanted = Steps::ChangesAndMerges;
        let steps = history.session_steps(&id, wanted, usize::MAX, || advance(workspace))?;
        let Some(earliest) = steps.iter().map(|step| step.commit.time).min() else {
            return Err(LookupScope::Store.no_session(&id).into());
        };
        // The walk goes from newest to oldest; of equal times the first is the newest.
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

    pub(crate) fn for_milestone(
        workspace: &Workspace<'_>,
        name: &MilestoneName,
        report: &mut RestoreReport,
    ) -> Result<Vec<Self>, SyncError> {
        let commit = milestone_commit(workspace, name)?;
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

/// Plans a restore, session by session.
pub(crate) struct RestorePlanner<'a> {
    pub(crate) found: &'a Discovery,
    pub(crate) request: &'a RestoreRequest,
    pub(crate) journal: &'a Journal,
    /// True if one session was requested: its error is the error of the command.
    pub(crate) alone: bool,
}

impl RestorePlanner<'_> {
    /// Runs `plan` for each session; `None` means unchanged.
    pub(crate) fn plan<S>(
        &self,
        workspace: &Workspace<'_>,
        targets: Vec<RestoreTarget>,
        report: &mut RestoreReport,
        plan: impl Fn(&Self, &Workspace<'_>, RestoreTarget) -> Result<Option<S>, SyncError>,
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

    /// Returns the directory for a session that is not here.
    pub(crate) fn directory(
        &self,
        workspace: &Workspace<'_>,
        manifest: &Manifest,
        transcript: &StoredText<'_>,
    ) -> Result<PathBuf, SyncError> {
        let env = workspace.ctx.env;
        let localizer = &workspace.localizer;
        match localizer.resolve_location(manifest, transcript, env)? {
            SessionLocation::Directory { path, .. } => Ok(path),
            SessionLocation::Missing(reason) => {
                let session = manifest.session.clone();
                Err(HistoryError::NotRestored { session, reason }.into())
            }
        }
    }

    /// Reports an error of one session of many; returns it if only one was requested.
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
    /// Creates the report for a session in the state of `target`, restored into
    /// `directory` under the id `session`.
    pub(crate) fn new(
        workspace: &Workspace<'_>,
        target: &RestoreTarget,
        manifest: &Manifest,
        directory: &Path,
        session: &SessionId,
    ) -> Self {
        let named = describe_session(
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
            lines_removed: 0,
            fork: None,
            path: transcript_path(directory, session),
            was_missing: false,
            kept_as: None,
        }
    }
}
