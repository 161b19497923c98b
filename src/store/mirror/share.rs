//! Takes over sealed commits that were fetched into the store before it was known to be encrypted.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use git2::Repository;

use super::error::MirrorError;
use crate::domain::CommitId;
use crate::store::create::create_mirror;
use crate::store::error::StoreError;
use crate::store::layout::REMOTE_REF;
use crate::store::objects::name::oid;
use crate::store::repository::Store;

impl Store {
    /// Returns the index files of the packs.
    pub fn packs(&self) -> BTreeSet<PathBuf> {
        let packs = fs::read_dir(self.git_dir().join("objects/pack"));
        let paths = packs.into_iter().flatten().flatten().map(|e| e.path());
        paths
            .filter(|path| path.extension().is_some_and(|e| e == "idx"))
            .collect()
    }
}

/// Gives the mirror at `mirror` the packs with these index files, and `head` as the head of the
/// remote.
///
/// # Errors
/// [`MirrorError::Store`]
pub fn share_packs(packs: &[PathBuf], head: &CommitId, mirror: &Path) -> Result<(), MirrorError> {
    create_mirror(mirror)?;
    let directory = mirror.join("objects/pack");
    // The index comes last, because it makes the pack visible.
    for extension in ["pack", "idx"] {
        for pack in packs {
            let from = pack.with_extension(extension);
            let to = directory.join(from.file_name().unwrap_or_default());
            link_or_copy(&from, &to).map_err(|e| StoreError::io("write", &to, e))?;
        }
    }
    let repository = Store::new(Repository::open_bare(mirror)?);
    // Without the commit, the next fetch brings everything.
    match repository.repo.find_commit(oid(head)?) {
        Ok(_) => Ok(repository.set_ref(REMOTE_REF, Some(head), "fetch")?),
        Err(_) => Ok(()),
    }
}

fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) if to.exists() => Ok(()),
        Err(_) => fs::copy(from, to).map(drop),
    }
}
