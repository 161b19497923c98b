//! `ccsync recover`: pushes the data that a crash left here and releases its locks.

use super::init;
use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::workspace::HistoryChoice;

/// After a crash: push the rest and release the locks
///
/// Every push does that, too. If another machine has taken over a session in the
/// meantime, the turns that only this machine has become a fork.
#[derive(Debug, clap::Args)]
#[command(alias = "update")]
pub(crate) struct RecoverArgs {
    /// Accept that another program has changed the history of the remote: what is missing there
    /// stays out
    #[arg(long, conflicts_with = "refill")]
    follow: bool,
    /// Send again what another program has removed from the history of the remote
    #[arg(long)]
    refill: bool,
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &RecoverArgs, app: &mut App) -> Result<Exit, CliError> {
    init::ensure(app)?;
    app.history_choice = match (args.follow, args.refill) {
        (true, _) => Some(HistoryChoice::Follow),
        (_, true) => Some(HistoryChoice::Refill),
        _ => None,
    };
    let mut warnings = Vec::new();
    if app.history_choice.is_some() {
        warnings = crate::flows::pull::fetch(&app.context()?)?;
    }
    let mut finished = crate::keeper::send::finish(&app.context()?, &Default::default())?;
    finished.report.warnings.splice(0..0, warnings);
    app.print_report("recover", &finished.report, args.json.json)
}
