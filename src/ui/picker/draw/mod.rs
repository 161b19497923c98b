//! Draws the state of the picker into a frame. Decides nothing. Everything important is
//! visible without colours, too.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};
use ratatui_core::style::{Color, Modifier, Style};
use ratatui_core::terminal::Frame;

use super::columns::PreferredWidths;
use super::preview::{LineKind, PreviewPane};
use super::row::{PickerRow, occurrences};
use super::state::{FetchStatus, PickerState};
use crate::ui::{format::count, table::cut};

/// Marker of the selected row.
const MARK: &str = "> ";
const PROMPT: &str = "filter: ";
/// Lines above the list: the filter and the headings.
const ABOVE: u16 = 2;
/// Lines below the list: the keys.
const BELOW: u16 = 1;
/// Shown while the fetch runs.
const FETCHING: &str = "  fetching";

/// Styles of the picker; all plain without colours.
pub(super) struct Theme {
    quiet: Style,
    strong: Style,
    found: Style,
    selected: Style,
    attention: Style,
}

impl Theme {
    pub(super) fn new(colors: bool) -> Self {
        let style = |style| if colors { style } else { Style::new() };
        Self {
            quiet: style(Style::new().add_modifier(Modifier::DIM)),
            strong: style(Style::new().add_modifier(Modifier::BOLD)),
            found: style(Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD)),
            selected: style(Style::new().add_modifier(Modifier::REVERSED)),
            attention: style(Style::new().fg(Color::Yellow)),
        }
    }
}

/// Draws everything.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    state: &mut PickerState,
    preferred: &PreferredWidths,
    theme: &Theme,
) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let title = state
        .selected_row()
        .map(|row| row.title.clone())
        .unwrap_or_default();
    let now = state.now;
    if let Some(preview) = &mut state.preview {
        draw_preview(frame.buffer_mut(), area, preview, &title, now, theme);
    } else {
        draw_list(frame, area, state, preferred, theme);
    }
}

fn draw_list(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &mut PickerState,
    preferred: &PreferredWidths,
    theme: &Theme,
) {
    let failure = match &state.fetch {
        Some(FetchStatus::Failed(reason)) => Some(format!("as of the last fetch: {reason}")),
        _ => None,
    };
    let below = BELOW + u16::from(failure.is_some());
    state.set_page(usize::from(area.height.saturating_sub(ABOVE + below)));
    draw_filter(frame, area, &state.filter, theme);
    let buffer = frame.buffer_mut();
    let columns = preferred.layout(usize::from(area.width).saturating_sub(MARK.len()));
    let mut line = ScreenLine { buffer, area, y: 1 };
    for (column, cells) in &columns {
        line.write_text(
            MARK.len() + cells.start,
            cells.len(),
            column.heading(),
            theme.quiet,
            column.is_right_aligned(),
        );
    }
    for (at, row) in state.shown.iter().enumerate().skip(state.top) {
        line.y += 1;
        if line.y >= area.height.saturating_sub(below) {
            break;
        }
        let row = &state.rows[*row];
        draw_row(&mut line, row, &columns, &state.words, theme);
        if at == state.selected {
            line.write_text(0, MARK.len(), MARK, theme.strong, false);
            line.buffer.set_style(
                Rect {
                    y: area.y + line.y,
                    height: 1,
                    ..area
                },
                theme.selected,
            );
        }
    }
    if let Some(failure) = failure {
        line.y = area.height.saturating_sub(below);
        line.write_text(0, usize::from(area.width), &failure, theme.attention, false);
    }
    line.y = area.height - 1;
    line.write_text(
        0,
        usize::from(area.width),
        &list_status(state, usize::from(area.width)),
        theme.quiet,
        false,
    );
}

fn draw_filter(frame: &mut Frame<'_>, area: Rect, filter: &str, theme: &Theme) {
    let mut line = ScreenLine {
        buffer: frame.buffer_mut(),
        area,
        y: 0,
    };
    line.write_text(0, PROMPT.len(), PROMPT, theme.strong, false);
    let room = usize::from(area.width).saturating_sub(PROMPT.len() + 1);
    let visible = end_of(filter, room);
    line.write_text(PROMPT.len(), room, visible, Style::new(), false);
    let x = PROMPT.len() + width(visible);
    let x = u16::try_from(x).unwrap_or(u16::MAX).min(area.width - 1);
    frame.set_cursor_position(Position::new(area.x + x, area.y));
}

