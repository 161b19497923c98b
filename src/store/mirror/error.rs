//! Errors of the sealed mirror, with their hints.

use crate::domain::{CommitId, ErrorKind, UPDATE_CCSYNC, UserError};
use crate::encryption::{HeaderError, StoreHeader, Token, UnsealError};
use crate::store::error::StoreError;
use crate::sys::Interrupted;

/// The remote's data was refused, or could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The store on this machine, or the mirror.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The remote has a plain store.
    #[error("the store on the remote is not encrypted, but the one of this machine is")]
    NotEncrypted,
    /// The remote has an encrypted store, but another one.
    #[error("the remote holds another encrypted store")]
    OtherStore,
    /// The key of this machine is not that of the remote's head.
    #[error("the key of the store was changed on another machine")]
    OtherKey(Box<StoreHeader>),
    /// The remote has gone back to a former key.
    #[error("the remote went back to a former key of the store")]
    FormerKey,
    /// The clear file of the remote cannot be read.
    #[error("cannot read `ccsync.json` of the remote")]
    Header(#[from] HeaderError),
    /// A commit of the remote is not what a machine with the key sealed.
    #[error("commit {} of the remote is refused", commit.short())]
    Refused {
        /// The commit in the remote.
        commit: CommitId,
        /// The reason.
        #[source]
        reason: SealedFault,
    },
    /// A file of a commit here has a name or kind that cannot be sealed.
    #[error("cannot seal `{}` of commit {}", path.escape_debug(), commit.short())]
    Unsealable {
        /// The commit here.
        commit: CommitId,
        /// The path of the file.
        path: String,
    },
}

/// Reason why a commit of the remote is refused.
#[derive(Debug, thiserror::Error)]
pub enum SealedFault {
    /// A file is damaged, moved, exchanged or truncated.
    #[error("file {token}{}", with_path(.path.as_deref()))]
    File {
        /// Its name in the remote.
        token: Token,
        /// Its path, if that is known.
        path: Option<String>,
        /// The reason.
        #[source]
        reason: UnsealError,
    },
    /// The commit itself is damaged, or is of another branch.
    #[error("its description is damaged or does not belong here")]
    Description,
    /// The tree has an entry that no machine makes.
    #[error("`{}` does not belong there", .0.escape_debug())]
    Entry(String),
    /// The files are not those of the commit: one is missing, added or older.
    #[error("its files are not those that were sealed")]
    Tree,
    /// The commits before it are not those that it was made on.
    #[error("it was moved to other parents")]
    Parents,
    /// It is of another store or epoch.
    #[error("it is of another store or key")]
    Header,
}

fn with_path(path: Option<&str>) -> String {
    path.map(|path| format!(" (`{}`)", path.escape_debug()))
        .unwrap_or_default()
}

impl MirrorError {
    pub(super) fn refused(commit: git2::Oid, reason: SealedFault) -> Self {
        let commit = crate::store::objects::name::commit_id(commit);
        Self::Refused { commit, reason }
    }
}

impl From<git2::Error> for MirrorError {
    fn from(error: git2::Error) -> Self {
        Self::Store(error.into())
    }
}

impl UserError for MirrorError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(e) => e.kind(),
            Self::Interrupted(e) => e.kind(),
            _ => ErrorKind::Remote,
        }
    }

    fn hints(&self) -> Vec<String> {
        let new_remote = "use another remote with `ccsync init --remote URL`";
        match self {
            Self::Store(e) => e.hints(),
            Self::Interrupted(e) => e.hints(),
            Self::NotEncrypted | Self::OtherStore => vec![
                "see what this machine uses with `ccsync config get remote`".to_owned(),
                new_remote.to_owned(),
            ],
            Self::OtherKey(_) => vec!["enter the new key with `ccsync init`".to_owned()],
            Self::FormerKey | Self::Refused { .. } => vec![
                "nothing was changed here; find out who can write to the remote".to_owned(),
                "to send what this machine has to an empty repository: `ccsync init --remote URL`"
                    .to_owned(),
            ],
            Self::Header(HeaderError::Newer(_)) => vec![UPDATE_CCSYNC.to_owned()],
            Self::Header(_) => vec![new_remote.to_owned()],
            Self::Unsealable { .. } => vec![
                "in the store's directory, see who wrote it with `git log -p -- PATH`".to_owned(),
            ],
        }
    }
}
