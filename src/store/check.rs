//! Reading every object of the store, as `git fsck` does: whatever can be reached from a commit must be there and hash to its name.

use std::collections::HashSet;

use git2::{ObjectType, Oid};
use serde::Serialize;

use super::{Store, StoreError, oid, segment};
use crate::domain::id::CommitId;

/// A larger file is none of this program's, and is not loaded.
const LARGEST: usize = segment::LIMIT + segment::CUT;

/// What reading the objects gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ObjectCheck {
    /// Objects that are whole.
    pub whole: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
    /// Objects that are missing or damaged.
    pub damaged: Vec<DamagedObject>,
    /// Files of somebody else's that are too large to be one of this program's; they were not read.
    pub passed_over: u64,
}

/// An object that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedObject {
    /// Its name.
    pub id: String,
    /// What git says of it.
    pub reason: String,
}

impl Store {
    /// How many commits `head` has that `other` (nothing, if none) has not.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commits_beyond(&self, head: &CommitId, other: Option<&CommitId>) -> Result<u64, StoreError> {
        let mut walk = self.repo.revwalk()?;
        walk.push(oid(head)?)?;
        if let Some(other) = other {
            walk.hide(oid(other)?)?;
        }
        Ok(walk.count() as u64)
    }

    /// Reads everything that can be reached from `commits`. `go_on` is told the bytes of each object and ends the check with `false`.
    ///
    /// # Errors
    /// [`StoreError::Git`] if the repository as such cannot be used.
    pub fn check_objects(
        &self,
        commits: &[CommitId],
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<ObjectCheck, StoreError> {
        let odb = self.repo.odb()?;
        let mut found = ObjectCheck::default();
        let mut seen = HashSet::new();
        let mut waiting = commits.iter().map(oid).collect::<Result<Vec<_>, _>>()?;
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.read_object(&odb, id, &mut waiting) {
                Ok(None) => found.passed_over += 1,
                Ok(Some(bytes)) => {
                    found.whole += 1;
                    found.bytes += bytes;
                    if !go_on(bytes) {
                        break;
                    }
                }
                Err(e) => found.damaged.push(DamagedObject { id: id.to_string(), reason: e.message().to_owned() }),
            }
        }
        Ok(found)
    }

    /// Reads one object, which libgit2 hashes, and adds what it refers to. Its size; `None`: not read.
    fn read_object(&self, odb: &git2::Odb<'_>, id: Oid, waiting: &mut Vec<Oid>) -> Result<Option<u64>, git2::Error> {
        let (size, kind) = odb.read_header(id)?;
        if kind == ObjectType::Blob && size > LARGEST {
            return Ok(None);
        }
        let size = odb.read(id)?.len() as u64;
        match kind {
            ObjectType::Commit => {
                let commit = self.repo.find_commit(id)?;
                waiting.push(commit.tree_id());
                waiting.extend(commit.parent_ids());
            }
            ObjectType::Tree => {
                let tree = self.repo.find_tree(id)?;
                // A submodule's commit lies in another repository.
                waiting.extend(tree.iter().filter(|entry| entry.kind() != Some(ObjectType::Commit)).map(|e| e.id()));
            }
            _ => {}
        }
        Ok(Some(size))
    }
}
