//! `ccsync man`: prints a manual page.

use crate::cli::{app::App, error::CliError, exit::Exit, man_page::ManPage};

/// Print a manual page
///
/// `ccsync install-docs` installs the pages of all commands.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The command [default: ccsync itself]
    #[arg(value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<String>,
}

/// Prints the page of a command that `command_line` has.
pub(in crate::cli) fn run(
    args: &ManArgs,
    command_line: clap::Command,
    app: &mut App,
) -> Result<Exit, CliError> {
    let page = ManPage::find(command_line, &args.command);
    app.print_text(&page.expect("the parser has found the command").roff)?;
    Ok(Exit::Done)
}
