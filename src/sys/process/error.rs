//! The error of running a program.

use std::io;
use std::time::Duration;

use crate::domain::{ErrorKind, UserError};
use crate::sys::signal::Interrupted;

/// The reason why a program gave no output.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("no program `{program}` on the PATH")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// The system refused to start it, or the connection to it broke.
    #[error("cannot run `{program}`")]
    Failed {
        /// Its name.
        program: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It was stopped because it wrote nothing for too long.
    #[error("`{program}` was stopped after {} seconds without output", after.as_secs())]
    Silent {
        /// Its name.
        program: String,
        /// How long it was silent.
        after: Duration,
        /// Its standard error so far.
        stderr: String,
    },
    /// It was stopped by an interruption.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl UserError for ProcessError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Interrupted(e) => e.kind(),
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotFound { program } => {
                vec![format!("install it so that `{program} --version` works")]
            }
            Self::Failed { program, .. } | Self::Silent { program, .. } => {
                vec![format!("check it with `{program} --version`")]
            }
            Self::Interrupted(e) => e.hints(),
        }
    }
}
