//! `ccsync push`: stores new data of this machine and pushes it to the remote.

use super::init;
use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::domain::ProjectPattern;
use crate::workspace::Selection;
use clap::ValueHint;

/// Send this machine's sessions to the remote
///
/// On a machine that is not set up, first sets it up without a remote, like `ccsync
/// init`: the sessions are kept in a repository on this disk until `ccsync init` adds a
/// remote.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Only sessions of these projects: a directory, a git remote, or the name of a
    /// directory
    #[arg(long, value_name = "PATTERN", value_hint = ValueHint::DirPath)]
    project: Vec<ProjectPattern>,
    /// Only sessions that were active in the last N days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// Also send what was removed from the history of the remote
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &PushArgs, app: &mut App) -> Result<Exit, CliError> {
    if !args.dry_run {
        init::ensure(app)?;
    }
    let selection = Selection {
        projects: args.project.clone(),
        days: args.days,
        again: args.again,
    };
    let report = crate::flows::push::push(&app.context()?, &selection, args.dry_run)?;
    app.print_report("push", &report, args.json.json)
}
