//! Runs the picker: reads keys, changes the state, draws.

use std::io::{self, IsTerminal};
use std::sync::mpsc::Receiver;

use chrono::{DateTime, Utc};

use super::columns::PreferredWidths;
use super::draw::{self, Theme};
use super::item::{Fetched, Item, PickError, Picked, PickerOptions, Preview};
use super::lines;
use super::state::{FetchStatus, PickerState, PickerStep};
use super::terminal::{Input, RawTerminal};

/// Lets the user choose one of `items`. Restores the terminal before it returns.
///
/// `fetch`: gives other items later, if any; the numbered list does not show them.
///
/// # Errors
/// [`PickError`]
pub(crate) fn pick(
    items: Vec<Item>,
    fetch: Option<&Receiver<Fetched>>,
    now: DateTime<Utc>,
    options: PickerOptions,
    preview: &mut dyn Preview,
) -> Result<Picked, PickError> {
    let mut state = PickerState::new(items, now);
    if options.only_lines {
        return pick_by_lines(&mut state, options, preview);
    }
    state.fetch = fetch.map(|_| FetchStatus::Running);
    let mut preferred = PreferredWidths::from_rows(&state.rows);
    let theme = Theme::new(options.colors);
    let mut terminal = RawTerminal::enter(options.colors)?;
    loop {
        // Read pending input first: it may arrive faster than the screen is drawn.
        if !terminal.has_more() {
            terminal.draw(|frame| draw::draw(frame, &mut state, &preferred, &theme))?;
        }
        let step = match terminal.next(fetch)? {
            Input::Key(key) => state.press(key),
            Input::Paste(text) => state.paste(&text),
            Input::Fetched(fetched) => {
                state.end_fetch(fetched);
                preferred = PreferredWidths::from_rows(&state.rows);
                PickerStep::Draw
            }
            Input::Other => PickerStep::Draw,
            Input::Interrupted => PickerStep::End(Picked::Cancelled),
        };
        match step {
            PickerStep::Draw => {}
            PickerStep::Preview(session) => state.open_preview(preview.turns(&session)),
            PickerStep::End(picked) => return Ok(picked),
        }
    }
}

fn pick_by_lines(
    state: &mut PickerState,
    options: PickerOptions,
    preview: &mut dyn Preview,
) -> Result<Picked, PickError> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(PickError::NoTerminal);
    }
    lines::pick(
        state,
        preview,
        options.columns,
        &mut io::stdin().lock(),
        &mut io::stderr(),
    )
    .map_err(PickError::Terminal)
}
