//! Asks a person one question. Only called when somebody can answer; every question has a
//! flag that answers it too.

use std::io::{Error, ErrorKind};

use dialoguer::console::Term;
use dialoguer::{Confirm, Input, Select};

/// A line of text, trimmed; empty if the person just presses enter. `None` if they cancel.
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

/// A line of text, trimmed; `default`, which is shown, if the person just presses enter.
/// `None` if they cancel.
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

/// Yes or no; no if the person just presses enter. `None` if they cancel.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn confirm(question: &str) -> Result<Option<bool>, Error> {
    answer(
        Confirm::new()
            .with_prompt(question)
            .default(false)
            .interact_on_opt(&Term::stderr()),
    )
}

/// The number of one of `choices`, the first of which is proposed. `None` if the person cancels.
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
            // `dialoguer` leaves a cursor that it hid to the program.
            let _ = Term::stderr().show_cursor();
            Ok(None)
        }
        Err(dialoguer::Error::IO(e)) => Err(e),
    }
}
