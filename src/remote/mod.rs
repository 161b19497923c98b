//! The remote of a store: as it is, or behind a mirror with sealed commits.
//!
//! Everything above sees plain commits and branches. Must not decide whether a store is encrypted,
//! or what a key is.

mod encrypted;

pub use encrypted::EncryptedRemote;

use std::collections::BTreeMap;

use crate::domain::CommitId;
use crate::transport::{GitCli, ObjectNames, PushOutcome, RefUpdate, RemoteError};

/// The remote of a store.
pub enum Remote {
    /// The remote has the store's own commits.
    Plain(GitCli),
    /// The remote has sealed commits.
    Encrypted(Box<EncryptedRemote>),
}

impl Remote {
    /// Fetches a branch and returns its commit. `None`: the remote has no such branch.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn fetch(&self, branch: &str) -> Result<Option<CommitId>, RemoteError> {
        match self {
            Self::Plain(git) => git.fetch(branch),
            Self::Encrypted(remote) => remote.fetch(branch),
        }
    }

    /// Fetches a branch and the lock branches, and prunes the deleted ones.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn fetch_with(&self, branch: &str, prefix: &str) -> Result<Option<CommitId>, RemoteError> {
        match self {
            Self::Plain(git) => git.fetch_with(branch, prefix),
            Self::Encrypted(remote) => remote.fetch_with(branch, prefix),
        }
    }

    /// Updates references atomically, if each has its expected value.
    ///
    /// # Errors
    /// [`RemoteError`]. If the remote is unreachable, the push may or may not have been done.
    pub fn push(&self, updates: &[RefUpdate]) -> Result<PushOutcome, RemoteError> {
        match self {
            Self::Plain(git) => git.push(updates),
            Self::Encrypted(remote) => remote.push(updates),
        }
    }

    /// Returns true if the remote can update several references atomically.
    ///
    /// # Errors
    /// [`RemoteError`] if the remote cannot be reached.
    pub fn knows_atomic(&self, update: &RefUpdate) -> Result<bool, RemoteError> {
        match self {
            Self::Plain(git) => git.knows_atomic(update),
            Self::Encrypted(remote) => remote.knows_atomic(update),
        }
    }

    /// Lists the references of the remote. A commit that was never fetched, and a branch of a
    /// lock that is not known here, have their names in the remote.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn refs(&self) -> Result<BTreeMap<String, CommitId>, RemoteError> {
        match self {
            Self::Plain(git) => git.refs(),
            Self::Encrypted(remote) => remote.refs(),
        }
    }

    /// Returns the name of a reference in the remote.
    pub fn remote_name(&self, name: &str) -> String {
        match self {
            Self::Plain(_) => name.to_owned(),
            Self::Encrypted(remote) => remote.remote_name(name),
        }
    }

    /// Checks all objects of a commit in a remote that is a directory; `None` for any other.
    ///
    /// # Errors
    /// [`RemoteError`] if git could not be run.
    pub fn check_objects(
        &self,
        commit: &CommitId,
    ) -> Result<Option<Result<(), String>>, RemoteError> {
        match self {
            Self::Plain(git) => git.check_objects(commit),
            Self::Encrypted(remote) => remote.check_objects(commit),
        }
    }

    /// Lists the objects of a commit in a remote that is a directory; `None` for any other.
    ///
    /// # Errors
    /// [`RemoteError`] if git could not be run.
    pub fn objects_of_remote(&self, commit: &CommitId) -> Result<Option<ObjectNames>, RemoteError> {
        match self {
            Self::Plain(git) => git.objects_of_remote(commit),
            Self::Encrypted(remote) => remote.objects_of_remote(commit),
        }
    }

    /// Removes those of `objects` that no reference of the remote, a directory, needs any more.
    ///
    /// # Errors
    /// [`RemoteError`]
    pub fn drop_from_remote(&self, branch: &str, objects: &ObjectNames) -> Result<(), RemoteError> {
        match self {
            Self::Plain(git) => git.drop_from_remote(branch, objects),
            Self::Encrypted(remote) => remote.drop_from_remote(branch, objects),
        }
    }
}
