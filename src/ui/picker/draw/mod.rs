//! Draws the state of the picker into a frame. Decides nothing. Everything important is
//! visible without colours, too.

mod help;
mod line;
mod list;
mod preview;
mod theme;

use ratatui_core::terminal::Frame;

pub(super) use self::theme::Theme;
use super::columns::PreferredWidths;
use super::state::{Mode, PickerState};

/// Draws everything.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    state: &mut PickerState,
    preferred: &PreferredWidths,
    theme: &Theme,
) {
    state.resize(frame.area());
    if frame.area().is_empty() {
        return;
    }
    match state.mode {
        Mode::Help(above) => help::draw(frame, above, theme),
        Mode::Preview => preview::draw(frame, state, theme),
        Mode::List | Mode::Rename(_) => list::draw(frame, state, preferred, theme),
    }
}
