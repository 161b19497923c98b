//! The error of reading and writing the client's files.

use super::live::ClientProcess;
use std::path::PathBuf;

use crate::domain::{
    InvalidData, RelativeName, SessionId, UPDATE_CCSYNC, UserError, shell::shell_word,
};
use crate::sys::fs::PathError;

/// An error about the client's files.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The file system refused an operation.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The journal of a pull cannot be read.
    #[error("cannot read journal `{}` of an earlier pull", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The reason.
        source: InvalidData,
    },
    /// The session is in use by a running client.
    #[error("session {session} is running on this machine ({client})")]
    Running {
        /// The session.
        session: SessionId,
        /// The client's process.
        client: ClientProcess,
    },
    /// The path of a file contains a link.
    #[error("cannot follow `{}`: it is a link", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A file of the store that this ccsync does not know.
    #[error("unknown session file `{name}`")]
    NoPlace {
        /// Its name in the session.
        name: RelativeName,
    },
    /// The file changed after the plan was made.
    #[error("`{}` changed while ccsync was writing it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl UserError for SessionError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Path(e) => return e.hints(),
            Self::Journal { path, .. } => format!(
                "restore by hand: the replaced files are in {}",
                shell_word(path.parent().unwrap_or(path))
            ),
            Self::Running { .. } => "exit Claude Code, then run the command again".to_owned(),
            Self::Link { .. } => {
                "replace the link by its target, then run the command again".to_owned()
            }
            Self::Changed { .. } => "run the command again".to_owned(),
            Self::NoPlace { .. } => UPDATE_CCSYNC.to_owned(),
        };
        vec![hint]
    }

    fn is_about_one_session(&self) -> bool {
        match self {
            Self::Path(e) => e.is_about_one_session(),
            _ => true,
        }
    }
}
