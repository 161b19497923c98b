//! The git repository of the store: its branches and the order of its commits.
//!
//! Opening is `open`'s, contents are `snapshot`'s, new commits are `transaction`'s. Must not read
//! what a commit holds.

use std::collections::BTreeSet;
use std::path::Path;

use git2::ErrorCode;

use super::error::StoreError;
use super::layout::{HEAD_REF, REMOTE_REF};
use super::objects::name::{commit_id, oid};
use super::objects::reader::{ObjectReader, Objects};
use super::stale::retry_while_locked;
use crate::domain::CommitId;
use crate::sys::fail_point::fail_point;

/// With more packs than this, looking up an object is slow.
pub const MAX_PACKS: usize = 50;

/// With more loose objects than this, a repack saves space.
pub const MAX_LOOSE_OBJECTS: usize = 2000;

/// The local git repository that holds all sessions.
pub struct Store {
    pub(super) repo: git2::Repository,
    reader: ObjectReader,
}

impl Store {
    pub(super) fn new(repo: git2::Repository) -> Self {
        let reader = ObjectReader::new(repo.path());
        Self { repo, reader }
    }

    /// Returns the `.git` directory.
    pub fn git_dir(&self) -> &Path {
        self.repo.path()
    }

    /// Returns the working tree.
    pub fn path(&self) -> &Path {
        self.repo
            .workdir()
            .expect("the store is created with a working tree")
    }

    pub(super) fn objects(&self) -> Objects<'_> {
        Objects {
            repo: &self.repo,
            reader: &self.reader,
        }
    }

    /// Returns the newest commit of the store.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn head(&self) -> Result<Option<CommitId>, StoreError> {
        self.read_ref(HEAD_REF)
    }

    /// Returns the newest commit of the remote, as last fetched or pushed.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn remote_head(&self) -> Result<Option<CommitId>, StoreError> {
        self.read_ref(REMOTE_REF)
    }

    /// Records the newest commit of the remote; `None` if it is empty or another remote.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn set_remote_head(&self, commit: Option<&CommitId>) -> Result<(), StoreError> {
        if self.remote_head()?.as_ref() == commit {
            return Ok(());
        }
        fail_point("before the remote's head is recorded");
        self.set_ref(REMOTE_REF, commit, "push")?;
        fail_point("the remote's head is recorded");
        Ok(())
    }

    pub(super) fn read_ref(&self, name: &str) -> Result<Option<CommitId>, StoreError> {
        match self.repo.refname_to_id(name) {
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            id => Ok(Some(commit_id(id?))),
        }
    }

    /// Sets or removes a ref, waiting while another process holds its lock.
    pub(super) fn set_ref(
        &self,
        name: &str,
        commit: Option<&CommitId>,
        log_message: &str,
    ) -> Result<(), StoreError> {
        let set = |commit| {
            let id = oid(commit)?;
            self.repo.reference(name, id, true, log_message).map(drop)
        };
        let remove = || match self.repo.find_reference(name) {
            Err(e) if e.code() == ErrorCode::NotFound => Ok(()),
            reference => reference?.delete(),
        };
        retry_while_locked(|| commit.map_or_else(remove, set))
    }

    /// Counts the commits that were not pushed yet, as far as is known without asking the remote.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn count_unpushed(&self) -> Result<u64, StoreError> {
        let remote = self.remote_head()?;
        match self.head()? {
            Some(head) => self.count_commits_beyond(&head, remote.as_ref()),
            None => Ok(0),
        }
    }

    /// Counts the commits that `head` contains and `other` does not.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn count_commits_beyond(
        &self,
        head: &CommitId,
        other: Option<&CommitId>,
    ) -> Result<u64, StoreError> {
        if other == Some(head) {
            return Ok(0);
        }
        let mut walk = self.repo.revwalk()?;
        walk.push(oid(head)?)?;
        if let Some(other) = other {
            walk.hide(oid(other)?)?;
        }
        Ok(walk.count() as u64)
    }

    /// Lists the commits that `head` contains and `other` does not.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commits_beyond(
        &self,
        head: &CommitId,
        other: &CommitId,
    ) -> Result<BTreeSet<CommitId>, StoreError> {
        let mut walk = self.repo.revwalk()?;
        walk.push(oid(head)?)?;
        walk.hide(oid(other)?)?;
        walk.map(|id| Ok(commit_id(id?))).collect()
    }

    /// Returns true if the store has the commit.
    pub fn has_commit(&self, commit: &CommitId) -> bool {
        oid(commit).and_then(|id| self.repo.find_commit(id)).is_ok()
    }

    /// Returns true if `ancestor` is `commit` or one of its ancestors.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn contains(&self, commit: &CommitId, ancestor: &CommitId) -> Result<bool, StoreError> {
        let is_descendant = || self.repo.graph_descendant_of(oid(commit)?, oid(ancestor)?);
        Ok(commit == ancestor || is_descendant()?)
    }

    /// Returns the newest common ancestor of two commits.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn merge_base(&self, a: &CommitId, b: &CommitId) -> Result<Option<CommitId>, StoreError> {
        match self.repo.merge_base(oid(a)?, oid(b)?) {
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            base => Ok(Some(commit_id(base?))),
        }
    }

    pub(super) fn tree_of(&self, commit: &CommitId) -> Result<git2::Oid, StoreError> {
        Ok(self.repo.find_commit(oid(commit)?)?.tree_id())
    }
}

/// Returns true if the objects of a repository are spread over so many files that a repack pays.
///
/// Returns false if the user has switched off git's own housekeeping.
pub fn needs_repack(git_dir: &Path) -> bool {
    let objects = git_dir.join("objects");
    let files_in = |name: &str| {
        std::fs::read_dir(objects.join(name))
            .into_iter()
            .flatten()
            .flatten()
    };
    let packs = files_in("pack")
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "idx"))
        .count();
    // Object names are evenly distributed. Git itself reads this one of 256 directories.
    let loose = files_in("17").count() * 256;
    let gc_is_off = || {
        let config = git2::Repository::open(git_dir).and_then(|repo| repo.config());
        config.and_then(|config| config.get_i64("gc.auto")) == Ok(0)
    };
    (packs > MAX_PACKS || loose > MAX_LOOSE_OBJECTS) && !gc_is_off()
}
