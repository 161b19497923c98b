//! The error of reading and writing the client's files.

use std::path::PathBuf;

use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::sys::fs::PathError;

/// An error about the client's files.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The file system refused an operation.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The journal of a pull cannot be read.
    #[error("the journal `{}` of an earlier pull cannot be read", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The reason.
        source: serde_json::Error,
    },
    /// The session is in use by a running client.
    #[error("session {session} is running here (process {pid})")]
    Running {
        /// The session.
        session: SessionId,
        /// The client's process.
        pid: u32,
    },
    /// The path of a file contains a link.
    #[error("`{}` is a link, and links are not followed", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A file of the store that this ccsync does not know.
    #[error("`{name}` is no file that this ccsync knows")]
    NoPlace {
        /// Its name in the session.
        name: RelativeName,
    },
    /// The file changed after the plan was made.
    #[error("`{}` changed while it was being brought up to date", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}
