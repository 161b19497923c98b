//! Writing new objects: those of one commit become one pack.
//!
//! A commit of one session is a dozen objects. As one pack they are two files to flush instead of
//! a dozen, and fill no disk block each. `git gc` joins packs. Nothing is visible to git before
//! [`ObjectWriter::finish`].

use std::collections::HashSet;

use git2::{ObjectType, OdbLookupFlags, Oid, Repository};

use super::name::object_name;
use super::pack_writer::PackWriter;
use crate::store::error::StoreError;
use crate::sys::fail_point::fail_point;

/// Collects the new objects of a commit.
pub(crate) struct ObjectWriter<'repo> {
    repo: &'repo Repository,
    seen: HashSet<Oid>,
    pack: Option<PackWriter>,
}

impl<'repo> ObjectWriter<'repo> {
    pub(crate) fn new(repo: &'repo Repository) -> Self {
        Self {
            repo,
            seen: HashSet::new(),
            pack: None,
        }
    }

    /// Adds an object and returns its name. Objects that git already has are not written again.
    pub(crate) fn write(&mut self, kind: ObjectType, data: Vec<u8>) -> Result<Oid, StoreError> {
        let oid = object_name(kind, &data);
        let is_known =
            !self.seen.insert(oid) || self.repo.odb()?.exists_ext(oid, OdbLookupFlags::NO_REFRESH);
        if is_known {
            return Ok(oid);
        }

        let pack = match &mut self.pack {
            Some(pack) => pack,
            empty => {
                let pack = PackWriter::create(&self.repo.path().join("objects/pack"))?;
                fail_point("a pack is started");
                empty.insert(pack)
            }
        };
        pack.write(kind, oid, data)?;
        Ok(oid)
    }

    /// Makes all objects visible to git, after they are flushed to the disk.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        if let Some(pack) = self.pack {
            pack.finish()?;
            self.repo.odb()?.refresh()?;
        }
        Ok(())
    }
}
