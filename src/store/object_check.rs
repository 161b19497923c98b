//! Reading every object of the store, as `git fsck` does.
//!
//! Everything that can be reached from a commit must exist and hash to its name.

use std::collections::HashSet;

use git2::{ObjectType, Oid};
use serde::Serialize;

use super::error::StoreError;
use super::format::segment::MAX_FILE_BYTES;
use super::objects::name::oid;
use super::objects::tree::read_tree;
use super::repository::Store;
use crate::domain::CommitId;

/// Result of reading every object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ObjectCheck {
    /// Number of good objects.
    pub intact: u64,
    /// Their bytes, uncompressed.
    pub bytes: u64,
    /// Objects that are missing or damaged.
    pub damaged: Vec<DamagedObject>,
    /// Number of files that are too large to be of this program. They were not read.
    pub skipped_files: u64,
}

/// An object that is missing or damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedObject {
    /// Its name.
    pub id: String,
    /// Description of the damage.
    pub reason: String,
}

/// An object to be read, and the kind that it must have.
type Reference = (ObjectType, Oid);

impl Store {
    /// Reads everything that can be reached from `commits`.
    ///
    /// `go_on` gets the bytes of each object. If it returns false, the check ends.
    ///
    /// # Errors
    /// [`StoreError::Git`] if the repository as a whole is unusable.
    pub fn check_objects(
        &self,
        commits: &[CommitId],
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<ObjectCheck, StoreError> {
        let mut waiting: Vec<Reference> = Vec::new();
        for commit in commits {
            waiting.push((ObjectType::Commit, oid(commit)?));
        }
        let mut check = ObjectCheck::default();
        let mut seen = HashSet::new();
        while let Some((kind, id)) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.read_object(kind, id, &mut waiting) {
                Ok(None) => check.skipped_files += 1,
                Ok(Some(bytes)) => {
                    check.intact += 1;
                    check.bytes += bytes;
                    if !go_on(bytes) {
                        break;
                    }
                }
                Err(error) => check.damaged.push(DamagedObject {
                    id: id.to_string(),
                    reason: match error {
                        StoreError::Git(error) => error.message().to_owned(),
                        error => error.to_string(),
                    },
                }),
            }
        }
        Ok(check)
    }

    /// Reads one object and adds those that it refers to. Returns its size, or `None` for a file
    /// that is too large.
    fn read_object(
        &self,
        kind: ObjectType,
        id: Oid,
        waiting: &mut Vec<Reference>,
    ) -> Result<Option<u64>, StoreError> {
        let objects = self.objects();
        if kind == ObjectType::Blob && objects.size(id)? > MAX_FILE_BYTES {
            return Ok(None);
        }
        let size = objects.read(kind, id)?.len() as u64;
        match kind {
            ObjectType::Commit => {
                let commit = self.repo.find_commit(id)?;
                waiting.push((ObjectType::Tree, commit.tree_id()));
                waiting.extend(commit.parent_ids().map(|id| (ObjectType::Commit, id)));
            }
            ObjectType::Tree => {
                let entries = read_tree(objects, Some(id))?.into_values();
                waiting.extend(entries.filter_map(|entry| Some((entry.kind()?, entry.oid))));
            }
            _ => {}
        }
        Ok(Some(size))
    }
}
