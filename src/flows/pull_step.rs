//! The step of a pull for one session.

use crate::flows::{
    differences::Differences, write_session::SessionUpdate, write_session::UpdatePlan,
};
use crate::report::{Outcome, SessionReport};
use crate::session::files::team_of;
use crate::store::manifest::Manifest;
use crate::workspace::index::NotPulledSession;

/// The step of a pull for one session.
pub(super) enum PullStep {
    /// It is in sync.
    Nothing,
    /// This machine has more.
    Ahead,
    /// Files are written.
    Write(SessionUpdate),
    /// This machine's tail becomes a fork first; then the session and the fork are written.
    Fork(Differences),
    /// It stays in the store.
    NotPulled(Box<NotPulled>),
    /// It stays at an earlier state; `None`: the report does not name it.
    Pinned(Option<Box<SessionReport>>),
    /// It cannot be handled, for this reason.
    Skip(String),
}

/// A session that stays in the store.
pub(super) struct NotPulled {
    pub(super) report: SessionReport,
    /// For the index, if it does not know the session.
    pub(super) record: Option<NotPulledSession>,
}

impl PullStep {
    /// Leaves a session in the store that the index knows, or does not have to know.
    pub(super) fn not_pulled(report: SessionReport) -> Self {
        Self::NotPulled(Box::new(NotPulled {
            report,
            record: None,
        }))
    }

    /// Returns true if a session is written that is not here at all, and shares no file.
    pub(super) fn writes_new_session(&self) -> bool {
        let has_team =
            |update: &SessionUpdate| update.files.keys().any(|file| team_of(file).is_some());
        // Sessions may share the list of a team, which the last one keeps.
        matches!(self, Self::Write(update) if update.here.is_none() && !has_team(update))
    }

    /// Returns the report of a session that stays as it is.
    pub(super) fn report(&self) -> Option<&SessionReport> {
        match self {
            Self::NotPulled(not_pulled) => Some(&not_pulled.report),
            Self::Pinned(report) => report.as_deref(),
            _ => None,
        }
    }

    /// Returns the outcome that the step is going to have. Forks are previewed by their writer.
    pub(super) fn preview(&self, manifest: Option<&Manifest>) -> Outcome {
        match self {
            Self::Nothing | Self::Ahead | Self::Fork(_) | Self::Pinned(None) => Outcome::Ahead,
            Self::NotPulled(not_pulled) => not_pulled.report.outcome.clone(),
            Self::Pinned(Some(report)) => report.outcome.clone(),
            Self::Skip(reason) => Outcome::Skipped {
                reason: reason.clone(),
            },
            Self::Write(update) => update.preview(manifest),
        }
    }
}

impl From<UpdatePlan> for PullStep {
    fn from(plan: UpdatePlan) -> Self {
        match plan {
            UpdatePlan::Write(update) => Self::Write(update),
            UpdatePlan::Blocked(reason) => Self::Skip(reason),
        }
    }
}
