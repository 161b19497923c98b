//! Refs that keep commits which the branch does not contain any more.
//!
//! They are never pushed. Must not decide what is kept.

use super::error::StoreError;
use super::repository::Store;
use crate::domain::{CommitId, SessionId};

/// The remote's head before its history was rewritten, until that is merged.
const FORMER_REMOTE_REF: &str = "refs/ccsync/former-remote";

fn refused_ref(session: &SessionId) -> String {
    format!("refs/ccsync/refused/{session}")
}

impl Store {
    /// Returns the remote's head before its history was rewritten, if that is not merged yet.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn former_remote_head(&self) -> Result<Option<CommitId>, StoreError> {
        self.read_ref(FORMER_REMOTE_REF)
    }

    /// Records the remote's head before its history was rewritten; `None` if that is merged.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn set_former_remote_head(&self, commit: Option<&CommitId>) -> Result<(), StoreError> {
        self.set_ref(FORMER_REMOTE_REF, commit, "rewritten")
    }

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
