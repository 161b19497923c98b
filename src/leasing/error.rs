//! Errors of acquiring and releasing locks.

use crate::domain::{SessionId, UserError};
use crate::workspace::SyncError;

/// Error: a lock was neither acquired nor released.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Other machines changed the lock before each attempt, and none of them held it for
    /// long.
    #[error("the lock of session {session} kept changing; gave up after {attempts} attempts")]
    Contended {
        /// The session.
        session: SessionId,
        /// Number of attempts.
        attempts: u32,
    },
}

impl UserError for LeaseError {
    fn hints(&self) -> Vec<String> {
        vec!["run the command again".to_owned()]
    }
}

impl From<LeaseError> for SyncError {
    fn from(error: LeaseError) -> Self {
        Self::Operation(Box::new(error))
    }
}
