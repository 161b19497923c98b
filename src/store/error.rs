//! The error of everything in this folder. Must not use anything but the formats' own errors.

use std::io;
use std::path::{Path, PathBuf};

use super::format::json::{FORMAT, ManifestError};
use crate::domain::error::{ErrorKind, UPDATE_CCSYNC, UserError};
use crate::domain::id::{CommitId, SessionId};
use crate::sys::failure::{is_full, is_of_file_system};
use crate::sys::fs::{PathError, path_hints};

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// libgit2 refused.
    #[error("cannot use the store's git repository")]
    Git(#[from] git2::Error),
    /// A file of git's is not what it was.
    #[error("damaged file `{}` in the store", path.display())]
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
    /// The store has more files than this program reads.
    #[error("the store has too many files")]
    TooMany,
    /// The store was written by a newer ccsync.
    #[error("the store has format {found}; this ccsync reads up to {}", FORMAT)]
    Newer {
        /// Its format version.
        found: u32,
    },
    /// A file that describes the store or a machine is malformed.
    #[error("cannot read `{path}` in the store")]
    Malformed {
        /// Path inside the store.
        path: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A session's manifest is malformed, or from a newer ccsync.
    #[error("cannot read session {session} from the store")]
    Session {
        /// Which session.
        session: SessionId,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// An object is not what its name says, or not of the kind it should be.
    #[error("damaged object {name} in the store")]
    Object {
        /// Its name in git.
        name: String,
    },
    /// What lies on the branch of a lock is none.
    #[error("lock commit {} is invalid: {what}", commit.short())]
    Lock {
        /// The branch's commit.
        commit: CommitId,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A segment that a manifest names is missing or has another size.
    #[error("`{path}` in the store is missing or not as long as its manifest says")]
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

    /// Returns true if the store on this disk cannot be used as it is.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Git(e) => !is_of_file_system(e.message()),
            Self::Damaged { .. } => true,
            Self::Io { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::PermissionDenied
            ),
            _ => false,
        }
    }
}

impl UserError for StoreError {
    fn kind(&self) -> ErrorKind {
        if self.is_corruption() {
            ErrorKind::DamagedStore
        } else {
            ErrorKind::Failed
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Newer { .. } => UPDATE_CCSYNC.to_owned(),
            Self::Io { source, path, .. } => return path_hints(source, path),
            Self::Session { source, .. } | Self::Malformed { source, .. }
                if matches!(source, ManifestError::Newer(_)) =>
            {
                UPDATE_CCSYNC.to_owned()
            }
            Self::Session { .. } | Self::Segment { .. } => {
                "run `ccsync push` on a machine that has the session".to_owned()
            }
            Self::Git(e) if is_full(e.message()) => {
                "make room, then run the command again; see what is full with `df -h`".to_owned()
            }
            Self::Lock { .. } => "list the locks with `ccsync lock show`".to_owned(),
            Self::TooMany => {
                "remove what does not belong there from the remote's branch `main` with git"
                    .to_owned()
            }
            Self::Malformed { path, .. } => {
                format!("in the store's directory, see who wrote it with `git log -p -- {path}`")
            }
            // The one who knows the store's directory says how it is fetched again.
            Self::Git(_) | Self::Damaged { .. } | Self::Object { .. } => return Vec::new(),
        };
        vec![hint]
    }

    fn is_about_one_session(&self) -> bool {
        matches!(self, Self::Session { .. } | Self::Segment { .. })
    }
}

impl From<PathError> for StoreError {
    fn from(error: PathError) -> Self {
        Self::io(error.action, &error.path, error.source)
    }
}
