//! The commits of locks: without parents, with one file, on branches of their own.
//!
//! Owns how such a commit looks in git. What the file says is `crate::lock`'s; who may move the branch is decided by the remote.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};

use super::transaction::commit_text;
use super::{Author, Store, StoreError, commit_id, oid, stale, tree};
use crate::domain::id::{CommitId, SessionId};

/// Below this, on the remote, each session that somebody holds has a branch of its id.
pub const LOCK_BRANCHES: &str = "ccsync/lock/";

/// A lock's file that is larger is refused unread.
pub const MAX_LOCK_BYTES: usize = 16 << 10;

/// A commit or tree of one lock that is larger is refused unread.
const MAX_OBJECT_BYTES: usize = 16 << 10;

const FILE_NAME: &[u8] = b"lock.json";

/// The locks on the remote, as last fetched.
#[derive(Debug, Default)]
pub struct RemoteLocks {
    /// The branch of each session that has one.
    pub locks: BTreeMap<SessionId, CommitId>,
    /// Branches between those of locks whose names are no session's. Untrusted text.
    pub strangers: Vec<String>,
}

/// The name of a session's branch on the remote.
pub fn lock_ref(session: &SessionId) -> String {
    format!("refs/heads/{LOCK_BRANCHES}{session}")
}

fn tracking_prefix() -> String {
    format!("refs/remotes/origin/{LOCK_BRANCHES}")
}

impl Store {
    /// Writes the commit of a lock: a pure function of its file and author. It is on the disk when this returns; no branch is moved.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn write_lock(&self, json: &[u8], author: &Author<'_>) -> Result<CommitId, StoreError> {
        let blob = self.repo.blob(json)?;
        let mut tree = self.repo.treebuilder(None)?;
        tree.insert(FILE_NAME, blob, 0o100_644)?;
        let text = commit_text(tree.write()?, &[], author, "lock");
        let commit = self.repo.odb()?.write(ObjectType::Commit, &text)?;
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
        let id = oid(commit)?;
        self.check_size(id, MAX_OBJECT_BYTES)
            .ok_or_else(|| refused("it is missing or too large"))?;
        let read = self
            .repo
            .find_commit(id)
            .map_err(|_| refused("it is no commit"))?;
        if read.parent_count() != 0 {
            return Err(refused("it has a history"));
        }
        self.check_size(read.tree_id(), MAX_OBJECT_BYTES)
            .ok_or_else(|| refused("it holds too many files"))?;
        let entries = tree::entries(self.objects(), Some(read.tree_id()))?;
        let mut entries = entries.into_iter();
        let (Some((name, leaf)), None) = (entries.next(), entries.next()) else {
            return Err(refused("it does not hold one file"));
        };
        if name != FILE_NAME || !leaf.is_file() {
            return Err(refused("it does not hold a lock"));
        }
        self.check_size(leaf.oid, MAX_LOCK_BYTES)
            .ok_or_else(|| refused("its file is missing or too large"))?;
        self.objects().read(ObjectType::Blob, leaf.oid)
    }

    /// Removes what this machine wrote of a lock that has been replaced, or given back. As nothing is ever pruned, a lock held for a day
    /// would leave thousands of objects. Only the log of its tracking ref still names them; it goes first. What cannot be removed does no harm.
    pub fn discard_lock(&self, session: &SessionId, commit: &CommitId) {
        let objects = || {
            self.read_lock(commit).ok()?;
            self.repo
                .reflog_delete(&format!("{}{session}", tracking_prefix()))
                .ok()?;
            let commit = self.repo.find_commit(oid(commit).ok()?).ok()?;
            let tree = commit.tree().ok()?;
            Some([commit.id(), tree.id(), tree.get(0)?.id()])
        };
        for object in objects().into_iter().flatten() {
            let (directory, name) = (
                object.to_string()[..2].to_owned(),
                object.to_string()[2..].to_owned(),
            );
            let _ = std::fs::remove_file(self.git_dir().join("objects").join(directory).join(name));
        }
    }

    fn check_size(&self, object: Oid, most: usize) -> Option<()> {
        self.objects()
            .size(object)
            .is_ok_and(|size| size <= most)
            .then_some(())
    }

    /// The locks on the remote, as last fetched.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn locks(&self) -> Result<RemoteLocks, StoreError> {
        let prefix = tracking_prefix();
        let mut found = RemoteLocks::default();
        for reference in self.repo.references_glob(&format!("{prefix}*"))? {
            let reference = reference?;
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            let name = name.strip_prefix(&prefix).unwrap_or(&name);
            match (name.parse(), reference.target()) {
                (Ok(session), Some(commit)) => drop(found.locks.insert(session, commit_id(commit))),
                _ => found.strangers.push(name.to_owned()),
            }
        }
        Ok(found)
    }

    /// Records where the remote's lock of a session is now, after a push of our own; `None`: it has none.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn set_lock(
        &self,
        session: &SessionId,
        commit: Option<&CommitId>,
    ) -> Result<(), StoreError> {
        let name = format!("{}{session}", tracking_prefix());
        stale::retry_while_locked(|| match commit {
            Some(commit) => self
                .repo
                .reference(&name, oid(commit)?, true, "lock")
                .map(drop),
            None => match self.repo.find_reference(&name) {
                Ok(mut reference) => reference.delete(),
                Err(e) if e.code() == git2::ErrorCode::NotFound => Ok(()),
                Err(e) => Err(e),
            },
        })
    }
}
