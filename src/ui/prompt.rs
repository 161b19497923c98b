//! Asks the user one question. The caller checks that there is a terminal. For every
//! question there is an option that answers it.

use std::io::{Error, ErrorKind};

use dialoguer::console::{Key, Term, measure_text_width};
use dialoguer::{Confirm, Select};
use ratatui_crossterm::crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use crate::domain::secret_text::SecretText;

/// Room for a secret that is typed: as it never grows, no copy of it stays in memory.
const MAX_SECRET_BYTES: usize = 4096;

/// Asks for a line of text and trims it. Returns an empty string for Enter alone, and
/// `None` if the user cancels.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn line(question: &str) -> Result<Option<String>, Error> {
    read_line(&format!("{question}: "))
}

/// Asks for a line of text and trims it. Shows `default` and returns it for Enter alone.
/// Returns `None` if the user cancels.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn line_or(question: &str, default: &str) -> Result<Option<String>, Error> {
    let answer = read_line(&format!("{question} [{default}]: "))?;
    Ok(answer.map(|text| match text.as_str() {
        "" => default.to_owned(),
        _ => text,
    }))
}

/// Reads a line after `prompt`. `dialoguer` ignores Esc here.
fn read_line(prompt: &str) -> Result<Option<String>, Error> {
    let term = Term::stderr();
    if !term.is_term() {
        return Err(ErrorKind::NotConnected.into());
    }

    let raw = RawMode::enter()?;
    let mut shown = prompt.to_owned();
    term.write_str(prompt)?;
    let is_given = loop {
        match term.read_key() {
            Ok(Key::Enter) => break true,
            Ok(Key::Escape) => break false,
            Ok(Key::Backspace) if shown.len() > prompt.len() => {
                go_to_start(&term, &shown)?;
                shown.pop();
                term.write_str(&shown)?;
            }
            Ok(Key::Char(c)) if !c.is_control() => {
                shown.push(c);
                term.write_str(c.encode_utf8(&mut [0; 4]))?;
            }
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => break false,
            Err(e) => return Err(e),
        }
    };

    go_to_start(&term, &shown)?;
    drop(raw);
    term.write_line(&shown)?;
    Ok(is_given.then(|| shown[prompt.len()..].trim().to_owned()))
}

/// Asks for a line of text that is not shown, and trims it. Returns `None` if the user cancels.
///
/// # Errors
/// If the terminal fails.
pub(crate) fn secret_line(question: &str) -> Result<Option<SecretText>, Error> {
    let term = Term::stderr();
    if !term.is_term() {
        return Err(ErrorKind::NotConnected.into());
    }

    let raw = RawMode::enter()?;
    term.write_str(&format!("{question}: "))?;
    let mut text = SecretText::with_capacity(MAX_SECRET_BYTES);
    let is_given = loop {
        match term.read_key() {
            Ok(Key::Enter) => break true,
            Ok(Key::Escape) => break false,
            Ok(Key::Backspace) => text.pop(),
            Ok(Key::Char(c)) if !c.is_control() => text.push(c),
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Interrupted => break false,
            Err(e) => return Err(e),
        }
    };

    drop(raw);
    term.write_line("")?;
    Ok(is_given.then_some(text))
}

/// The terminal in raw mode, also between two keys: otherwise the system would show and edit what
/// is typed before the next key is read.
struct RawMode;

impl RawMode {
    fn enter() -> Result<Self, Error> {
        enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // The terminal may be closed.
        let _ = disable_raw_mode();
    }
}

/// Removes text from the screen, which may have taken several rows.
fn go_to_start(term: &Term, shown: &str) -> Result<(), Error> {
    let columns = usize::from(term.size().1).max(1);
    let wrapped = measure_text_width(shown).saturating_sub(1) / columns;
    term.move_cursor_up(wrapped)?;
    term.clear_to_end_of_screen()
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
