//! `ccsync completions`: prints the script that connects a shell with the completion.

use clap_complete::Shell;

use crate::cli::{app::App, error::CliError, exit::Exit, shell::registration};

/// Print the completion script of a shell
///
/// `ccsync install-docs` puts it where the shell finds it. The script asks ccsync for the
/// completions, so it stays valid when ccsync is updated.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(in crate::cli) fn run(args: &CompletionsArgs, app: &mut App) -> Result<Exit, CliError> {
    app.print_text(&registration(args.shell))?;
    Ok(Exit::Done)
}
