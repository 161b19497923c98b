//! `ccsync start`: a new session, locked and backed up from its beginning.

use std::path::PathBuf;

use super::resume::error::ResumeError;
use super::resume::run::client;
use super::resume::{RunArgs, begin, lease};
use crate::cli::app::App;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::id::SessionId;
use crate::session::launch::{Conversation, Launch};
use crate::workspace::filter::directory_left_out;

/// Begin a new session, as `claude` does, under a lock and with backups
///
/// Runs the client in DIR. While it runs, its turns are backed up; when it ends, they are pushed and the lock is given back. The exit code is the
/// client's own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to run the client [default: the current directory]
    directory: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    begin(&args.run.client, app)?;
    let current = std::env::current_dir().map_err(CliError::current_dir)?;
    let directory = args
        .directory
        .as_ref()
        .map_or_else(|| current.clone(), |below| current.join(below));
    if !directory.is_dir() {
        return Err(ResumeError::NoDirectory(directory).into());
    }
    if let Some(why) = directory_left_out(&app.context()?, &directory) {
        return Err(ResumeError::DirectoryLeftOut { directory, why }.into());
    }
    // The client takes an id that was chosen for it, so that the lock is there before the first turn.
    let session: SessionId = uuid::Uuid::new_v4()
        .to_string()
        .parse()
        .map_err(CliError::internal)?;
    let locked = lease::take_or_go_on_alone(&session, args.run.offline, app)?;
    let conversation = Conversation::New(&session);
    let launch = Launch {
        conversation,
        directory: &directory,
        note: None,
        args: &args.run.client,
    };
    client(&launch, &session, locked, app)
}
