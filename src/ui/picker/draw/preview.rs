//! The preview of a session: beside the list, or on the whole screen.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::terminal::Frame;

use super::line::{ScreenLine, with_keys};
use super::theme::Theme;
use crate::ui::format::count;
use crate::ui::picker::preview::{LineKind, PreviewLine, facts};
use crate::ui::picker::row::PickerRow;
use crate::ui::picker::state::PickerState;

/// Width of the names of facts, in cells.
const NAME: usize = 9;
/// Minimum number of lines for the turns. A lower screen shows no facts.
const MIN_TURNS: usize = 6;

/// Draws the selected session on the whole screen, with the keys below.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut PickerState, theme: &Theme) {
    let area = frame.area();
    let part = Rect {
        height: area.height.saturating_sub(1),
        ..area
    };
    let place = draw_session(frame.buffer_mut(), part, state, theme);
    let keys = ["Up, Down: scroll", "Enter: open", "Esc: back"];
    let status = with_keys(usize::from(area.width), &place, &keys);
    let last = usize::from(area.height.saturating_sub(1));
    ScreenLine::new(frame.buffer_mut(), area, last).fill(&status, theme.quiet);
}

/// Draws the selected session beside the list.
pub(super) fn draw_beside(buffer: &mut Buffer, part: Rect, state: &mut PickerState, theme: &Theme) {
    let border = Rect {
        x: part.x.saturating_sub(2),
        width: 1,
        ..part
    };
    for line in 0..usize::from(part.height) {
        ScreenLine::new(buffer, border, line).fill("│", theme.quiet);
    }
    draw_session(buffer, part, state, theme);
}

/// Returns which lines of the turns are visible.
fn draw_session(buffer: &mut Buffer, part: Rect, state: &mut PickerState, theme: &Theme) -> String {
    let Some(row) = state.list.selected() else {
        return String::new();
    };
    let above = draw_facts(buffer, part, row, theme);
    let turns = Rect {
        y: part.y + above,
        height: part.height - above,
        ..part
    };
    let now = state.now;
    let Some(pane) = state.pane() else {
        return String::new();
    };
    pane.fit(usize::from(turns.width), usize::from(turns.height), now);
    let (visible, first, all) = pane.visible();
    for (y, text) in visible.iter().enumerate() {
        ScreenLine::new(buffer, turns, y).fill(&text.text, style(text, theme));
    }
    format!(
        "{}-{} of {}",
        (first + 1).min(all),
        first + visible.len(),
        count(all as u64, "line")
    )
}

/// Draws the title and what is known about the session. Returns the number of lines.
fn draw_facts(buffer: &mut Buffer, part: Rect, row: &PickerRow, theme: &Theme) -> u16 {
    ScreenLine::new(buffer, part, 0).fill(&row.title, theme.strong);
    let facts = facts(row);
    let room = usize::from(part.height).saturating_sub(2);
    let shown = match room.saturating_sub(MIN_TURNS) {
        0 => 0,
        room => facts.len().min(room),
    };
    for (y, (name, value)) in (1..).zip(facts.iter().take(shown)) {
        let mut line = ScreenLine::new(buffer, part, y);
        let room = line.width().saturating_sub(NAME);
        line.write(0, NAME, name, theme.quiet);
        line.write(NAME, room, value, Style::new());
    }
    u16::try_from(shown + 2)
        .unwrap_or(u16::MAX)
        .min(part.height)
}

fn style(line: &PreviewLine, theme: &Theme) -> Style {
    match line.kind {
        LineKind::Heading => theme.strong,
        LineKind::Text => Style::new(),
        LineKind::Tool => theme.quiet,
        LineKind::Note => theme.attention,
    }
}
