//! `ccsync man`: the manual page.

use clap_mangen::Man;

use crate::cli::app::App;
use crate::cli::error::{CliError, CommandError};
use crate::cli::exit::Exit;

/// Print the manual page, with every command, in roff
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {}

pub(in crate::cli) fn run(
    _: &ManArgs,
    mut command: clap::Command,
    app: &mut App,
) -> Result<Exit, CliError> {
    command.build();
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(CommandError::Stdout)?;
    for subcommand in command.get_subcommands() {
        let man = Man::new(subcommand.clone());
        man.render_name_section(&mut page)
            .map_err(CommandError::Stdout)?;
        man.render_synopsis_section(&mut page)
            .map_err(CommandError::Stdout)?;
        man.render_description_section(&mut page)
            .map_err(CommandError::Stdout)?;
        man.render_options_section(&mut page)
            .map_err(CommandError::Stdout)?;
    }
    app.print_text(&page)?;
    Ok(Exit::Done)
}
