//! `ccsync key`: the key of an encrypted store, on this machine.

mod args;
mod check;
mod passphrase;
mod print;
mod rotate;

use super::super::{app::App, error::CliError, exit::Exit};
use args::KeyAction;
use print::KeyForm;

pub(crate) use args::KeyArgs;
pub(in crate::cli) use rotate::show as show_rotation;

pub(in crate::cli) fn run(args: &KeyArgs, app: &mut App) -> Result<Exit, CliError> {
    match &args.action {
        KeyAction::Check { offline, json } => check::run(*offline, json.json, app),
        KeyAction::Words(args) => print::run(KeyForm::Words, args, app),
        KeyAction::Show(args) => print::run(KeyForm::Digits, args, app),
        KeyAction::Passphrase { remove, json } => passphrase::run(*remove, json.json, app),
        KeyAction::Rotate { yes, json } => rotate::run(*yes, json.json, app),
    }
}
