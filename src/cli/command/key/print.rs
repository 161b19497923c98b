//! `ccsync key show` and `ccsync key words`.

use zeroize::Zeroizing;

use super::args::PrintArgs;
use crate::cli::{app::App, ask, error::CliError, error::CommandError, exit::Exit};
use crate::encryption::StoreKey;
use crate::machine::store_key::key_of_store;

/// Form in which a key is printed.
#[derive(Clone, Copy)]
pub(super) enum KeyForm {
    Digits,
    Words,
}

/// Prints the key, after a confirmation.
pub(super) fn run(form: KeyForm, args: &PrintArgs, app: &mut App) -> Result<Exit, CliError> {
    let (_, found) = key_of_store(&app.context()?)?;
    if !args.yes {
        confirm(app)?;
    }
    let text = text(form, &found.key);
    app.out.data(&text).map_err(CommandError::Stdout)?;
    Ok(Exit::Done)
}

fn confirm(app: &App) -> Result<(), CliError> {
    if !app.is_interactive() || !app.env.stdout_is_terminal {
        return Err(CommandError::ConfirmationNeeded {
            action: "printing the key".to_owned(),
            flag: "--yes",
        }
        .into());
    }
    if ask::confirm("Show the key? With it, all sessions of the store can be read")? {
        return Ok(());
    }
    Err(CommandError::Declined("the key is not shown".to_owned()).into())
}

fn text(form: KeyForm, key: &StoreKey) -> Zeroizing<String> {
    match form {
        KeyForm::Digits => key.to_digits(),
        KeyForm::Words => Zeroizing::new(key.to_words().join(" ")),
    }
}
