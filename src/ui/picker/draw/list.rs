//! The list, with the filter above it and the keys below.

use std::ops::Range;

use nucleo_matcher::Matcher;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;
use ratatui_core::terminal::Frame;

use super::line::{Kept, ScreenLine, draw_editor, with_keys};
use super::preview;
use super::theme::Theme;
use crate::ui::format::count;
use crate::ui::picker::columns::{Column, PreferredWidths};
use crate::ui::picker::fuzzy::{Filter, matcher};
use crate::ui::picker::list::RowList;
use crate::ui::picker::row::PickerRow;
use crate::ui::picker::state::{Mode, PickerState};

/// Marker of the selected row.
const MARK: &str = "> ";

type Columns = [(Column, Range<usize>)];

pub(super) fn draw(
    frame: &mut Frame<'_>,
    state: &mut PickerState,
    preferred: &PreferredWidths,
    theme: &Theme,
) {
    let layout = state.layout();
    let buffer = frame.buffer_mut();
    let width = usize::from(layout.rows.width).saturating_sub(MARK.len());
    let columns = preferred.layout(width);
    draw_headings(
        &mut ScreenLine::new(buffer, layout.headings, 0),
        &columns,
        theme,
    );
    let mut painter = RowPainter {
        columns: &columns,
        filter: &state.list.filter,
        matcher: matcher(),
        theme,
    };
    for line in 0..usize::from(layout.rows.height) {
        let position = state.list.top + line;
        let Some(row) = state.list.get(position) else {
            break;
        };
        let is_selected = position == state.list.selected;
        painter.draw(
            &mut ScreenLine::new(buffer, layout.rows, line),
            row,
            is_selected,
        );
    }
    if let Some(notice) = state.notice() {
        ScreenLine::new(buffer, layout.notice, 0).fill(notice, theme.attention);
    }
    let status = status(state, usize::from(layout.status.width));
    ScreenLine::new(buffer, layout.status, 0).fill(&status, theme.quiet);
    if let Some(part) = layout.preview {
        preview::draw_beside(buffer, part, state, theme);
    }
    draw_input(frame, layout.filter, state, theme);
}

fn draw_input(frame: &mut Frame<'_>, part: Rect, state: &PickerState, theme: &Theme) {
    match &state.mode {
        Mode::Rename(title) => draw_editor(frame, part, "new title: ", title, theme),
        _ => draw_editor(frame, part, "filter: ", &state.filter, theme),
    }
}

fn draw_headings(line: &mut ScreenLine<'_>, columns: &Columns, theme: &Theme) {
    for (column, cells) in columns {
        let x = MARK.len() + cells.start;
        match column.is_right_aligned() {
            true => line.write_right(x, cells.len(), column.heading(), theme.quiet),
            false => line.write(x, cells.len(), column.heading(), theme.quiet),
        }
    }
}

/// Draws rows with the letters that match the filter.
struct RowPainter<'a> {
    columns: &'a Columns,
    filter: &'a Filter,
    matcher: Matcher,
    theme: &'a Theme,
}

impl RowPainter<'_> {
    fn draw(&mut self, line: &mut ScreenLine<'_>, row: &PickerRow, is_selected: bool) {
        for (column, cells) in self.columns {
            let (x, room, text) = (MARK.len() + cells.start, cells.len(), column.text(row));
            let style = match column {
                Column::Title => Style::new(),
                Column::Lock => self.theme.attention,
                _ => self.theme.quiet,
            };
            if !column.is_searched() {
                match column.is_right_aligned() {
                    true => line.write_right(x, room, text, style),
                    false => line.write(x, room, text, style),
                }
                continue;
            }
            let kept = match column {
                Column::Project => Kept::End,
                _ => Kept::Start,
            };
            let marks = self.filter.marks(text, &mut self.matcher);
            line.write_marked(x, room, text, kept, (style, self.theme.found), &marks);
        }
        if is_selected {
            line.write(0, MARK.len(), MARK, self.theme.strong);
            line.set_style(self.theme.selected);
        }
    }
}

/// Returns the last line: how many sessions are listed, which ones, and the keys.
fn status(state: &PickerState, width: usize) -> String {
    if matches!(state.mode, Mode::Rename(_)) {
        return with_keys(width, "Enter: save", &["Esc: cancel"]);
    }
    let mut status = counts(&state.list) + &state.list.summary();
    if state.is_fetching {
        status += "  fetching";
    }
    let esc = match state.filter.text() {
        "" => "Esc: cancel",
        _ => "Esc: clear",
    };
    let preview = match state.filter.text() {
        "" => "Space: preview",
        _ => "Tab: preview",
    };
    let help = match state.filter.text() {
        "" => "?: help",
        _ => "F1: help",
    };
    let keys = [
        "type to filter",
        "Enter: open",
        help,
        preview,
        "Ctrl+A: all projects",
        "Ctrl+R: rename",
        esc,
    ];
    with_keys(width, &status, &keys)
}

fn counts(list: &RowList) -> String {
    let all = list.count_all();
    match (all, list.len()) {
        (0, _) => "no sessions".to_owned(),
        (_, 0) => format!("no match among {}", count(all as u64, "session")),
        (_, shown) if shown == all => count(all as u64, "session"),
        (_, shown) => format!("{shown} of {}", count(all as u64, "session")),
    }
}
