//! `ccsync update`: after a crash, brings to the remote what was left here, and gives its locks back.

use super::init;
use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Push, then give back the locks that a crash left on this machine
///
/// Every push does that too. Where another machine has taken a session over in the meantime, the turns of this one become a session of
/// their own, here as well.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    init::ensure(app)?;
    let finished = crate::handoff::resume::finish(&app.context()?, &Default::default())?;
    app.print_report("update", &finished.report, args.json.json)
}
