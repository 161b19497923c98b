//! `ccsync key check`.

use crate::cli::{app::App, error::CliError, exit::Exit};
use crate::machine::store_key::{CheckedKey, KeyPlace, check_key};
use crate::ui::sanitize::one_line;

/// JSON document: the fields of `CheckedKey`.
pub(super) fn run(offline: bool, json: bool, app: &mut App) -> Result<Exit, CliError> {
    app.offline = offline;
    let checked = check_key(&app.context()?)?;
    if json {
        app.print_json("key check", &checked)?;
    } else {
        app.print(&[line(&checked)])?;
        if let Some(reason) = &checked.remote_error {
            app.out
                .attention(&format!("the remote was not checked: {}", one_line(reason)));
        }
    }
    Ok(match checked.remote_error {
        None => Exit::Done,
        Some(_) => Exit::Failed,
    })
}

fn line(checked: &CheckedKey) -> String {
    let place = match (checked.source, &checked.file) {
        (_, Some(file)) => one_line(&file.to_string_lossy()).into_owned(),
        (KeyPlace::Command, None) => "key_command".to_owned(),
        (_, None) => "CCSYNC_KEY".to_owned(),
    };
    let and_remote = if checked.remote_opened {
        " and the remote"
    } else {
        ""
    };
    let passphrase = if checked.passphrase { "a" } else { "no" };
    format!(
        "key check: the key from {place} opens the store{and_remote} (key {}, {passphrase} passphrase)",
        checked.epoch
    )
}
