//! What the client leaves on disk: where sessions lie, which are running, what a transcript says of itself.
//!
//! Everything the program knows about Claude Code is here and in [`crate::rewrite`] (paths inside the text). Facts were observed with
//! client 2.1.329 on Linux. Must not know the store, and never writes to a running session's files.
//!
//! * [`files`]: which files a session has, and where they lie; [`discover`]: every session of this machine
//! * [`live`]: sessions of running clients
//! * [`launch`]: how the client is started
//! * [`facts`]: project, titles and times, read from records
//! * [`projects`]: the directories that the client has worked in
//! * [`materialise`]: writing session files, with a journal that can undo it
//! * [`prose`]: what lies beside sessions: memory, the user's `CLAUDE.md`, settings
//! * [`repair`]: healing a damaged transcript
//! * [`turns`]: a transcript as a conversation; [`said`]: everything that a record says

pub mod discover;
pub mod extras;
pub mod facts;
pub mod files;
pub mod launch;
pub mod live;
pub mod materialise;
pub mod projects;
pub mod repair;
pub mod said;
pub mod turns;

use std::path::PathBuf;

use crate::domain::id::SessionId;
use crate::domain::path::RelativeName;
use crate::sys::fs::PathError;

/// What can go wrong with the client's files.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The file system refused.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The journal of a pull cannot be read.
    #[error("the journal `{}` of an earlier pull cannot be read", path.display())]
    Journal {
        /// Which journal.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The session is in use by a running client.
    #[error("session {session} is running here (process {pid})")]
    Running {
        /// Which session.
        session: SessionId,
        /// The client's process.
        pid: u32,
    },
    /// Something on the way to a file is a link.
    #[error("`{}` is a link, and links are not followed", path.display())]
    Link {
        /// What is a link.
        path: PathBuf,
    },
    /// A file of the store for which there is no place here.
    #[error("`{name}` is no file that this ccsync knows")]
    NoPlace {
        /// Its name in the session.
        name: RelativeName,
    },
    /// The file is no longer what the plan was made for.
    #[error("`{}` changed while it was being brought up to date", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
    },
}
