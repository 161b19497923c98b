//! Reading every object of the store, as `git fsck` does: whatever can be reached from a commit must be there and hash to its name.

use std::collections::HashSet;

use git2::{ObjectType, Oid};
use serde::Serialize;

use super::{Store, StoreError, oid, segment, tree};
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
    /// What is wrong with it.
    pub reason: String,
}

impl Store {
    /// How many commits `head` has that `other` (nothing, if none) has not.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commits_beyond(
        &self,
        head: &CommitId,
        other: Option<&CommitId>,
    ) -> Result<u64, StoreError> {
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
        let mut found = ObjectCheck::default();
        let mut seen = HashSet::new();
        let commit = |commit| Ok((ObjectType::Commit, oid(commit)?));
        let mut waiting = commits
            .iter()
            .map(commit)
            .collect::<Result<Vec<_>, git2::Error>>()?;
        while let Some((kind, id)) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.read_object(kind, id, &mut waiting) {
                Ok(None) => found.passed_over += 1,
                Ok(Some(bytes)) => {
                    found.whole += 1;
                    found.bytes += bytes;
                    if !go_on(bytes) {
                        break;
                    }
                }
                Err(e) => found.damaged.push(DamagedObject {
                    id: id.to_string(),
                    reason: reason(&e),
                }),
            }
        }
        Ok(found)
    }

    /// Reads one object, which compares it with its name, and adds what it refers to. Its size; `None`: not read.
    fn read_object(
        &self,
        kind: ObjectType,
        id: Oid,
        waiting: &mut Vec<(ObjectType, Oid)>,
    ) -> Result<Option<u64>, StoreError> {
        let objects = self.objects();
        if kind == ObjectType::Blob && objects.size(id)? > LARGEST {
            return Ok(None);
        }
        let size = objects.read(kind, id)?.len() as u64;
        match kind {
            ObjectType::Commit => {
                let commit = self.repo.find_commit(id)?;
                waiting.push((ObjectType::Tree, commit.tree_id()));
                waiting.extend(
                    commit
                        .parent_ids()
                        .map(|parent| (ObjectType::Commit, parent)),
                );
            }
            ObjectType::Tree => {
                let below = tree::entries(objects, Some(id))?.into_values();
                waiting.extend(below.filter_map(|leaf| Some((leaf.kind()?, leaf.oid))));
            }
            _ => {}
        }
        Ok(Some(size))
    }
}

fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Git(e) => e.message().to_owned(),
        e => e.to_string(),
    }
}
