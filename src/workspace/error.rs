//! What can go wrong with a whole command.

use crate::browse::search::pattern::PatternError;
use std::io::ErrorKind;
use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::config::ConfigError;
use crate::domain::id::{CommitId, SessionId};
use crate::session::SessionError;
use crate::store::StoreError;
use crate::store::milestone::MilestoneName;
use crate::sys::fs::PathError;
use crate::sys::lock::LockError;
use crate::sys::signal::Interrupted;
use crate::transport::clone::CloneError;
use crate::transport::remote::RemoteError;
use crate::transport::url::UrlError;

use crate::workspace::message::in_words;

/// What can go wrong with a whole command. What goes wrong with one session is in its report.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The clone.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The client's files.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The remote, where the command cannot do without it.
    #[error(transparent)]
    Remote(RemoteError),
    /// The remote's address.
    #[error("the remote's address is not usable")]
    Url(#[from] UrlError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of this program.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Another ccsync.
    #[error(transparent)]
    Lock(LockError),
    /// The clone of a project.
    #[error(transparent)]
    Clone(CloneError),
    /// A manifest that passed its checks contradicts the text it describes.
    #[error("session {session} in the store contradicts its manifest")]
    Inconsistent {
        /// Which session.
        session: SessionId,
    },
    /// A few bytes in the store stand for a great many here.
    #[error("session {session} in the store is refused")]
    Oversized {
        /// Which session.
        session: SessionId,
        /// Why.
        source: crate::rewrite::Oversized,
    },
    /// What is to be searched for cannot be.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// No session of this name is in the store.
    #[error("no session {session} in the store")]
    NoSuchSession {
        /// What was asked for.
        session: SessionId,
    },
    /// More than one session begins with what was asked for.
    #[error("more than one session begins with {session}")]
    AmbiguousName {
        /// What was asked for.
        session: SessionId,
    },
    /// No session of this name is on this machine.
    #[error("no session {session} on this machine")]
    NotHere {
        /// What was asked for.
        session: SessionId,
    },
    /// No session of this name is on this machine, in the store, or on the remote.
    #[error("no session {session}, neither here nor in the store")]
    Nowhere {
        /// What was asked for.
        session: SessionId,
    },
    /// A healed copy would be empty.
    #[error("session {session} has no whole record, so there is nothing to make a copy of")]
    NothingWhole {
        /// Which session.
        session: SessionId,
    },
    /// What was to be a note is none.
    #[error(transparent)]
    Note(#[from] crate::machine::notes::InvalidNote),
    /// There is nothing that a milestone could name.
    #[error("there is nothing in the store yet")]
    EmptyStore,
    /// The name is taken.
    #[error("there is a milestone `{name}` already")]
    MilestoneExists {
        /// The name.
        name: MilestoneName,
    },
    /// No milestone has this name.
    #[error("there is no milestone `{name}`")]
    NoSuchMilestone {
        /// What was asked for.
        name: MilestoneName,
    },
    /// No commit of the store's history has this id.
    #[error("no commit {commit} in the history of the store")]
    NoSuchCommit {
        /// What was asked for.
        commit: String,
    },
    /// More than one commit begins with what was asked for.
    #[error("more than one commit begins with {commit}")]
    AmbiguousCommit {
        /// What was asked for.
        commit: String,
    },
    /// The commit is there, the session not.
    #[error("session {session} was not in the store in commit {}", commit.short())]
    NotInCommit {
        /// Which session.
        session: SessionId,
        /// Which commit.
        commit: CommitId,
    },
    /// Before its first state.
    #[error("session {session} was stored for the first time at {}", crate::sys::clock::local(*earliest))]
    TooEarly {
        /// Which session.
        session: SessionId,
        /// When that was.
        earliest: DateTime<Utc>,
    },
    /// A session cannot be put back to an earlier state.
    #[error("session {session} cannot be put back: {reason}")]
    NotRestored {
        /// Which session.
        session: SessionId,
        /// Why.
        reason: String,
    },
    /// There is no configuration yet.
    #[error("this machine has not been set up")]
    NotSetUp,
    /// There is no configuration, but a store that is in use with another remote than the default one.
    #[error("the configuration `{}` is gone, but this machine has been set up: its store is `{}`", path.display(), store.display())]
    ConfigurationLost {
        /// Where the configuration was.
        path: PathBuf,
        /// The clone.
        store: PathBuf,
    },
    /// A machine was named that the store does not know, or by a name that several have.
    #[error("{} in the store called `{}`", match found { 0 => "there is no machine".to_owned(), n => format!("there are {n} machines") }, name.escape_debug())]
    NoSuchMachine {
        /// What was asked for.
        name: String,
        /// How many there are.
        found: usize,
    },
    /// The session was changed in this commit already, from another side; the next one adds to that. Never seen by a person.
    #[error("session {session} has to wait for the next commit")]
    ChangedAlready {
        /// Which session.
        session: SessionId,
    },
    /// Another machine has the name.
    #[error("there is a machine called `{}` already", name.escape_debug())]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Only a machine itself writes its file.
    #[error("`{}` is another machine, and only that machine can change its name", name.escape_debug())]
    NotThisMachine {
        /// Its name.
        name: String,
    },
    /// A machine does not forget itself.
    #[error("`{}` is this machine", name.escape_debug())]
    ThisMachine {
        /// Its name.
        name: String,
    },
    /// A machine that is to be forgotten may be at work.
    #[error("somebody may be at work on `{}`: it holds {locks} live lock{}", name.escape_debug(), if *locks == 1 { "" } else { "s" })]
    MachineAtWork {
        /// Its name.
        name: String,
        /// How many locks it holds.
        locks: usize,
    },
    /// Other machines were faster each time, and nobody holds the lock for longer than moments.
    #[error("the lock of session {session} was moved by others {attempts} times in a row")]
    Contended {
        /// Which session.
        session: SessionId,
        /// How often it was tried.
        attempts: u32,
    },
    /// The remote is another program's, which would not understand what this one writes there.
    #[error("{remote} holds a store of claude-session-sync, not one of ccsync")]
    ForeignStore {
        /// The remote, without secrets.
        remote: String,
    },
    /// Nothing can be imported from there.
    #[error("there is nothing to import")]
    Import(#[from] crate::import::source::SourceError),
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<RemoteError> for SyncError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Interrupted(e) => Self::Interrupted(e),
            error => Self::Remote(error),
        }
    }
}

