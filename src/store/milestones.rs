//! The milestones of the newest commit. Must not write: that is `transaction`'s.

use super::error::StoreError;
use super::format::milestone::{Milestone, MilestoneName};
use super::repository::Store;
use super::snapshot::Snapshot;

/// The milestones of the newest commit.
pub struct Milestones<'store> {
    store: &'store Store,
    snapshot: Snapshot<'store>,
}

impl Store {
    /// Opens the milestones of the newest commit.
    ///
    /// # Errors
    /// As for [`Store::snapshot`].
    pub fn milestones(&self) -> Result<Milestones<'_>, StoreError> {
        Ok(Milestones {
            store: self,
            snapshot: self.head_snapshot()?,
        })
    }
}

impl Milestones<'_> {
    /// Returns all milestones whose files are valid, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn all(&self) -> Result<Vec<Milestone>, StoreError> {
        let mut all = self.snapshot.milestones()?;
        all.sort_by(|a, b| (b.time, a.name.as_str()).cmp(&(a.time, b.name.as_str())));
        Ok(all)
    }

    /// Finds a milestone. One whose file is invalid counts as missing.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn find(&self, name: &MilestoneName) -> Result<Option<Milestone>, StoreError> {
        match self.snapshot.milestone(name) {
            Err(StoreError::Malformed { .. }) => Ok(None),
            milestone => milestone,
        }
    }

    /// Returns true if there is a file for this name, even an invalid one.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn is_taken(&self, name: &MilestoneName) -> Result<bool, StoreError> {
        match self.snapshot.milestone(name) {
            Err(StoreError::Malformed { .. }) => Ok(true),
            milestone => Ok(milestone?.is_some()),
        }
    }

    /// Counts the sessions of the state that a milestone names, if the store has it.
    ///
    /// # Errors
    /// As for [`Store::snapshot`].
    pub fn count_sessions(&self, milestone: &Milestone) -> Result<u64, StoreError> {
        if !self.store.has_commit(&milestone.commit) {
            return Ok(0);
        }
        let snapshot = self.store.snapshot(Some(&milestone.commit))?;
        Ok(snapshot.sessions()?.len() as u64)
    }
}
