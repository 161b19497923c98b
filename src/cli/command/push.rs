//! `ccsync push`: what is new on this machine goes to the store and to the remote.

use super::init;
use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::sync;

/// Send this machine's sessions to the remote
///
/// On a machine that was never set up, `push` first does what `init` does without a remote: it keeps the sessions in a
/// repository on this disk, until `ccsync init --remote` names a better place.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show what would be done, and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    if !args.dry_run {
        init::ensure(app)?;
    }
    let report = sync::push(&app.context()?, args.dry_run)?;
    app.print_report("push", &report, args.json.json)
}
