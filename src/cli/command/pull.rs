//! `ccsync pull`: fetches, and writes sessions to where Claude Code looks for them.

use super::init;
use crate::cli::{app::App, args::JsonFlag, complete, error::CliError, exit::Exit};
use crate::domain::SessionId;
use crate::flows::PullRequest;

/// Get sessions from the remote
///
/// Without SESSION, gets recent sessions that changed on the remote. What is replaced
/// here is kept, and `ccsync undo` restores it. A session that is open in Claude Code is
/// never changed.
///
/// Sessions that were deleted from this machine, by you or by Claude Code's clean-up, are
/// counted and stay in the store until you ask for them.
#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    /// Only these sessions, however old: ids or unique prefixes
    #[arg(value_name = "SESSION", add = complete::session())]
    sessions: Vec<SessionId>,
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Write these sessions again, even if they are up to date
    #[arg(long, requires = "sessions")]
    force: bool,
    /// Get sessions that were active in the last N days, also those that were deleted from
    /// this machine [default: setting pull_max_age]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// Get everything: old sessions, and those that were deleted from this machine
    #[arg(long, conflicts_with_all = ["sessions", "days"])]
    all: bool,
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &PullArgs, app: &mut App) -> Result<Exit, CliError> {
    init::notice_copy(app);
    let request = PullRequest {
        sessions: args.sessions.clone(),
        dry_run: args.dry_run,
        force: args.force,
        all: args.all,
        days: args.days,
        ..PullRequest::default()
    };
    let report = crate::flows::pull::pull(&app.context()?, &request)?;
    app.print_report("pull", &report, args.json.json)
}
