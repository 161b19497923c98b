//! Runs the picker: reads keys, changes the state, draws.

use std::io::{self, IsTerminal};

use chrono::{DateTime, Utc};

use super::columns::Wishes;
use super::draw::{self, Theme};
use super::item::{Item, PickError, Picked, Preview, Screen};
use super::lines;
use super::state::{State, Step};
use super::terminal::{Input, RawTerminal};

/// Lets the user choose one of `items`. Restores the terminal before it returns.
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
    let mut terminal = RawTerminal::take(screen.colors)?;
    loop {
        // Pending input first: it may arrive faster than the screen is drawn.
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
            Step::Preview(session) => state.open_preview(preview.turns(&session)),
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
