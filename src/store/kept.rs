//! Refs that keep commits which the branch does not contain any more.
//!
//! They are never pushed. Must not decide what is kept.

use super::error::StoreError;
use super::repository::Store;
use crate::domain::{CommitId, SessionId};

fn refused_ref(session: &SessionId) -> String {
    format!("refs/ccsync/refused/{session}")
}

impl Store {
    /// Keeps a commit with a session that the remote refused.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn keep_refused(&self, session: &SessionId, commit: &CommitId) -> Result<(), StoreError> {
        self.set_ref(&refused_ref(session), Some(commit), "refused")
    }

    /// Forgets the commit of a session that the remote has accepted since.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn forget_refused(&self, session: &SessionId) -> Result<(), StoreError> {
        self.set_ref(&refused_ref(session), None, "accepted")
    }
}