fn draw_row(
    line: &mut ScreenLine<'_>,
    row: &PickerRow,
    columns: &[(super::columns::Column, std::ops::Range<usize>)],
    words: &[String],
    theme: &Theme,
) {
    use super::columns::Column;
    for (column, cells) in columns {
        let (x, room) = (MARK.len() + cells.start, cells.len());
        let text = column.text(row);
        match column {
            Column::Title => line.write_matches(x, room, text, words, theme),
            Column::Project if width(text) > room => {
                // The end of a path says more than its beginning.
                let end = format!("…{}", end_of(text, room.saturating_sub(1)));
                line.write_text(x, room, &end, theme.quiet, false);
            }
            Column::Lock => line.write_text(x, room, text, theme.attention, false),
            _ => line.write_text(x, room, text, theme.quiet, column.is_right_aligned()),
        }
    }
}

fn list_status(state: &PickerState, width: usize) -> String {
    let all = state.rows.len();
    let counts = match (all, state.shown.len()) {
        (0, _) => "no sessions".to_owned(),
        (_, 0) => format!("no match among {}", count(all as u64, "session")),
        (_, shown) if shown == all => count(all as u64, "session"),
        (_, shown) => format!("{shown} of {}", count(all as u64, "session")),
    };
    let fetching = match state.fetch {
        Some(FetchStatus::Running) => FETCHING,
        _ => "",
    };
    fitting(
        width,
        &format!("{counts}{fetching}"),
        &[
            "type to filter",
            "enter: choose",
            "tab: preview",
            "esc: cancel",
        ],
        &[1, 3, 2, 0],
    )
}

fn draw_preview(
    buffer: &mut Buffer,
    area: Rect,
    preview: &mut PreviewPane,
    title: &str,
    now: chrono::DateTime<chrono::Utc>,
    theme: &Theme,
) {
    let width = usize::from(area.width);
    preview.fit(
        width,
        usize::from(area.height.saturating_sub(ABOVE + BELOW)),
        now,
    );
    let (visible, first, all) = preview.visible();
    let mut line = ScreenLine { buffer, area, y: 0 };
    line.write_text(0, width, title, theme.strong, false);
    line.y = ABOVE;
    for text in visible {
        let style = match text.kind {
            LineKind::Heading => theme.strong,
            LineKind::Text => Style::new(),
            LineKind::Tool => theme.quiet,
            LineKind::Note => theme.attention,
        };
        line.write_text(0, width, &text.text, style, false);
        line.y += 1;
    }
    let place = format!(
        "{}-{} of {}",
        (first + 1).min(all),
        first + visible.len(),
        count(all as u64, "line")
    );
    let status = fitting(
        width,
        &place,
        &["up, down: scroll", "enter: choose", "esc: back"],
        &[1, 2, 0],
    );
    line.y = area.height - 1;
    line.write_text(0, width, &status, theme.quiet, false);
}

/// Returns `status`, followed by as many of the keys as fit. Drops the keys that are last
/// in `by_use` first.
fn fitting(room: usize, status: &str, keys: &[&str], by_use: &[usize]) -> String {
    for kept in (0..=by_use.len()).rev() {
        let chosen = keys
            .iter()
            .enumerate()
            .filter(|(at, _)| by_use[..kept].contains(at))
            .map(|(_, key)| *key);
        let line = std::iter::once(status)
            .chain(chosen)
            .collect::<Vec<_>>()
            .join("  ");
        if width(&line) <= room {
            return line;
        }
    }
    status.to_owned()
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

/// One line of the screen. Text is cut to its cells.
struct ScreenLine<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    y: u16,
}

impl ScreenLine<'_> {
    fn write_text(
        &mut self,
        x: usize,
        room: usize,
        text: &str,
        style: Style,
        is_right_aligned: bool,
    ) {
        let text = cut(text, room);
        let x = if is_right_aligned {
            x + room.saturating_sub(width(&text))
        } else {
            x
        };
        self.write(x, room, &text, style);
    }

    /// Like [`Self::write_text`], with the matches of the filter highlighted.
    fn write_matches(
        &mut self,
        x: usize,
        room: usize,
        text: &str,
        words: &[String],
        theme: &Theme,
    ) {
        let visible = cut(text, room);
        let same = text
            .bytes()
            .zip(visible.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        self.write(x, room, &visible, Style::new());
        for found in occurrences(text, words)
            .into_iter()
            .filter(|found| found.start < same)
        {
            // A match at the cut continues in the ellipsis.
            let part = if found.end <= same {
                &text[found.clone()]
            } else {
                &visible[found.start..]
            };
            self.write(
                x + width(&text[..found.start]),
                width(part),
                part,
                theme.found,
            );
        }
    }

    fn write(&mut self, x: usize, room: usize, text: &str, style: Style) {
        let (x, y) = (u16::try_from(x).unwrap_or(u16::MAX), self.area.y + self.y);
        let room = u16::try_from(room)
            .unwrap_or(u16::MAX)
            .min(self.area.width.saturating_sub(x));
        if room > 0 && self.y < self.area.height {
            self.buffer
                .set_stringn(self.area.x + x, y, text, usize::from(room), style);
        }
    }
}
