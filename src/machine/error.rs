//! Errors of renaming and forgetting machines.

use crate::domain::{ErrorKind, UserError, shell::shell_word};
use crate::workspace::SyncError;

/// Error: a machine was not renamed or not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// Another machine has the name.
    #[error("machine `{name}` already exists")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Only a machine itself writes its record.
    #[error("cannot rename machine `{name}`: only that machine can")]
    NotThisMachine {
        /// Its name.
        name: String,
    },
    /// A machine does not forget itself.
    #[error("cannot forget machine `{name}`: it is this machine")]
    ThisMachine {
        /// Its name.
        name: String,
    },
    /// The machine holds locks that have not expired.
    #[error("machine `{name}` holds {locks} live lock{}", if *locks == 1 { "" } else { "s" })]
    Busy {
        /// Its name.
        name: String,
        /// Their number.
        locks: usize,
    },
}

impl UserError for MachineError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy { .. } => ErrorKind::Locked,
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NameTaken { .. } => {
                vec!["list the names in use with `ccsync machine list`".to_owned()]
            }
            Self::NotThisMachine { .. } => {
                vec!["on that machine, run `ccsync machine rename NAME`".to_owned()]
            }
            Self::ThisMachine { .. } => {
                vec!["on another machine, run `ccsync machine forget NAME`".to_owned()]
            }
            Self::Busy { name, .. } => vec![
                "list its sessions with `ccsync lock show`".to_owned(),
                format!(
                    "if none is in use, run `ccsync machine forget {} --force`",
                    shell_word(name.as_ref())
                ),
            ],
        }
    }
}

impl From<MachineError> for SyncError {
    fn from(error: MachineError) -> Self {
        Self::Operation(Box::new(error))
    }
}
