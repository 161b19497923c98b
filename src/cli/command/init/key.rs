//! The key of an encrypted remote: from a file, or by one question.

use super::args::InitArgs;
use crate::cli::{
    app::App, app::current_dir, args::typed_path, ask, error::CliError, error::CommandError,
};
use crate::domain::secret_text::SecretText;
use crate::encryption::{StoreHeader, StoreKey};
use crate::machine::key_answer::{key_of_answer, key_of_file};
use crate::ui::sanitize::one_line;
use crate::workspace::{SyncError, store_key::KeyError, store_key::key_path, store_key::save_key};

/// Number of answers before this gives up.
const MAX_ANSWERS: usize = 3;

/// Saves the key of the store that this machine has no key for. A wrong one is refused before
/// anything is written.
pub(super) fn save(error: KeyError, args: &InitArgs, app: &mut App) -> Result<(), CliError> {
    let (KeyError::Missing(header) | KeyError::Changed(header) | KeyError::Wrong { header, .. }) =
        &error
    else {
        return Err(SyncError::from(error).into());
    };
    let key = match &args.key_file {
        Some(path) => key_of_file(&typed_path(path, &app.env.home, &current_dir()?), header)?,
        None if args.may_ask(app) => ask_for_key(header, app)?,
        None => {
            let hint = "without a terminal: `ccsync init --key-file PATH`, or set CCSYNC_KEY";
            return Err(CliError::from(SyncError::from(error)).with_hint(hint));
        }
    };
    Ok(save_key(&key_path(&app.env), &key)?)
}

fn ask_for_key(header: &StoreHeader, app: &mut App) -> Result<StoreKey, CliError> {
    app.out.note("the sessions there are encrypted");
    let answers = if header.has_passphrase() {
        "the passphrase, the 24 words or a file with the key"
    } else {
        "the 24 words or a file with the key"
    };
    let question = format!("Key of the store ({answers}; not shown)");
    let (home, cwd) = (app.env.home.clone(), current_dir()?);
    let mut attempt = 1;
    loop {
        let answer = answer(&question)?;
        match key_of_answer(&answer, header, |path| typed_path(path, &home, &cwd)) {
            Err(e) if attempt < MAX_ANSWERS => app.out.attention(&one_line(&e.to_string())),
            done => return Ok(done?),
        }
        attempt += 1;
    }
}

fn answer(question: &str) -> Result<SecretText, CliError> {
    let answer = ask::secret_line(question)?;
    if answer.is_empty() {
        return Err(CommandError::Declined("nothing was set up".to_owned()).into());
    }
    Ok(answer)
}
