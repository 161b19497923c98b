//! `ccsync recover`: pushes the data that a crash left here and releases its locks.

use super::init;
use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};

/// After a crash: push the rest and release the locks
///
/// Every push does that, too. If another machine has taken over a session in the
/// meantime, the turns that only this machine has become a fork.
#[derive(Debug, clap::Args)]
#[command(alias = "update")]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &RecoverArgs, app: &mut App) -> Result<Exit, CliError> {
    init::ensure(app)?;
    let finished = crate::keeper::send::finish(&app.context()?, &Default::default())?;
    app.print_report("recover", &finished.report, args.json.json)
}
