//! The help: every key with its effect.

use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::terminal::Frame;

use super::line::ScreenLine;
use super::theme::Theme;
use crate::ui::picker::bindings::{HelpLine, help_lines};

/// Draws the help below the first `above` lines of it.
pub(super) fn draw(frame: &mut Frame<'_>, above: usize, theme: &Theme) {
    let area = frame.area();
    let part = Rect {
        height: area.height.saturating_sub(1),
        ..area
    };
    let lines = help_lines(usize::from(area.width));
    let last_top = lines.len().saturating_sub(usize::from(part.height));
    let buffer = frame.buffer_mut();
    for (
        y,
        HelpLine {
            keys,
            effect,
            indent,
        },
    ) in lines.iter().skip(above.min(last_top)).enumerate()
    {
        let mut line = ScreenLine::new(buffer, part, y);
        let room = line.width().saturating_sub(*indent);
        line.write(0, line.width(), keys, theme.strong);
        line.write(*indent, room, effect, Style::new());
    }
    let last = usize::from(area.height.saturating_sub(1));
    let status = "Up, Down: scroll  any other key: back";
    ScreenLine::new(buffer, area, last).fill(status, theme.quiet);
}
