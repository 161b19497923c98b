//! `ccsync key passphrase`.

use std::io;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::{app::App, ask, error::CliError, error::CommandError, exit::Exit};
use crate::domain::secret_text::SecretText;
use crate::machine::store_key::{change_passphrase, key_of_store};

/// JSON document.
#[derive(Serialize)]
struct PassphraseDocument {
    /// True if the store has a passphrase now.
    passphrase: bool,
}

pub(super) fn run(remove: bool, json: bool, app: &mut App) -> Result<Exit, CliError> {
    key_of_store(&app.context()?)?;
    let passphrase = if remove { None } else { Some(read(app)?) };
    change_passphrase(&app.context()?, passphrase.as_deref())?;
    if json {
        let passphrase = !remove;
        app.print_json("key passphrase", &PassphraseDocument { passphrase })?;
    } else if remove {
        app.print(&["key passphrase: the store has no passphrase any more".to_owned()])?;
    } else {
        app.print(&["key passphrase: other machines can join with the passphrase".to_owned()])?;
    }
    Ok(Exit::Done)
}

/// Reads the passphrase: twice on a terminal, else the first line of standard input.
fn read(app: &App) -> Result<SecretText, CliError> {
    if !app.is_interactive() {
        let mut line = Zeroizing::new(String::with_capacity(4096));
        io::stdin()
            .read_line(&mut line)
            .map_err(CommandError::Terminal)?;
        return Ok(SecretText::new(line.trim().to_owned()));
    }
    let first = ask::secret_line("New passphrase (it is not shown)")?;
    if first != ask::secret_line("The same again")? {
        return Err(CommandError::PassphrasesDiffer.into());
    }
    Ok(first)
}
