//! The last question of `init`: whether to sync by itself.

use super::args::InitArgs;
use crate::cli::command::auto;
use crate::cli::{app::App, error::CliError, error::CommandError};
use crate::session::auto::{HookPlace, auto_state};
use crate::ui::prompt;

/// Turns syncing by itself on, if the user wants it. Asks when this machine is set up for the
/// first time.
pub(super) fn offer(args: &InitArgs, first_time: bool, app: &mut App) -> Result<(), CliError> {
    let state = auto_state(&app.env)?;
    let may_ask = first_time && args.may_ask(app) && !args.no_auto && !state.is_on();
    if args.auto || may_ask && wants_auto()? {
        let present = state.installed.last().map(|hooks| hooks.place);
        auto::on(present.unwrap_or(HookPlace::Settings), false, app)?;
    }
    Ok(())
}

fn wants_auto() -> Result<bool, CliError> {
    let answer = prompt::confirm_or("Sync by itself from now on?", true);
    Ok(answer.map_err(CommandError::Terminal)? == Some(true))
}
