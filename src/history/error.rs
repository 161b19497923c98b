//! Errors of finding and restoring earlier states.

use chrono::{DateTime, Utc};

use crate::domain::{CommitId, SessionId, UserError};
use crate::store::milestone::MilestoneName;
use crate::sys::clock::local;
use crate::workspace::SyncError;

/// Error: an earlier state was not found or not restored.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No commit of the store's history has this id.
    #[error("no commit {commit} in the history of the store")]
    NoSuchCommit {
        /// The name that was given.
        commit: String,
    },
    /// Several commits have this prefix.
    #[error("more than one commit begins with {commit}")]
    AmbiguousCommit {
        /// The name that was given.
        commit: String,
    },
    /// The commit exists, but does not have the session.
    #[error("session {session} is not in commit {}", commit.short())]
    NotInCommit {
        /// The session.
        session: SessionId,
        /// The commit.
        commit: CommitId,
    },
    /// The time is before the session's first state.
    #[error("session {session} was first stored at {}", local(*earliest))]
    BeforeFirst {
        /// The session.
        session: SessionId,
        /// Time of its first state.
        earliest: DateTime<Utc>,
    },
    /// A session cannot be restored.
    #[error("cannot restore session {session}: {reason}")]
    NotRestored {
        /// The session.
        session: SessionId,
        /// The cause.
        reason: String,
    },
}

/// Error: a milestone was not created or not found.
#[derive(Debug, thiserror::Error)]
pub enum MilestoneError {
    /// There is nothing to name.
    #[error("the store is empty")]
    Empty,
    /// The name is in use.
    #[error("milestone `{name}` already exists")]
    Exists {
        /// The name.
        name: MilestoneName,
    },
    /// No milestone has this name.
    #[error("no milestone named `{name}`")]
    NotFound {
        /// The name that was given.
        name: MilestoneName,
    },
}

impl UserError for HistoryError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoSuchCommit { .. } | Self::AmbiguousCommit { .. } => {
                vec!["list the commits with `ccsync log`".to_owned()]
            }
            Self::NotInCommit { session, .. } | Self::BeforeFirst { session, .. } => {
                vec![format!("list its states with `ccsync log {session}`")]
            }
            Self::NotRestored { .. } => Vec::new(),
        }
    }

    fn is_about_one_session(&self) -> bool {
        matches!(self, Self::NotRestored { .. })
    }
}

impl UserError for MilestoneError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Empty => "push sessions first with `ccsync push`",
            Self::Exists { .. } => {
                "choose another name; list those in use with `ccsync milestone --list`"
            }
            Self::NotFound { .. } => "list the milestones with `ccsync milestone --list`",
        };
        vec![hint.to_owned()]
    }
}

impl From<HistoryError> for SyncError {
    fn from(error: HistoryError) -> Self {
        Self::Operation(Box::new(error))
    }
}

impl From<MilestoneError> for SyncError {
    fn from(error: MilestoneError) -> Self {
        Self::Operation(Box::new(error))
    }
}
