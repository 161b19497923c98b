//! Deleting sessions, and taking that back.

use super::commit::Transaction;
use crate::domain::SessionId;
use crate::store::{
    error::StoreError, format::tombstone::Tombstone, layout, objects::tree::changed_files,
};

impl Transaction<'_> {
    /// Removes a session, and leaves a tombstone.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn delete_session(&mut self, tombstone: &Tombstone) -> Result<(), StoreError> {
        self.remove_session(&tombstone.session)?;
        self.write_tombstone(tombstone)
    }

    /// Writes a tombstone.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn write_tombstone(&mut self, tombstone: &Tombstone) -> Result<(), StoreError> {
        self.write_file(layout::tombstone(&tombstone.session), tombstone.to_json())
    }

    /// Removes the tombstone of a session.
    pub fn remove_tombstone(&mut self, session: &SessionId) {
        self.remove_if_present(layout::tombstone(session));
    }

    /// Returns true if this commit has a tombstone of the session.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn is_deleted(&self, session: &SessionId) -> Result<bool, StoreError> {
        match self.changes.get(&layout::tombstone(session)) {
            Some(change) => Ok(change.is_some()),
            None => self.base.is_deleted(session),
        }
    }

    /// Removes the files of a session.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn remove_session(&mut self, session: &SessionId) -> Result<(), StoreError> {
        let tree = self.base.session_tree(session)?;
        let directory = layout::session(session);
        for file in changed_files(self.store.objects(), None, tree)? {
            if let Some(path) = file.path() {
                self.remove_file(format!("{directory}/{path}"));
            }
        }
        Ok(())
    }
}
