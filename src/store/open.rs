//! Opening the store, and completing what an interrupted command left unfinished.

use std::path::Path;

use git2::{ConfigLevel, Repository};

use super::create::{create_store, init_store, is_initialized};
use super::damage::{check_loose_objects, find_damaged_loose_object, has_valid_head};
use super::error::StoreError;
use super::layout::HEAD_REF;
use super::repository::Store;
use super::stale::remove_stale_locks;
use super::worktree::files::remove;
use crate::sys::fs::write_atomic;

/// The settings of libgit2 alone, see [`make_durable`].
const LIBGIT2_CONFIG: &[u8] = b"[core]\n\tfsyncObjectFiles = true\n\tlogAllRefUpdates = false\n";

impl Store {
    /// Opens the store at `path`, or creates an empty one, and repairs what was interrupted.
    ///
    /// The caller holds the process lock of this machine: locks of git that exist are removed.
    ///
    /// # Errors
    /// [`StoreError::Git`] or [`StoreError::Io`] if the directory holds something else or is
    /// unusable, [`StoreError::Damaged`].
    pub fn open_or_create(path: &Path) -> Result<Self, StoreError> {
        // Our reader verifies every object itself, ten times as fast as libgit2.
        git2::opts::strict_hash_verification(false);
        // libgit2 would look up each object that is added to the index. All were just written.
        git2::opts::strict_object_creation(false);
        let repo = if path.join(".git").exists() {
            open_repaired(path)?
        } else {
            create_store(path)?
        };
        make_durable(&repo)?;
        let store = Self::new(repo);
        store.repair_worktree()?;
        Ok(store)
    }

    /// Opens the store read-only. Repairs nothing and needs no lock.
    ///
    /// # Errors
    /// [`StoreError::Git`]; [`StoreError::Damaged`] if an object would make libgit2 hang.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        git2::opts::strict_hash_verification(false);
        let repo = Repository::open(path)?;
        find_damaged_loose_object(&repo)?;
        Ok(Self::new(repo))
    }

    /// Opens another handle on a store that is open already, for use by another thread.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn open_without_repair(path: &Path) -> Result<Self, StoreError> {
        let repo = Repository::open(path)?;
        make_durable(&repo)?;
        Ok(Self::new(repo))
    }

    /// Creates a store at `path` that begins at this one's head and borrows its objects.
    ///
    /// Commits there change nothing here. Its working tree holds only what is written there.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn create_scratch(&self, path: &Path) -> Result<Self, StoreError> {
        drop(create_store(path)?);
        self.add_alternate(path)?;
        let scratch = Self::open_without_repair(path)?;
        if let Some(head) = self.head()? {
            scratch.set_ref(HEAD_REF, Some(&head), "scratch")?;
        }
        Ok(scratch)
    }

    /// Makes this store an alternate of the clone at `other`, which may have lost objects.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn add_alternate(&self, other: &Path) -> Result<(), StoreError> {
        let objects = self.git_dir().join("objects");
        let path = other.join(".git/objects/info/alternates");
        write_atomic(&path, format!("{}\n", objects.display()).as_bytes())
            .map_err(|e| StoreError::io("write", &e.path, e.source))
    }
}

/// Opens an existing repository after repairing what is missing in it.
///
/// A crash damages `HEAD`, and a copy without empty directories loses `refs`.
fn open_repaired(path: &Path) -> Result<Repository, StoreError> {
    let git_dir = path.join(".git");
    if git_dir.is_dir() {
        remove_stale_locks(&git_dir)?;
        let has_head = has_valid_head(&git_dir);
        if !has_head {
            remove(&git_dir.join("HEAD"))?;
        }
        if !has_head || !git_dir.join("objects").is_dir() || !git_dir.join("refs").is_dir() {
            init_store(path)?;
        }
    }
    let repo = Repository::open(path)?;
    if !is_initialized(&repo)? {
        init_store(path)?;
    }
    check_loose_objects(&repo)?;
    Ok(repo)
}

/// Makes libgit2 flush each loose object and ref to the disk, before a commit becomes the head.
///
/// It writes no reflog: nothing reads one, and its files would be flushed with each ref.
///
/// The settings have a file of their own: `git` warns about the first in every command if it is in
/// `config`.
fn make_durable(repo: &Repository) -> Result<(), StoreError> {
    let path = repo.path().join("ccsync-libgit2");
    if std::fs::read(&path).ok().as_deref() != Some(LIBGIT2_CONFIG) {
        remove(&path)?;
        write_atomic(&path, LIBGIT2_CONFIG)
            .map_err(|e| StoreError::io("write", &e.path, e.source))?;
    }
    Ok(repo.config()?.add_file(&path, ConfigLevel::App, true)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_fsync_is_set_for_library_but_not_in_git_config() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        for _ in 0..2 {
            let config = Store::open_or_create(&path).unwrap().repo.config().unwrap();
            assert!(config.get_bool("core.fsyncObjectFiles").unwrap());
        }
        let config = std::fs::read_to_string(path.join(".git/config")).unwrap();
        assert!(!config.to_lowercase().contains("fsync"));
    }

    #[test]
    fn store_incomplete_repository_is_initialized() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("store/.git")).unwrap();
        let store = Store::open_or_create(&dir.path().join("store")).unwrap();
        assert_eq!(store.head().unwrap(), None);
    }
}
