//! The error of everything in this folder. Must not use anything but the formats' own errors.

use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{FORMAT, ManifestError};
use crate::domain::id::{CommitId, SessionId};

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// libgit2 refused.
    #[error("the store's git repository could not be used")]
    Git(#[from] git2::Error),
    /// A file of git's is not what it was.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody's sessions are that many.
    #[error("the store holds more files than any store does; it is not read")]
    TooMany,
    /// The store was written by a newer ccsync.
    #[error("the store has format {found}, this ccsync reads up to {}", FORMAT)]
    Newer {
        /// Its format version.
        found: u32,
    },
    /// A file that describes the store or a machine is malformed.
    #[error("`{path}` in the store cannot be read")]
    Malformed {
        /// Path inside the store.
        path: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A session's manifest is malformed, or from a newer ccsync.
    #[error("session {session} cannot be read from the store")]
    Session {
        /// Which session.
        session: SessionId,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// An object is not what its name says, or not of the kind it should be.
    #[error("object {name} of the store is damaged")]
    Object {
        /// Its name in git.
        name: String,
    },
    /// What lies on the branch of a lock is none.
    #[error("commit {} on the branch of a lock is none: {what}", commit.short())]
    Lock {
        /// The branch's commit.
        commit: CommitId,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A segment that a manifest names is missing or has another size.
    #[error("`{path}` in the store is missing or does not have the size its manifest says")]
    Segment {
        /// Path inside the store.
        path: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether only one session is affected and the others can go on.
    pub fn is_about_one_session(&self) -> bool {
        matches!(self, Self::Session { .. } | Self::Segment { .. })
    }
}
