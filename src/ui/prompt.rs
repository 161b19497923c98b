//! Asks the user one question. The caller checks that there is a terminal. For every
//! question there is an option that answers it.

use std::io::{Error, ErrorKind};

use dialoguer::console::Term;
use dialoguer::{Confirm, Input, Select};

/// Asks for a line of text and trims it. Returns an empty string for Enter alone, and
/// `None` if the user cancels.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn line(question: &str) -> Result<Option<String>, Error> {
    let asked = Input::<String>::new()
        .with_prompt(question)
        .allow_empty(true)
        .interact_text_on(&Term::stderr());
    answer(asked.map(|answer| Some(answer.trim().to_owned())))
}

/// Asks for a line of text and trims it. Shows `default` and returns it for Enter alone.
/// Returns `None` if the user cancels.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn line_or(question: &str, default: &str) -> Result<Option<String>, Error> {
    let input = Input::<String>::new()
        .with_prompt(question)
        .default(default.to_owned());
    answer(
        input
            .interact_text_on(&Term::stderr())
            .map(|answer| Some(answer.trim().to_owned())),
    )
}

/// Asks for a decision. Enter alone means no. Returns `None` if the user cancels.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn confirm(question: &str) -> Result<Option<bool>, Error> {
    confirm_or(question, false)
}

/// Asks for a decision. Enter alone means `default`. Returns `None` if the user cancels.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn confirm_or(question: &str, default: bool) -> Result<Option<bool>, Error> {
    answer(
        Confirm::new()
            .with_prompt(question)
            .default(default)
            .interact_on_opt(&Term::stderr()),
    )
}

/// Asks for one of `choices` and returns its index. The first one is preselected. Returns
/// `None` if the user cancels.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn choose(question: &str, choices: &[&str]) -> Result<Option<usize>, Error> {
    answer(
        Select::new()
            .with_prompt(question)
            .items(choices)
            .default(0)
            .interact_on_opt(&Term::stderr()),
    )
}

fn answer<T>(asked: dialoguer::Result<Option<T>>) -> Result<Option<T>, Error> {
    match asked {
        Ok(answer) => Ok(answer),
        Err(dialoguer::Error::IO(e)) if e.kind() == ErrorKind::Interrupted => {
            // `dialoguer` does not restore the cursor that it has hidden.
            let _ = Term::stderr().show_cursor();
            Ok(None)
        }
        Err(dialoguer::Error::IO(e)) => Err(e),
    }
}
