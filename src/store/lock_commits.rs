//! Commits of locks: one file, no parents, each on a branch of its own.
//!
//! Owns the form of such a commit in git. `crate::lock` owns the content of the file. Must not
//! move branches of the remote.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};

use super::author::Author;
use super::error::StoreError;
use super::objects::name::{commit_id, oid};
use super::objects::tree::read_tree;
use super::repository::Store;
use crate::domain::{CommitId, SessionId};

/// Prefix of the branches of locks on the remote. The session's id follows it.
pub const LOCK_BRANCHES: &str = "ccsync/lock/";

/// Largest file of a lock that is read.
pub const MAX_LOCK_BYTES: usize = 16 << 10;

/// Largest commit or tree of a lock that is read, in bytes.
const MAX_OBJECT_BYTES: usize = 16 << 10;

const FILE_NAME: &[u8] = b"lock.json";

/// The locks on the remote, as last fetched.
#[derive(Debug, Default)]
pub struct RemoteLocks {
    /// The commit of each lock.
    pub locks: BTreeMap<SessionId, CommitId>,
    /// Branches with the prefix of locks that name no session. Untrusted text.
    pub unknown_refs: Vec<String>,
}

/// Returns the ref of a session's lock on the remote.
pub fn lock_ref(session: &SessionId) -> String {
    format!("refs/heads/{LOCK_BRANCHES}{session}")
}

/// Returns the ref here that has the state of a session's lock on the remote.
pub(super) fn tracking_ref(session: &str) -> String {
    format!("refs/remotes/origin/{LOCK_BRANCHES}{session}")
}

impl Store {
    /// Writes the commit of a lock, and flushes it to the disk. Moves no branch.
    ///
    /// The commit is the same for the same file and author.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn write_lock(&self, json: &[u8], author: &Author<'_>) -> Result<CommitId, StoreError> {
        let blob = self.repo.blob(json)?;
        let mut tree = self.repo.treebuilder(None)?;
        tree.insert(FILE_NAME, blob, 0o100_644)?;
        let commit = author.commit_object(tree.write()?, &[], "lock");
        let commit = self.repo.odb()?.write(ObjectType::Commit, &commit)?;
        Ok(commit_id(commit))
    }

    /// Writes a commit with several parents and the files of the first. Moves no branch.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn write_merge(
        &self,
        parents: &[CommitId],
        author: &Author<'_>,
    ) -> Result<CommitId, StoreError> {
        let tree = self.tree_of(&parents[0])?;
        let commit = author.commit_object(tree, parents, "merge");
        let commit = self.repo.odb()?.write(ObjectType::Commit, &commit)?;
        Ok(commit_id(commit))
    }

    /// Reads the file of a lock's commit.
    ///
    /// # Errors
    /// [`StoreError::Lock`] if the commit is not that of a lock, [`StoreError::Git`].
    pub fn read_lock(&self, commit: &CommitId) -> Result<Vec<u8>, StoreError> {
        let refused = |what| StoreError::Lock {
            commit: commit.clone(),
            what,
        };
        let require_size = |object: Oid, max: usize, what| match self.objects().size(object) {
            Ok(size) if size <= max => Ok(()),
            _ => Err(refused(what)),
        };
        let id = oid(commit)?;
        require_size(id, MAX_OBJECT_BYTES, "missing or too large")?;
        let found = self.repo.find_commit(id);
        let found = found.map_err(|_| refused("it is not a commit"))?;
        if found.parent_count() != 0 {
            return Err(refused("it has a parent"));
        }

        let tree = found.tree_id();
        require_size(tree, MAX_OBJECT_BYTES, "it has too many files")?;
        let entries = read_tree(self.objects(), Some(tree))?;
        if entries.len() != 1 {
            return Err(refused("it does not have exactly one file"));
        }
        let file = entries.get(FILE_NAME).filter(|entry| entry.is_file());
        let file = file.ok_or_else(|| refused("it has no lock file"))?;
        require_size(
            file.oid,
            MAX_LOCK_BYTES,
            "lock file is missing or too large",
        )?;
        self.objects().read(ObjectType::Blob, file.oid)
    }

    /// Removes the objects that this machine wrote for a lock that was replaced or released.
    ///
    /// Nothing else prunes them, and a lock held for a day would leave thousands. Only the log of
    /// the tracking ref still names them, and is removed first. Objects that cannot be removed do
    /// no harm.
    pub fn discard_lock(&self, session: &SessionId, commit: &CommitId) {
        let objects = || {
            self.read_lock(commit).ok()?;
            let log = tracking_ref(session.as_str());
            self.repo.reflog_delete(&log).ok()?;
            let commit = self.repo.find_commit(oid(commit).ok()?).ok()?;
            let tree = commit.tree().ok()?;
            Some([commit.id(), tree.id(), tree.get(0)?.id()])
        };
        for object in objects().into_iter().flatten() {
            let name = object.to_string();
            let (directory, name) = name.split_at(2);
            let path = self.git_dir().join("objects").join(directory).join(name);
            let _ = std::fs::remove_file(path);
        }
    }

    /// Returns the locks on the remote, as last fetched.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn locks(&self) -> Result<RemoteLocks, StoreError> {
        let prefix = tracking_ref("");
        let mut found = RemoteLocks::default();
        for reference in self.repo.references_glob(&format!("{prefix}*"))? {
            let reference = reference?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            let name = name.strip_prefix(&prefix).unwrap_or(&name);
            match (name.parse(), reference.target()) {
                (Ok(session), Some(commit)) => drop(found.locks.insert(session, commit_id(commit))),
                _ => found.unknown_refs.push(name.to_owned()),
            }
        }
        Ok(found)
    }

    /// Records all lock branches of the remote, by the end of their names, after a fetch.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn set_locks(&self, locks: &BTreeMap<String, CommitId>) -> Result<(), StoreError> {
        let RemoteLocks {
            locks: known,
            unknown_refs,
        } = self.locks()?;
        let known = known.keys().map(ToString::to_string);
        for name in known.chain(unknown_refs) {
            if !locks.contains_key(&name) {
                self.set_ref(&tracking_ref(&name), None, "fetch")?;
            }
        }
        for (name, commit) in locks {
            self.set_ref(&tracking_ref(name), Some(commit), "fetch")?;
        }
        Ok(())
    }

    /// Records the remote's lock of a session after a push of this machine; `None` if it has none.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn set_lock(
        &self,
        session: &SessionId,
        commit: Option<&CommitId>,
    ) -> Result<(), StoreError> {
        self.set_ref(&tracking_ref(session.as_str()), commit, "lock")
    }
}
