//! Puts the pieces in order: plan, then push or pull, then report.
//!
//! Owns the two data flows of the program. Must not print, prompt or read the environment: settings arrive as arguments,
//! progress leaves through [`crate::domain::progress::Progress`].
//!
//! * `push`, `pull`: the two directions; `plan` decides for both; [`choice`]: which sessions travel at all
//! * `compare`, `views`: whether a local file is a stored one, and how a stored line reads here
//! * `storing`: one session upward; `ground`: with which roots; `collect`: collapse, prove, cut
//! * `writing`: one session downward; `parallel`: many at once
//! * `merge`, `fork`: two histories of one session
//! * `send`: the remote; [`locks`]: who holds which session; `leases`: this machine's locks in a push
//! * `prose`: what lies beside sessions: memory, the user's `CLAUDE.md`, settings
//! * `resume`: continuing a session under its lock; `told`: what the model is told when it moved
//! * `index`: the cache that makes all this cheap; `gone`: what was removed here; `leftovers`: what a killed ccsync left; `by_session`: a small
//!   file about sessions
//! * `verify`: whether all places agree; `repair`: a healed copy of what is damaged
//! * `clones`: the clones of projects on this machine; `repo`: which of them `{{REPO}}` of a session is
//! * `project`: where a session's project is, and from where it could be cloned
//! * `notes`: what a person leaves for the other machines
//! * `history`: what happened to the store; `restore`: earlier states of sessions; `milestones`: names for states; `held`: what stays put back
//! * [`doctor`]: everything that this program needs
//! * [`mod@import`]: what another program has stored
//! * `search`, `show`: what was said, found and shown without a lock; `stored`: the store, opened for that
//! * `set_up`, `learn`, `set_path`, `machines`: this machine, what it takes over from the others, and all of them
//! * `status`, `list`, `undo`: the smaller commands; `look`: the end of a conversation; `named`: sessions as people name them

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::config::{ConfigError, Settings};
use crate::domain::id::{CommitId, SessionId};
use crate::domain::progress::Progress;
use crate::session::SessionError;
use crate::store::StoreError;
use crate::store::milestone::MilestoneName;
use crate::sys::clock::Clock;
use crate::sys::env::Env;
use crate::sys::fs::PathError;
use crate::sys::lock::LockError;
use crate::transport::clone::CloneError;
use crate::transport::remote::RemoteError;
use crate::transport::url::UrlError;

mod by_session;
pub mod choice;
mod clones;
mod collect;
mod compare;
pub mod doctor;
mod fork;
mod gone;
mod ground;
mod held;
mod history;
pub mod import;
mod index;
mod learn;
mod leases;
mod leftovers;
mod list;
pub mod locks;
mod look;
mod machines;
mod merge;
mod milestones;
mod named;
mod notes;
mod parallel;
mod place;
mod plan;
mod project;
mod prose;
mod pull;
mod push;
mod repair;
mod repo;
pub mod report;
mod restore;
mod resume;
mod search;
mod send;
mod set_path;
mod set_up;
mod show;
mod since;
mod status;
mod stored;
mod storing;
mod text;
mod told;
pub mod verification;
mod verify;
mod views;
mod work;
mod writing;

pub use history::{Change, LogEntry, LogRequest, SessionChange, log};
pub use import::{ImportReport, import};
pub use learn::ForeignPlaceholder;
pub use list::{ListFilter, SessionRow, list};
pub use look::last_turns;
pub use machines::{
    Forgotten, MachineRow, Machines, forget_machine, machine_to_forget, machines, rename_machine,
};
pub use milestones::{MadeMilestone, MilestoneRow, make_milestone, milestones};
pub use notes::{InvalidNote, KeptNote, LeftNote, leave_note, mark_as_shown, notes};
pub use project::{
    MissingProject, ProjectHere, ProposedClone, UnmappedRoot, clone_project, identity_at,
    project_here,
};
pub use prose::{Decided, Proposal, apply, proposals};
pub use pull::{PullRequest, UndoReport, pull, undo};
pub use push::{push, push_selected};
pub use repair::{FileFindings, HealedCopy, RepairReport, RepairRequest, repair};
pub use restore::{
    RestoreReport, RestoreRequest, RestoreWhat, RestoredSession, SkippedSession, restore,
};
pub use resume::{Candidate, Candidates, Finished, back_up, candidates, finish};
pub use search::{Case, PatternError, SearchReport, SearchRequest, Unreadable, search};
pub use set_path::{set_path, set_paths_here};
pub use set_up::{SetUp, SetUpReport, config_path, set_up, set_up_by_default};
pub use show::{Shown, ShownSession, Source, show};
pub use since::stored_before;
pub use status::{Status, status};
pub use told::what_to_tell;
pub use verify::{VerifyRequest, verify};

/// How long to wait for another ccsync on this machine.
pub const LOCK_WAIT: Duration = Duration::from_secs(120);

/// Everything a command works with.
pub struct Context<'a> {
    /// The surroundings, read once at start.
    pub env: &'a Env,
    /// This machine's settings.
    pub settings: Settings,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Where progress goes.
    pub progress: Arc<dyn Progress + Send + Sync>,
    /// Whether a person is there to answer git's questions.
    pub interactive: bool,
}

impl Context<'_> {
    /// The same with other settings.
    fn with_settings(&self, settings: Settings) -> Self {
        let progress = Arc::clone(&self.progress);
        Self {
            env: self.env,
            settings,
            clock: self.clock,
            progress,
            interactive: self.interactive,
        }
    }
}

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
    Remote(#[from] RemoteError),
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
    Lock(#[from] LockError),
    /// The clone of a project.
    #[error(transparent)]
    Clone(#[from] CloneError),
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
    Note(#[from] notes::InvalidNote),
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
    Import(#[from] import::SourceError),
    /// The user interrupted; everything done so far is complete.
    #[error("interrupted")]
    Interrupted,
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
    fn is_about_one_session(&self) -> bool {
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
    fn in_words(&self) -> String {
        in_words(self)
    }
}

/// An error with the whole chain of its causes in one line.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.ends_with(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
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

/// Where this machine's clone lies.
pub fn store_path(env: &Env) -> PathBuf {
    env.dirs.data.join("store")
}

/// Where a damaged file or directory may be moved to.
pub(crate) fn damaged_names(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let path = path.to_owned();
    let numbers = std::iter::once(String::new()).chain((2..100).map(|n| format!("-{n}")));
    numbers.map(move |number| path.with_file_name(format!("{name}.damaged{number}")))
}

/// Where the bare repository lies that serves as remote until the user names one.
pub fn embedded_remote_path(env: &Env) -> PathBuf {
    env.dirs.data.join("remote.git")
}
