//! `ccsync key rotate`.

use crate::cli::{app::App, ask, error::CliError, error::CommandError, exit::Exit};
use crate::machine::encrypt::{SealedStore, rotate};
use crate::machine::store_key::key_of_store;

/// JSON document: the fields of `SealedStore`.
pub(super) fn run(yes: bool, json: bool, app: &mut App) -> Result<Exit, CliError> {
    key_of_store(&app.context()?)?;
    if !yes {
        confirm(app)?;
    }
    let done = rotate(&app.context()?)?;
    if json {
        app.print_json("key rotate", &done)?;
    } else {
        show(&done, app)?;
    }
    Ok(Exit::Done)
}

/// Says what was done, and what is to be done by the user.
pub(in crate::cli) fn show(done: &SealedStore, app: &mut App) -> Result<(), CliError> {
    app.print(&[format!("key rotate: the store has key {}", done.epoch)])?;
    app.out.hint("write it down, on paper: `ccsync key words`");
    app.out
        .hint("on each other machine, enter it once: `ccsync init`");
    if done.lost_passphrase {
        app.out
            .hint("the passphrase gave the former key; set one again: `ccsync key passphrase`");
    }
    if done.source_is_former {
        app.out.hint(
            "CCSYNC_KEY or key_command still give the former key: change them, too; until then \
             the file with the key counts",
        );
    }
    Ok(())
}

fn confirm(app: &App) -> Result<(), CliError> {
    app.require_terminal("changing the key")?;
    let question =
        "Make a new key and seal all sessions again? Each machine needs the new key then";
    if ask::confirm(question)? {
        return Ok(());
    }
    Err(CommandError::Declined("the key stays as it is".to_owned()).into())
}
