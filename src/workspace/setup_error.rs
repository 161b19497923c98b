//! Errors of the set-up of this machine.

use std::path::PathBuf;

use crate::domain::{UPDATE_CCSYNC, UserError, shell::shell_word};
use crate::sys::set_aside::move_aside_command;
use crate::workspace::error::SyncError;

/// The newest format of the state files `deleted.json` and `pinned.json`.
pub(crate) const STATE_FORMAT: u32 = 1;

/// Why this machine or its remote cannot be used as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no configuration yet.
    #[error("this machine is not set up")]
    NotSetUp,
    /// The configuration is missing, but there is a store with another remote than the
    /// default one.
    #[error("the configuration `{}` is missing, but this machine has a store: `{}`", path.display(), store.display())]
    ConfigLost {
        /// Path of the missing configuration.
        path: PathBuf,
        /// The store.
        store: PathBuf,
        /// The remote that it had, without secrets, if that is known.
        remote: Option<String>,
    },
    /// `ccsync init` was run, and failed.
    #[error("the set-up of this machine is not finished{}", with_remote(.remote.as_deref()))]
    Unfinished {
        /// The remote that was given, without secrets.
        remote: Option<String>,
    },
    /// A newer ccsync wrote a state file that is not a cache.
    #[error("`{}` has format {found}; this ccsync reads up to {STATE_FORMAT}", path.display())]
    NewerState {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// The remote is used for something else, such as a project.
    #[error("{remote} holds something else: {evidence}")]
    OccupiedRemote {
        /// The remote, without secrets.
        remote: String,
        /// An entry or branch that shows it. Untrusted text.
        evidence: String,
    },
    /// The store is encrypted, and the user wants a plain one.
    #[error("the store is encrypted, and stays so")]
    EncryptedStore,
    /// The store on the remote is plain, and the user wants an encrypted one.
    #[error("the store on the remote is not encrypted")]
    PlainStore,
    /// The remote holds the store of another program, which could not read ccsync's data.
    #[error("{remote} holds a store of claude-session-sync, not of ccsync")]
    ForeignStore {
        /// The remote, without secrets.
        remote: String,
    },
}

fn with_remote(remote: Option<&str>) -> String {
    remote
        .map(|remote| format!(": its remote is to be {remote}"))
        .unwrap_or_default()
}

impl UserError for SetupError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotSetUp => vec!["set it up with `ccsync init`".to_owned()],
            Self::ConfigLost { remote: None, .. } => {
                vec!["give the remote it had with `ccsync init --remote URL`".to_owned()]
            }
            Self::ConfigLost {
                remote: Some(remote),
                ..
            } => vec![format!(
                "give the remote it had with `ccsync init --remote {}`",
                shell_word(remote.as_ref())
            )],
            Self::Unfinished { .. } => vec![
                "repeat `ccsync init`; what you gave is kept".to_owned(),
                "or give another remote with `ccsync init --remote URL`".to_owned(),
            ],
            Self::NewerState { path, .. } => vec![
                UPDATE_CCSYNC.to_owned(),
                format!(
                    "or move the file away with `{}`: a pull then writes its sessions again",
                    move_aside_command(path)
                ),
            ],
            Self::OccupiedRemote { .. } => vec![
                "create an empty private repository for your sessions, then run `ccsync init --remote URL`"
                    .to_owned(),
                "or let ccsync create one on GitHub: `ccsync init --github`".to_owned(),
            ],
            Self::EncryptedStore => vec!["run it without `--no-encrypt`: `ccsync init`".to_owned()],
            Self::PlainStore => vec![
                "encrypt it with `ccsync encrypt` on a machine that uses it".to_owned(),
                "or begin a new one in an empty repository: `ccsync init --remote URL --encrypt`"
                    .to_owned(),
            ],
            Self::ForeignStore { remote } => vec![
                format!(
                    "import it, which changes nothing in it, with `ccsync import {}`",
                    shell_word(remote.as_ref())
                ),
                "give ccsync a remote of its own with `ccsync init --remote URL`".to_owned(),
            ],
        }
    }
}

impl From<SetupError> for SyncError {
    fn from(error: SetupError) -> Self {
        Self::Operation(Box::new(error))
    }
}
