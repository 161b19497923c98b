//! Arguments of `ccsync resume`, and those that `ccsync start` shares with it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};

use crate::cli::complete;
use crate::domain::SessionId;

/// Continue a session, started here or on another machine
///
/// Pulls, lets you choose a session, takes its lock, and runs Claude Code in its
/// directory. While Claude Code runs, new turns are backed up. When it ends, they are
/// pushed and the lock is released. The exit code is that of Claude Code.
#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// Session id or unique prefix [default: choose from a list]
    #[arg(add = complete::session())]
    pub(super) session: Option<SessionId>,
    /// Continue the most recent session
    #[arg(long, conflicts_with = "session")]
    pub(super) latest: bool,
    /// Only sessions last written by this machine
    #[arg(long, value_name = "MACHINE", add = complete::machine())]
    pub(super) from: Option<String>,
    /// Only sessions whose project path contains this text
    #[arg(long, value_name = "TEXT")]
    pub(super) project: Option<String>,
    /// Run Claude Code in this directory, not in that of the session
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) directory: Option<PathBuf>,
    /// If the directory of the session is missing
    #[arg(long, value_enum, value_name = "ACTION", conflicts_with = "directory")]
    pub(super) missing: Option<MissingDirectory>,
    /// Take the lock over if another machine holds it
    #[arg(long)]
    pub(super) take_over: bool,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

/// How a session continues whose directory is not on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MissingDirectory {
    /// Create it
    Create,
    /// Clone its repository
    Clone,
    /// Continue in the nearest existing directory above it
    Nearest,
}

/// How Claude Code is run, for a session that is continued or new.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunArgs {
    /// Contact no remote; continue without a lock
    #[arg(long)]
    pub(in crate::cli) offline: bool,
    /// Arguments for Claude Code
    #[arg(last = true, value_name = "CLAUDE ARGS")]
    pub(in crate::cli) client: Vec<OsString>,
}
