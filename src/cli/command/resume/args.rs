//! Arguments of `ccsync resume`, and those that `ccsync start` shares with it.

use std::ffi::OsString;

use crate::domain::id::SessionId;

/// Continue a session, begun here or on another machine
///
/// Pulls, lets you choose, takes the session's lock, and runs the client in the session's directory. While it runs, its turns are backed up;
/// when it ends, they are pushed and the lock is given back. The exit code is the client's own.
#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// The session's id, or a beginning of it that only one has; without, choose from a list
    pub(super) session: Option<SessionId>,
    /// Take the newest
    #[arg(long, conflicts_with = "session")]
    pub(super) latest: bool,
    /// Only sessions last written by this machine (name or id)
    #[arg(long, value_name = "MACHINE")]
    pub(super) from: Option<String>,
    /// Also sessions that have not been active lately
    #[arg(long)]
    pub(super) all: bool,
    /// Only sessions whose project contains this text
    #[arg(long, value_name = "TEXT")]
    pub(super) project: Option<String>,
    /// Take the lock over from a machine that holds it
    #[arg(long)]
    pub(super) take_over: bool,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// How a session is run, whether it is continued or begun.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunArgs {
    /// Go on without a lock where the remote cannot be reached
    #[arg(long)]
    pub(in crate::cli) offline: bool,
    /// Arguments for the client
    #[arg(last = true, value_name = "CLIENT ARGS")]
    pub(in crate::cli) client: Vec<OsString>,
}
