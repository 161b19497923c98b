//! `ccsync completions`: a script for the shell.

use clap_complete::Shell;

use crate::cli::app::App;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(in crate::cli) fn run(
    args: &CompletionsArgs,
    mut command: clap::Command,
    app: &mut App,
) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "ccsync", &mut script);
    app.print_text(&script)?;
    Ok(Exit::Done)
}
