//! Arguments of `ccsync status`, and its run.

use super::{document::document, show};
use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::sys::Clock;

/// Show what is to be pushed or pulled (works offline)
///
/// Compares this machine with the store. What other machines did is known as of the last
/// fetch; the line `fetched` says when that was.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// Ask the remote first
    #[arg(long)]
    fetch: bool,
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &StatusArgs, app: &mut App) -> Result<Exit, CliError> {
    let status = crate::browse::status::status(&app.context()?, args.fetch)?;
    if args.json.json {
        app.print_json("status", &document(&status))?;
    } else {
        let lines = show::lines(&status, app.clock.now(), app.out.width());
        app.print(&lines)?;
    }
    Ok(match status.unreached {
        None => Exit::Done,
        Some(_) => Exit::Failed,
    })
}
