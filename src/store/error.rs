//! The error of everything in this folder, with its hints.

use std::io;
use std::path::{Path, PathBuf};

use super::format::json::{ManifestError, TOMBSTONE_FORMAT};
use crate::domain::{CommitId, ErrorKind, SessionId, UPDATE_CCSYNC, UserError};
use crate::encryption::StoreHeader;
use crate::sys::{
    failure::FIX_GIT_CONFIG, failure::is_full, failure::is_of_configuration,
    failure::is_of_file_system, fs::PathError, fs::path_hints, process::RAISE_LIMIT,
    process::has_few_files,
};

/// Maximum number of files in one comparison of trees. A few small trees that hold each other many
/// times can stand for more files than fit on a disk.
pub(super) const MAX_FILES: usize = 1 << 20;

/// A commit of an encrypted store.
#[derive(Debug)]
pub struct FetchedCommit {
    /// The commit.
    pub commit: CommitId,
    /// The header that it has.
    pub header: StoreHeader,
}

/// The store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// libgit2 failed.
    #[error("cannot use the store's git repository")]
    Git(#[from] git2::Error),
    /// A file of git is damaged.
    #[error("damaged file `{}` in the store", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused an action.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// A verb: `read`, `write`, `create`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The store has more files than this program reads.
    #[error("the store has too many files (limit {MAX_FILES})")]
    TooMany,
    /// A newer ccsync wrote the store.
    #[error(
        "the store has format {found}; this ccsync reads up to {}",
        TOMBSTONE_FORMAT
    )]
    Newer {
        /// Its format version.
        found: u32,
    },
    /// The remote's store is encrypted, and this machine does not know that.
    #[error("the store on the remote is encrypted")]
    Encrypted(Box<FetchedCommit>),
    /// A JSON file that belongs to no session is malformed.
    #[error("cannot read `{path}` in the store")]
    Malformed {
        /// Path inside the store.
        path: String,
        /// The reason.
        source: ManifestError,
    },
    /// A session's manifest is malformed, or from a newer ccsync.
    #[error("cannot read session {session} from the store")]
    Session {
        /// The session.
        session: SessionId,
        /// The reason.
        source: ManifestError,
    },
    /// An object does not match its name, or has the wrong kind.
    #[error("damaged object {name} in the store")]
    Object {
        /// Its name in git.
        name: String,
    },
    /// The commit on the branch of a lock is not that of a lock.
    #[error("lock commit {} is invalid: {what}", commit.short())]
    Lock {
        /// The branch's commit.
        commit: CommitId,
        /// The reason.
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

    /// Adds the commit whose header was read.
    pub(super) fn of_commit(self, commit: Option<&CommitId>) -> Self {
        match (self, commit) {
            (
                Self::Malformed {
                    source: ManifestError::Encrypted(header),
                    ..
                },
                Some(commit),
            ) => Self::Encrypted(Box::new(FetchedCommit {
                commit: commit.clone(),
                header: *header,
            })),
            (error, _) => error,
        }
    }

    /// Returns true if git refuses to work because of the user's configuration, or because
    /// the store belongs to another user.
    fn is_of_user(&self) -> bool {
        match self {
            Self::Git(e) => e.code() == git2::ErrorCode::Owner || is_of_git_config(e),
            _ => false,
        }
    }

    /// Returns true if the store on this disk cannot be used as it is.
    pub fn is_corruption(&self) -> bool {
        if has_few_files() {
            return false;
        }
        match self {
            Self::Git(e) => !is_of_file_system(e.message()) && !self.is_of_user(),
            Self::Damaged { .. } => true,
            Self::Io { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::StaleNetworkFileHandle
                    | io::ErrorKind::OutOfMemory
                    | io::ErrorKind::Unsupported
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
            Self::Encrypted(_) => {
                return vec![
                    "enter its key with `ccsync init`; nothing is lost".to_owned(),
                    "a machine that has it shows it with `ccsync key words`".to_owned(),
                ];
            }
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
                "make room, then run the command again; see what is full with `df -h` and \
                 `df -i`"
                    .to_owned()
            }
            Self::Git(e) if e.code() == git2::ErrorCode::Owner => {
                "the store belongs to another user: give it to yours with `sudo chown -R`"
                    .to_owned()
            }
            Self::Git(e) if is_of_git_config(e) => FIX_GIT_CONFIG.to_owned(),
            Self::Git(e) if e.message().contains("Too many open files") => RAISE_LIMIT.to_owned(),
            Self::Git(_) | Self::Damaged { .. } | Self::Object { .. } if has_few_files() => {
                RAISE_LIMIT.to_owned()
            }
            Self::Lock { .. } => "list the locks with `ccsync lock show`".to_owned(),
            Self::TooMany => {
                "remove what does not belong there from the remote's branch `main` with git"
                    .to_owned()
            }
            Self::Malformed { path, .. } => {
                format!("in the store's directory, see who wrote it with `git log -p -- {path}`")
            }
            // The caller knows the store's directory and says how to fetch it again.
            Self::Git(_) | Self::Damaged { .. } | Self::Object { .. } => return Vec::new(),
        };
        vec![hint]
    }

    fn is_about_one_session(&self) -> bool {
        matches!(self, Self::Session { .. } | Self::Segment { .. })
    }
}

/// Returns true if libgit2 could not read a configuration that is not the store's.
fn is_of_git_config(error: &git2::Error) -> bool {
    is_of_configuration(error.message())
        || error.class() == git2::ErrorClass::Config
            && !error.message().contains("store/.git/config")
}

impl From<PathError> for StoreError {
    fn from(error: PathError) -> Self {
        Self::io(error.action, &error.path, error.source)
    }
}
