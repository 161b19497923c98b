//! Asks a person one question. Only called when somebody can answer; every question has a flag that answers it too.

use std::io::{Error, ErrorKind};

use dialoguer::Input;
use dialoguer::console::Term;

/// A line of text, trimmed; empty if the person just presses enter. `None` if they cancel.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn line(question: &str) -> Result<Option<String>, Error> {
    let asked = Input::<String>::new().with_prompt(question).allow_empty(true).interact_text_on(&Term::stderr());
    match asked {
        Ok(answer) => Ok(Some(answer.trim().to_owned())),
        Err(dialoguer::Error::IO(e)) if e.kind() == ErrorKind::Interrupted => {
            // `dialoguer` leaves a cursor that it hid to the program.
            let _ = Term::stderr().show_cursor();
            Ok(None)
        }
        Err(dialoguer::Error::IO(e)) => Err(e),
    }
}
