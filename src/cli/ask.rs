//! Asks the user one question, and tells a "no" from a cancelled question.
//!
//! The caller checks that there is a terminal, and reports a "no" as
//! [`CommandError::Declined`].

use std::io;

use super::error::{CliError, CommandError};
use crate::domain::secret_text::SecretText;
use crate::ui::prompt;

/// Asks for a decision. Enter alone means no.
///
/// # Errors
/// If the user cancels, or the terminal fails.
pub(in crate::cli) fn confirm(question: &str) -> Result<bool, CliError> {
    given(prompt::confirm(question))
}

/// Asks for a decision. Enter alone means yes.
///
/// # Errors
/// As for [`confirm`].
pub(in crate::cli) fn confirm_by_default(question: &str) -> Result<bool, CliError> {
    given(prompt::confirm_or(question, true))
}

/// Asks for a decision that needs the word `yes`.
///
/// # Errors
/// As for [`confirm`].
pub(in crate::cli) fn confirm_in_words(question: &str) -> Result<bool, CliError> {
    Ok(line(question)?.eq_ignore_ascii_case("yes"))
}

/// Asks for a line of text. Returns an empty one for Enter alone.
///
/// # Errors
/// As for [`confirm`].
pub(in crate::cli) fn line(question: &str) -> Result<String, CliError> {
    given(prompt::line(question))
}

/// Asks for a line of text that is not shown.
///
/// # Errors
/// As for [`confirm`].
pub(in crate::cli) fn secret_line(question: &str) -> Result<SecretText, CliError> {
    given(prompt::secret_line(question))
}

/// Asks for one of `choices` and returns its index. The first one is preselected.
///
/// # Errors
/// As for [`confirm`].
pub(in crate::cli) fn choose(question: &str, choices: &[&str]) -> Result<usize, CliError> {
    given(prompt::choose(question, choices))
}

fn given<T>(answer: io::Result<Option<T>>) -> Result<T, CliError> {
    let answer = answer.map_err(CommandError::Terminal)?;
    Ok(answer.ok_or(CommandError::Cancelled)?)
}
