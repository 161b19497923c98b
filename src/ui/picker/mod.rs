//! Lets a person choose one session out of many, and look into it first.
//!
//! A filter is typed; each of its words (split at blanks) must occur somewhere in what is known of a session: title, project,
//! machine, first words or id, upper and lower case alike. Nothing is guessed and the order never changes: first the sessions
//! of the project at hand, then the others, the newest first.
//!
//! Draws on standard error, so that standard output stays data.

mod columns;
mod draw;
mod lines;
mod look;
mod row;
mod state;
mod terminal;
impl UserError for PickError {}

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};

use chrono::{DateTime, Utc};

use self::columns::Wishes;
use self::draw::Theme;
use self::state::{State, Step};
use self::terminal::{Input, Taken};
use crate::domain::error::UserError;
use crate::domain::id::SessionId;
use crate::domain::turn::Turn;

/// A session that can be chosen. Its texts are unsanitised.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) session: SessionId,
    /// It belongs to the project of the current directory.
    pub(crate) is_of_this_project: bool,
    pub(crate) last_activity: Option<DateTime<Utc>>,
    pub(crate) project: String,
    pub(crate) title: String,
    pub(crate) first_words: String,
    /// The machine that last wrote it.
    pub(crate) machine: String,
    pub(crate) bytes: u64,
    /// Who has it open, and since when: `desk, 3 min`.
    pub(crate) lock: Option<String>,
    pub(crate) is_fork: bool,
    /// It lies on this machine.
    pub(crate) is_here: bool,
}

/// What the terminal can do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) colors: bool,
    /// It only knows lines (`TERM=dumb`): a numbered list stands in for the screen.
    pub(crate) only_lines: bool,
    /// Cells of a line, for the list that stands in.
    pub(crate) columns: usize,
}

/// Where the look into a session comes from.
pub(crate) trait Preview {
    /// The last turns of a session, the oldest first; or why there are none, in a few words.
    fn turns(&mut self, session: &SessionId) -> Result<Vec<Turn>, String>;
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Picked {
    Chosen(SessionId),
    /// By a key, or because the process was told to end.
    Cancelled,
}

/// Why nothing could be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PickError {
    /// Input or standard error is not a terminal.
    #[error("no terminal to choose a session on")]
    NoTerminal,
    /// The terminal failed.
    #[error("cannot control the terminal")]
    Terminal(#[source] io::Error),
}

/// Asks which of `items` it shall be. The terminal is as it was before when this returns, whatever happens.
///
/// # Errors
/// [`PickError`]
pub(crate) fn pick(
    items: Vec<Item>,
    now: DateTime<Utc>,
    screen: Screen,
    preview: &mut dyn Preview,
) -> Result<Picked, PickError> {
    let mut state = State::new(items, now);
    if screen.only_lines {
        return pick_by_lines(&mut state, screen, preview);
    }
    let (wishes, theme) = (Wishes::of(&state.rows), Theme::new(screen.colors));
    let mut terminal = Taken::take(screen.colors)?;
    loop {
        // Whatever is typed or pasted faster than it is drawn is taken in first.
        if !terminal.has_more() {
            terminal.draw(|frame| draw::draw(frame, &mut state, &wishes, &theme))?;
        }
        let step = match terminal.next()? {
            Input::Key(key) => state.press(key),
            Input::Paste(text) => state.paste(&text),
            Input::Other => Step::Draw,
            Input::Interrupted => Step::End(Picked::Cancelled),
        };
        match step {
            Step::Draw => {}
            Step::Look(session) => state.open_look(preview.turns(&session)),
            Step::End(picked) => return Ok(picked),
        }
    }
}

fn pick_by_lines(
    state: &mut State,
    screen: Screen,
    preview: &mut dyn Preview,
) -> Result<Picked, PickError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(PickError::NoTerminal);
    }
    lines::pick(
        state,
        preview,
        screen.columns,
        &mut io::stdin().lock(),
        &mut io::stderr(),
    )
    .map_err(PickError::Terminal)
}
