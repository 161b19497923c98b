//! What can go wrong with the lock of a session.

use crate::domain::error::UserError;
use crate::domain::id::SessionId;
use crate::workspace::error::SyncError;

/// Why a lock is neither acquired nor released.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Other machines were faster each time, and none holds the lock for longer than moments.
    #[error("the lock of session {session} kept changing; gave up after {attempts} attempts")]
    Contended {
        /// Which session.
        session: SessionId,
        /// How often it was tried.
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
