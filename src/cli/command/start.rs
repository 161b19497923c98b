//! `ccsync start`: starts a new session with a lock and backups.

use clap::ValueHint;
use std::path::PathBuf;

use super::resume::{ResumeError, RunArgs, begin, run_client, take_if_reachable};
use crate::cli::{app::App, app::current_dir, error::CliError, exit::Exit};
use crate::domain::SessionId;
use crate::session::{launch::Conversation, launch::Launch};
use crate::sys::fs::is_dir_in_time;
use crate::workspace::exclusion::directory_exclude_reason;

/// Start a new session, with a lock and backups
///
/// Runs Claude Code in DIRECTORY. While it runs, new turns are backed up. When it ends,
/// they are pushed and the lock is released. The exit code is that of Claude Code.
#[derive(Debug, clap::Args)]
pub(crate) struct StartArgs {
    /// Directory to run Claude Code in [default: the current directory]
    #[arg(value_hint = ValueHint::DirPath)]
    directory: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

pub(in crate::cli) fn run(args: &StartArgs, app: &mut App) -> Result<Exit, CliError> {
    begin(&args.run, app)?;
    let current = current_dir()?;
    let directory = args
        .directory
        .as_ref()
        .map_or_else(|| current.clone(), |below| current.join(below));
    if !is_dir_in_time(&directory) {
        return Err(ResumeError::NoDirectory(directory).into());
    }
    if let Some(why) = directory_exclude_reason(&app.context()?, &directory) {
        return Err(ResumeError::ExcludedDirectory { directory, why }.into());
    }
    // The id is chosen here, so that the lock exists before the first turn.
    let session: SessionId = uuid::Uuid::new_v4()
        .to_string()
        .parse()
        .map_err(CliError::internal)?;
    let locked = take_if_reachable(&session, args.run.offline, app)?;
    let conversation = Conversation::New(&session);
    let launch = Launch {
        conversation,
        directory: &directory,
        path_notice: None,
        args: &args.run.client,
    };
    run_client(&launch, &session, locked, app)
}
