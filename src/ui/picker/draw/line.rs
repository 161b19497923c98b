//! Text on one line of the screen. It is cut to its cells, and never wraps.

use std::ops::Range;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};
use ratatui_core::style::Style;
use ratatui_core::terminal::Frame;

use super::theme::Theme;
use crate::ui::picker::edit::LineEditor;
use crate::ui::table::cut;

/// The end of a text that is kept if it is too long.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Start,
    /// The end of a path says more than its beginning.
    End,
}

/// One line of a part of the screen.
pub(super) struct ScreenLine<'a> {
    buffer: &'a mut Buffer,
    line: Rect,
}

impl<'a> ScreenLine<'a> {
    /// The line `y` of a part of the screen; empty if the part is not so high.
    pub(super) fn new(buffer: &'a mut Buffer, part: Rect, y: usize) -> Self {
        let y = u16::try_from(y).unwrap_or(u16::MAX);
        let line = Rect {
            y: part.y.saturating_add(y),
            height: u16::from(y < part.height),
            ..part
        };
        Self {
            line: line.intersection(buffer.area),
            buffer,
        }
    }

    pub(super) fn width(&self) -> usize {
        usize::from(self.line.width)
    }

    /// Writes text into the cells from `x` on.
    pub(super) fn write(&mut self, x: usize, room: usize, text: &str, style: Style) {
        self.set(x, room, &cut(text, room), style);
    }

    /// Writes a text over the whole line.
    pub(super) fn fill(&mut self, text: &str, style: Style) {
        self.write(0, self.width(), text, style);
    }

    /// Writes a text at the right end of its cells.
    pub(super) fn write_right(&mut self, x: usize, room: usize, text: &str, style: Style) {
        let text = cut(text, room);
        self.set(x + room.saturating_sub(width(&text)), room, &text, style);
    }

    /// Writes a text, with other styles for some ranges of its bytes.
    pub(super) fn write_marked(
        &mut self,
        x: usize,
        room: usize,
        text: &str,
        kept: Kept,
        styles: (Style, Style),
        marks: &[Range<usize>],
    ) {
        let (ellipsis, visible) = visible_part(text, room, kept);
        let start = x + if kept == Kept::End {
            width(ellipsis)
        } else {
            0
        };
        let part = &text[visible.clone()];
        match kept {
            Kept::Start => self.set(x + width(part), room, ellipsis, styles.0),
            Kept::End => self.set(x, room, ellipsis, styles.0),
        }
        self.set(start, room, part, styles.0);
        for mark in marks {
            let mark = mark.start.max(visible.start)..mark.end.min(visible.end);
            if mark.is_empty() {
                continue;
            }
            let before = width(&text[visible.start..mark.start]);
            let marked = &text[mark];
            self.set(start + before, width(marked), marked, styles.1);
        }
    }

    pub(super) fn set_style(&mut self, style: Style) {
        self.buffer.set_style(self.line, style);
    }

    fn set(&mut self, x: usize, room: usize, text: &str, style: Style) {
        if x >= self.width() || room == 0 || self.line.is_empty() {
            return;
        }
        let room = room.min(self.width() - x);
        let x = self.line.x + u16::try_from(x).unwrap_or(u16::MAX);
        self.buffer.set_stringn(x, self.line.y, text, room, style);
    }
}

/// Returns the ellipsis and the bytes of a text that fit in `room` cells.
fn visible_part(text: &str, room: usize, kept: Kept) -> (&'static str, Range<usize>) {
    const ELLIPSIS: &str = "…";
    if width(text) <= room {
        return ("", 0..text.len());
    }
    let Some(room) = room.checked_sub(1) else {
        return ("", 0..0);
    };
    let visible = match kept {
        Kept::End => text.len() - end_of(text, room).len()..text.len(),
        Kept::Start => 0..start_of(text, room).len(),
    };
    (ELLIPSIS, visible)
}

/// Returns the longest beginning of `text` that fits in `room` cells.
fn start_of(text: &str, room: usize) -> &str {
    let cut = cut(text, room + 1);
    let same = text.bytes().zip(cut.bytes());
    let mut same = same.take_while(|(a, b)| a == b).count();
    while !text.is_char_boundary(same) {
        same -= 1;
    }
    &text[..same]
}

/// Returns the longest end of `text` that fits in `room` cells.
fn end_of(text: &str, room: usize) -> &str {
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts
        .map(|at| &text[at..])
        .find(|end| width(end) <= room)
        .unwrap_or_default()
}

fn width(text: &str) -> usize {
    dialoguer::console::measure_text_width(text)
}

/// Draws a line of text that the user edits, and its cursor.
pub(super) fn draw_editor(
    frame: &mut Frame<'_>,
    part: Rect,
    prompt: &str,
    editor: &LineEditor,
    theme: &Theme,
) {
    let mut line = ScreenLine::new(frame.buffer_mut(), part, 0);
    line.write(0, prompt.len(), prompt, theme.strong);
    // The cursor needs a cell of its own.
    let room = line.width().saturating_sub(prompt.len() + 1);
    let (before, after) = editor.parts();
    let before = end_of(before, room);
    let left = room - width(before);
    line.write(prompt.len(), room, before, Style::new());
    line.write(prompt.len() + width(before), left, after, Style::new());
    let x = u16::try_from(prompt.len() + width(before)).unwrap_or(u16::MAX);
    let x = x.min(part.width.saturating_sub(1));
    frame.set_cursor_position(Position::new(part.x + x, part.y));
}

/// Returns `status`, followed by as many of the keys as fit. The last keys are dropped first.
pub(super) fn with_keys(room: usize, status: &str, keys: &[&str]) -> String {
    let mut line = status.to_owned();
    for key in keys {
        if width(&line) + 2 + width(key) > room {
            break;
        }
        line += "  ";
        line += key;
    }
    line
}
