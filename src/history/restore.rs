//! Putting sessions back to an earlier state of the store's history: in place, or beside as a fork. With a whole milestone in place comes the prose
//! beside sessions.
//!
//! What lies here is stored before anything is replaced, and what is replaced is kept for `undo`. A session that was put back in place is held so
//! (`held`). The store's history is never changed: it only ever goes on.
//!
//! Here is what both ways have in common: which state of which session is meant, one session after the other, the report.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Phase;
use crate::domain::when::When;
use crate::flows::plan::described;
use crate::flows::remote_sync::send;
use crate::history::log::{states_at_merges_too, stored_session_named};
use crate::history::milestones::commit_of;
use crate::localize::location::{place, settle};
use crate::localize::stored_text::StoredText;
use crate::report::transfer::{BundleReport, Outcome, RemoteState};
use crate::session::discover::Discovery;
use crate::session::files::transcript_path;
use crate::session::materialise;
use crate::session::materialise::Journal;
use crate::store::manifest::Manifest;
use crate::store::milestone::MilestoneName;
use crate::store::snapshot::SessionState;
use crate::sys::fail_point::fail_point;
use crate::sys::signal;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::paths::undo_path;

use crate::history::restore_as_fork::AsFork;
use crate::history::restore_in_place::InPlace;

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

/// Puts sessions back.
///
/// # Errors
/// For one session: [`SyncError::NoSuchSession`], [`SyncError::AmbiguousName`], [`SyncError::NoSuchCommit`], [`SyncError::AmbiguousCommit`],
/// [`SyncError::NotInCommit`], [`SyncError::TooEarly`], and whatever keeps it from being put back. For a milestone:
/// [`SyncError::NoSuchMilestone`]; what concerns one session is in the report.
pub fn restore(ctx: &Context<'_>, request: &RestoreRequest) -> Result<RestoreReport, SyncError> {
    let (mut workspace, found) = Workspace::open_and_discover(ctx)?;
    let mut report = RestoreReport {
        dry_run: request.dry_run,
        ..RestoreReport::default()
    };
    let targets = match &request.what {
        RestoreWhat::Session(name, when) => vec![Target::of_session(&workspace, name, when)?],
        RestoreWhat::Milestone(name) => Target::of_milestone(&workspace, name, &mut report)?,
    };
    fail_point("a restore is planned");
    let journal = Journal::new(&undo_path(ctx.env), ctx.clock.now());
    let alone = matches!(request.what, RestoreWhat::Session(..));
    let restoring = Restoring {
        found: &found,
        request,
        journal: &journal,
        alone,
    };
    ctx.progress
        .begin(Phase::Materialise, targets.len() as u64, 0);
    let done = if request.as_fork {
        restoring.as_forks(&mut workspace, targets, &mut report)
    } else {
        restoring.in_place(&mut workspace, targets, &mut report)
    };
    ctx.progress.end();
    done?;
    if let (RestoreWhat::Milestone(name), false) = (&request.what, request.as_fork) {
        report.extras =
            restore_extras(&mut workspace, name, (!request.dry_run).then_some(&journal))?;
    }
    if !request.dry_run {
        materialise::prune(&undo_path(ctx.env), ctx.clock.now());
        report.remote = send(&mut workspace)?.0;
        workspace.save()?;
    }
    Ok(report)
}

/// The prose of a milestone. What is here is stored before, as it is with sessions.
pub(crate) fn restore_extras(
    workspace: &mut Workspace<'_>,
    name: &MilestoneName,
    journal: Option<&Journal>,
) -> Result<Vec<BundleReport>, SyncError> {
    let commit = commit_of(workspace, name)?;
    if journal.is_some() {
        crate::extras::push::push(workspace, false)?;
    }
    crate::extras::restore::restore(workspace, &commit, journal)
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
                let commit = match workspace.store.commits_named(prefix)?.as_slice() {
                    [] => {
                        return Err(SyncError::NoSuchCommit {
                            commit: prefix.clone(),
                        });
                    }
                    [one] => one.clone(),
                    _ => {
                        return Err(SyncError::AmbiguousCommit {
                            commit: prefix.clone(),
                        });
                    }
                };
                let state = workspace.store.snapshot(Some(&commit))?.state(&id)?;
                let state = state.ok_or_else(|| SyncError::NotInCommit {
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
        let steps = states_at_merges_too(workspace, &id)?;
        let Some(earliest) = steps.iter().map(|step| step.commit.time).min() else {
            return Err(SyncError::NoSuchSession { session: id });
        };
        // The walk gives the newest first; of equal times the first is the newest.
        let past = steps
            .into_iter()
            .rev()
            .filter(|step| step.commit.time <= time);
        let Some(step) = past.max_by_key(|step| step.commit.time) else {
            return Err(SyncError::TooEarly {
                session: id,
                earliest,
            });
        };
        let commit = step.commit.id;
        let state = step.state.ok_or_else(|| SyncError::NotInCommit {
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

/// What restoring one session takes.
pub(crate) enum Step {
    InPlace(InPlace),
    AsFork(AsFork),
}

impl Step {
    pub(crate) fn session(&self) -> &SessionId {
        match self {
            Self::InPlace(InPlace { target, .. }) | Self::AsFork(AsFork { target, .. }) => {
                &target.id
            }
        }
    }

    /// What is going to be reported of it.
    pub(crate) fn restored(&self, workspace: &Workspace<'_>) -> Result<RestoredSession, SyncError> {
        match self {
            Self::InPlace(step) => step.restored(workspace),
            Self::AsFork(step) => step.restored(workspace),
        }
    }

    pub(crate) fn carry_out(
        &self,
        workspace: &mut Workspace<'_>,
        journal: &Journal,
    ) -> Result<(), SyncError> {
        match self {
            Self::InPlace(step) => step.carry_out(workspace, journal),
            Self::AsFork(step) => step.carry_out(workspace, journal),
        }
    }
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

    pub(crate) fn carry_out(
        &self,
        workspace: &mut Workspace<'_>,
        steps: impl IntoIterator<Item = Step>,
        report: &mut RestoreReport,
    ) -> Result<(), SyncError> {
        for step in steps {
            signal::check()?;
            let done = step.restored(workspace).and_then(|restored| {
                if !self.request.dry_run {
                    step.carry_out(workspace, self.journal)?;
                }
                Ok(restored)
            });
            match done {
                Ok(restored) => report.sessions.push(restored),
                Err(e) => self.skip(step.session().clone(), e, report)?,
            }
            workspace.ctx.progress.advance(1, 0);
        }
        Ok(())
    }

    /// Where a session that is not here is put.
    pub(crate) fn directory(
        &self,
        workspace: &Workspace<'_>,
        manifest: &Manifest,
        transcript: &StoredText<'_>,
    ) -> Result<PathBuf, SyncError> {
        settle(workspace, manifest, transcript)?;
        let found = place(
            &workspace.localizer.with_current_project(manifest),
            &workspace.localizer.roots_of(manifest),
            &workspace.ctx.env.claude_dir,
        )?;
        found.map_err(|reason| SyncError::NotRestored {
            session: manifest.session.clone(),
            reason,
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
            reason: error.in_words(),
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
