//! Writing new objects: those of one commit become one pack.
//!
//! A commit of one session is a dozen objects. As one pack they are two files to flush instead of
//! a dozen, and fill no disk block each. `git gc` joins packs. Nothing is visible to git before
//! [`ObjectWriter::finish`].

use std::collections::{HashMap, HashSet};

use git2::{ObjectType, OdbLookupFlags, Oid, Repository};

use super::name::object_name;
use super::pack_writer::{Compression, PackWriter};
use crate::store::error::StoreError;
use crate::sys::fail_point::fail_point;

/// Collects the new objects of a commit, or of several.
pub(crate) struct ObjectWriter<'repo> {
    repo: &'repo Repository,
    compression: Compression,
    seen: HashSet<Oid>,
    /// The trees among the new objects: a later commit changes them.
    trees: HashMap<Oid, Vec<u8>>,
    pack: Option<PackWriter>,
}

impl<'repo> ObjectWriter<'repo> {
    pub(crate) fn new(repo: &'repo Repository) -> Self {
        Self::with_compression(repo, Compression::Usual)
    }

    pub(crate) fn with_compression(repo: &'repo Repository, compression: Compression) -> Self {
        Self {
            repo,
            compression,
            seen: HashSet::new(),
            trees: HashMap::new(),
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
                let directory = self.repo.path().join("objects/pack");
                let pack = PackWriter::create(&directory, self.compression)?;
                fail_point("a pack is started");
                empty.insert(pack)
            }
        };
        if kind == ObjectType::Tree {
            self.trees.insert(oid, data.clone());
        }
        pack.write(kind, oid, data)?;
        Ok(oid)
    }

    /// Returns the content of a tree that is among the new objects.
    pub(crate) fn tree(&self, oid: Oid) -> Option<&[u8]> {
        self.trees.get(&oid).map(Vec::as_slice)
    }

    /// Returns the bytes that the new trees take in memory.
    pub(crate) fn tree_bytes(&self) -> usize {
        self.trees.values().map(Vec::len).sum()
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
