//! Errors of deleting sessions.

use chrono::{DateTime, Utc};

use crate::domain::{ErrorKind, SessionId, UserError};
use crate::sys::clock::local;
use crate::workspace::SyncError;

/// Error: nothing was deleted, purged or restored.
#[derive(Debug, thiserror::Error)]
pub enum DeletionError {
    /// Another machine works on a session.
    #[error("{} holds the lock of {session} since {}", .machine.escape_debug(), local(*.since))]
    Held {
        /// The session.
        session: SessionId,
        /// Name of the machine. Untrusted text.
        machine: String,
        /// When it acquired the lock.
        since: DateTime<Utc>,
    },
    /// The lock of a session cannot be read, so that another machine may work on it.
    #[error("the lock of {session} cannot be read: {reason}")]
    UnreadableLock {
        /// The session.
        session: SessionId,
        /// The cause.
        reason: String,
    },
    /// The store does not have the text of a deleted session any more.
    #[error("session {session} was purged: neither the store nor this machine has it")]
    Purged {
        /// The session.
        session: SessionId,
    },
    /// This machine has commits that the remote does not get.
    #[error("nothing was purged: what this machine has cannot be sent: {reason}")]
    NotSent {
        /// The cause. Untrusted text.
        reason: String,
    },
    /// The remote keeps its history.
    #[error("the remote does not let its history be rewritten: {reason}")]
    RewriteRefused {
        /// The server's words. Untrusted text.
        reason: String,
    },
    /// Other machines pushed before each attempt.
    #[error("nothing was purged: other machines were faster each time")]
    Contended,
    /// No tombstone has this id.
    #[error("session {session} is not deleted")]
    NotDeleted {
        /// The name that was given.
        session: SessionId,
    },
}

impl UserError for DeletionError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Held { .. } | Self::UnreadableLock { .. } => ErrorKind::Locked,
            Self::NotSent { .. } | Self::RewriteRefused { .. } | Self::Contended => {
                ErrorKind::Remote
            }
            Self::Purged { .. } | Self::NotDeleted { .. } => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Held { .. } | Self::UnreadableLock { .. } => {
                "nothing was deleted; to delete it all the same, add `--force`".to_owned()
            }
            Self::Purged { .. } => {
                "a machine that still has its files can bring it back: run the command there"
                    .to_owned()
            }
            Self::NotSent { .. } => {
                "send it with `ccsync push`, then run the command again".to_owned()
            }
            Self::RewriteRefused { .. } => {
                "allow force pushes to the remote's branch `main` for the purge, then forbid them again"
                    .to_owned()
            }
            Self::Contended => "run the command again".to_owned(),
            Self::NotDeleted { .. } => {
                "list the deleted sessions with `ccsync delete --list`".to_owned()
            }
        }]
    }
}

impl From<DeletionError> for SyncError {
    fn from(error: DeletionError) -> Self {
        Self::Operation(Box::new(error))
    }
}
