//! Recognising that the history of the remote was rewritten, for example to remove a secret from
//! it.
//!
//! Must not decide what follows from it.

use git2::Oid;

use super::error::StoreError;
use super::objects::name::{commit_id, oid};
use super::repository::Store;
use crate::domain::CommitId;

/// Relation of the remote's head to the one that was fetched before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteMove {
    /// It has moved on, or not at all.
    Forward,
    /// It has gone back to an earlier commit.
    Back,
    /// A purge has rewritten its history.
    Purged,
    /// It has another history, in which something may have been removed on purpose.
    Rewritten,
    /// The remote was created again.
    Replaced,
}

impl Store {
    /// Compares the remote's head with the one that was fetched before.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn remote_move(&self, from: &CommitId, to: &CommitId) -> Result<RemoteMove, StoreError> {
        if self.contains(to, from)? {
            return Ok(RemoteMove::Forward);
        }
        if self.contains(from, to)? {
            return Ok(RemoteMove::Back);
        }
        if self.replacement(to, from)?.is_some() {
            return Ok(RemoteMove::Purged);
        }
        if self.merge_base(from, to)?.is_some() {
            return Ok(RemoteMove::Rewritten);
        }
        // A new store was begun by a machine. A rewritten one begins as before, or was squashed by
        // another program.
        let (old, new) = (self.first_commit(from)?, self.first_commit(to)?);
        let (old, new) = (self.repo.find_commit(old)?, self.repo.find_commit(new)?);
        let is_same = old.author().when() == new.author().when()
            && old.message_bytes() == new.message_bytes();
        let is_by_machine = self.commit(&commit_id(new.id()))?.machine.is_some();
        Ok(if is_same || !is_by_machine {
            RemoteMove::Rewritten
        } else {
            RemoteMove::Replaced
        })
    }

    fn first_commit(&self, head: &CommitId) -> Result<Oid, StoreError> {
        let head = oid(head)?;
        let mut walk = self.repo.revwalk()?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE)?;
        walk.push(head)?;
        Ok(walk.next().transpose()?.unwrap_or(head))
    }
}
