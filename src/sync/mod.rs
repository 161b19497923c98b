//! Puts the pieces in order: plan, then push or pull, then report.
//!
//! Owns the two data flows of the program. Must not print, prompt or read the environment: settings arrive as arguments,
//! progress leaves through [`crate::domain::progress::Progress`].
//!
//! * `push`, `pull`: the two directions; `plan` decides for both
//! * `compare`, `views`: whether a local file is a stored one, and how a stored line reads here
//! * `storing`: one session upward; `collect`: collapse, prove, cut
//! * `writing`: one session downward
//! * `merge`, `fork`: two histories of one session
//! * `send`: the remote
//! * `index`: the cache that makes all this cheap; `leftovers`: what a killed ccsync left
//! * `set_up`, `status`, `list`, `undo`: the smaller commands

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{ConfigError, Settings};
use crate::domain::id::SessionId;
use crate::domain::progress::Progress;
use crate::session::SessionError;
use crate::store::StoreError;
use crate::sys::clock::Clock;
use crate::sys::env::Env;
use crate::sys::fs::PathError;
use crate::sys::lock::LockError;
use crate::transport::remote::RemoteError;
use crate::transport::url::UrlError;

mod collect;
mod compare;
mod fork;
mod index;
mod leftovers;
mod list;
mod merge;
mod place;
mod plan;
mod pull;
mod push;
pub mod report;
mod send;
mod set_up;
mod status;
mod storing;
mod text;
mod views;
mod work;
mod writing;

pub use list::{ListFilter, SessionRow, list};
pub use pull::{PullRequest, UndoReport, pull, undo};
pub use push::push;
pub use set_up::{SetUp, SetUpReport, config_path, set_path, set_up};
pub use status::{Status, status};

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
    /// A manifest that passed its checks contradicts the text it describes.
    #[error("session {session} in the store contradicts its manifest")]
    Inconsistent {
        /// Which session.
        session: SessionId,
    },
    /// No session of this name is in the store.
    #[error("no session {session} in the store")]
    NoSuchSession {
        /// What was asked for.
        session: SessionId,
    },
    /// More than one session begins with what was asked for.
    #[error("more than one session in the store begins with {session}")]
    AmbiguousSession {
        /// What was asked for.
        session: SessionId,
    },
    /// There is no configuration yet.
    #[error("this machine has not been set up")]
    NotSetUp,
    /// A machine was named that the store does not know, or by a name that several have.
    #[error("{found} machines in the store are called `{}`", name.escape_debug())]
    NoSuchMachine {
        /// What was asked for.
        name: String,
        /// How many there are.
        found: usize,
    },
    /// The user interrupted; everything done so far is complete.
    #[error("interrupted")]
    Interrupted,
}

impl SyncError {
    /// Whether it concerns one session only, so that the others can go on.
    fn is_about_one_session(&self) -> bool {
        match self {
            Self::Store(e) => e.is_about_one_session(),
            Self::Session(_) | Self::Inconsistent { .. } => true,
            Self::NoSuchSession { .. } | Self::AmbiguousSession { .. } => true,
            Self::Path(e) => !e.is_full(),
            _ => false,
        }
    }

    /// The whole chain of causes in one line.
    fn in_words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !words.ends_with(&text) {
                words = format!("{words}: {text}");
            }
            cause = error.source();
        }
        words
    }
}

/// Where this machine's clone lies.
pub fn store_path(env: &Env) -> PathBuf {
    env.dirs.data.join("store")
}

/// Where the bare repository lies that serves as remote until the user names one.
pub fn embedded_remote_path(env: &Env) -> PathBuf {
    env.dirs.data.join("remote.git")
}
