//! `ccsync pull`: what is new on the remote comes to the store, and to where the client looks for it.

use super::init;
use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::id::SessionId;
use crate::flows::pull::PullRequest;

/// Bring sessions from the remote to this machine
///
/// Without a SESSION, brings those that changed on the remote and are recent. What is replaced here is kept first:
/// `ccsync undo` puts it back. A session that is running here is never written to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Bring these sessions, however old they are; the beginning of an id is enough where only one has it
    #[arg(value_name = "SESSION")]
    sessions: Vec<SessionId>,
    /// Show what would be done, and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Write these sessions anew, even where they agree with the stored ones; what is replaced is kept for `ccsync undo`
    #[arg(long, requires = "sessions")]
    force: bool,
    /// Bring sessions that were active in the last N days, instead of the configured number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    init::notice_copy(app);
    let request = PullRequest {
        sessions: args.sessions.clone(),
        dry_run: args.dry_run,
        force: args.force,
        days: args.days,
        ..PullRequest::default()
    };
    let report = crate::flows::pull::pull(&app.context()?, &request)?;
    app.print_report("pull", &report, args.json.json)
}
