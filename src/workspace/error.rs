//! The error of a whole command. A report has the problems of single sessions.
//!
//! Must not name the errors of the folders above: they come in as
//! [`SyncError::Operation`].

use crate::config::ConfigError;
use crate::domain::{ErrorKind, UserError, url::UrlError};
use crate::localize::StoredDataError;
use crate::session::SessionError;
use crate::store::{MirrorError, StoreError};
use crate::sys::{Interrupted, fs::PathError, process_lock::LockError};
use crate::transport::{RemoteError, clone::CloneError};
use crate::workspace::{lookup::LookupError, store_key::KeyError};

/// Error: a command failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Claude Code's files.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The remote, if the command needs it.
    #[error(transparent)]
    Remote(RemoteError),
    /// The remote's URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of this program.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The lock between processes.
    #[error(transparent)]
    Lock(LockError),
    /// The key of an encrypted store.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A session's data in the store.
    #[error(transparent)]
    StoredData(StoredDataError),
    /// The name of a session or machine.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// An error of one kind of command.
    #[error(transparent)]
    Operation(Box<dyn UserError>),
}

impl SyncError {
    fn cause(&self) -> &dyn UserError {
        match self {
            Self::Store(e) => e,
            Self::Session(e) => e,
            Self::Remote(e) => e,
            Self::Url(e) => e,
            Self::Config(e) => e,
            Self::Path(e) => e,
            Self::Lock(e) => e,
            Self::Key(e) => e,
            Self::StoredData(e) => e,
            Self::Lookup(e) => e,
            Self::Interrupted(e) => e,
            Self::Operation(e) => &**e,
        }
    }
}

impl UserError for SyncError {
    fn kind(&self) -> ErrorKind {
        self.cause().kind()
    }

    fn hints(&self) -> Vec<String> {
        self.cause().hints()
    }

    fn needs_history_choice(&self) -> bool {
        self.cause().needs_history_choice()
    }

    fn is_about_one_session(&self) -> bool {
        self.cause().is_about_one_session()
    }
}

impl From<RemoteError> for SyncError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Interrupted(e) => Self::Interrupted(e),
            RemoteError::Data(e) => Self::Operation(e),
            error => Self::Remote(error),
        }
    }
}

impl From<MirrorError> for SyncError {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::Store(e) => Self::Store(e),
            MirrorError::Interrupted(e) => Self::Interrupted(e),
            error => Self::Operation(Box::new(error)),
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
            error => Self::Operation(Box::new(error)),
        }
    }
}

impl From<StoredDataError> for SyncError {
    fn from(error: StoredDataError) -> Self {
        match error {
            StoredDataError::Store(e) => Self::Store(e),
            StoredDataError::Session(e) => Self::Session(e),
            StoredDataError::Path(e) => Self::Path(e),
            StoredDataError::Interrupted(e) => Self::Interrupted(e),
            error => Self::StoredData(error),
        }
    }
}
