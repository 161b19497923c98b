//! Asks whether a placeholder may have a directory that does not exist.

use std::path::Path;

use super::{app::App, ask, error::CliError, error::CommandError};
use crate::sys::fs::is_dir_in_time;
use crate::ui::sanitize::one_line;

/// Names a missing directory, and lets the user confirm it: with `--yes`, or on the terminal.
///
/// # Errors
/// If the user declines, or there is no terminal to ask on.
pub(in crate::cli) fn confirm(directory: &Path, yes: bool, app: &mut App) -> Result<(), CliError> {
    if is_dir_in_time(directory) {
        return Ok(());
    }
    if !yes && !app.is_interactive() {
        return Err(CommandError::NoPlaceholderDirectory(directory.to_owned()).into());
    }

    if asked(directory, yes, app)? {
        return Ok(());
    }
    Err(CommandError::Declined("the placeholder was not changed".to_owned()).into())
}

/// Asks whether a missing directory is to be used, unless `yes`.
pub(in crate::cli) fn is_confirmed(directory: &Path, app: &mut App) -> Result<bool, CliError> {
    Ok(is_dir_in_time(directory) || asked(directory, false, app)?)
}

fn asked(directory: &Path, yes: bool, app: &mut App) -> Result<bool, CliError> {
    let path = directory.to_string_lossy();
    let missing = format!("no directory {} on this machine", one_line(&path));
    app.out.attention(&missing);
    Ok(yes || ask::confirm("Use it as the directory of the placeholder?")?)
}