impl From<LockError> for SyncError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Interrupted(e) => Self::Interrupted(e),
            error => Self::Lock(error),
        }
    }
}

impl From<CloneError> for SyncError {
    fn from(error: CloneError) -> Self {
        match error {
            CloneError::Interrupted(e) => Self::Interrupted(e),
            error => Self::Clone(error),
        }
    }
}

impl SyncError {
    /// Whether this machine's clone of the remote cannot be used as it is.
    pub(crate) fn is_damaged_store(&self) -> bool {
        match self {
            Self::Store(StoreError::Git(e)) => !is_of_the_system(e.message()),
            Self::Store(StoreError::Damaged { .. }) => true,
            Self::Store(StoreError::Io { source, .. }) => !matches!(
                source.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::PermissionDenied
            ),
            Self::Remote(e) => e.said().is_some_and(|said| {
                !is_of_the_system(said.as_str()) && says_store_is_damaged(said.as_str())
            }),
            _ => false,
        }
    }

    /// Whether it concerns one session only, so that the others can go on.
    pub(crate) fn is_about_one_session(&self) -> bool {
        match self {
            Self::Store(e) => e.is_about_one_session(),
            // A full disk is full for the others, too.
            Self::Session(SessionError::Path(e)) => !e.is_full(),
            Self::Session(_) | Self::Inconsistent { .. } | Self::Oversized { .. } => true,
            Self::NoSuchSession { .. } | Self::AmbiguousName { .. } | Self::NotRestored { .. } => {
                true
            }
            Self::Path(e) => !e.is_full(),
            _ => false,
        }
    }

    /// The whole chain of causes in one line.
    pub(crate) fn in_words(&self) -> String {
        in_words(self)
    }
}

/// Whether `git`, working in this machine's clone, complains of the clone itself. Only a hint depends on it.
fn says_store_is_damaged(words: &str) -> bool {
    let complaints = [
        "is corrupt",
        "bad object",
        "not a git repository",
        "unable to read",
        "missing object",
        "Could not read",
        "bad config",
        "inflate",
        "mmap failed",
    ];
    let of_the_remote = |line: &&str| {
        line.trim_start().starts_with("remote:")
            || line.contains("Could not read from remote repository")
    };
    words
        .lines()
        .filter(|line| !of_the_remote(line))
        .any(|line| complaints.iter().any(|c| line.contains(c)))
}

/// Whether git, in whatever form, complains of something that another clone would meet as well.
fn is_of_the_system(words: &str) -> bool {
    let complaints = [
        "No space left",
        "quota exceeded",
        "Permission denied",
        "Too many open files",
        "already locked",
        ".lock",
    ];
    complaints.iter().any(|complaint| words.contains(complaint))
}
