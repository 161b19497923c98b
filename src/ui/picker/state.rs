//! The state of the picker. Pure: a key in, the next step out.

use chrono::{DateTime, Utc};

use super::item::{Item, Picked};
use super::key::Key;
use super::preview::PreviewPane;
use super::row::{Row, rows, words};
use crate::domain::id::SessionId;
use crate::domain::turn::Turn;

/// Next step after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Draw again.
    Draw,
    /// Fetch the turns of this session and give them to [`State::open_preview`].
    Preview(SessionId),
    End(Picked),
}

/// The whole state of the picker.
pub(super) struct State {
    pub(super) rows: Vec<Row>,
    pub(super) filter: String,
    /// The filter's words in lower case.
    pub(super) words: Vec<String>,
    /// Which rows have them.
    pub(super) shown: Vec<usize>,
    /// The one at hand, as an index into `shown`.
    pub(super) selected: usize,
    /// The first on the screen, as an index into `shown`.
    pub(super) top: usize,
    /// How many rows the screen has for the list.
    page: usize,
    pub(super) preview: Option<PreviewPane>,
    pub(super) now: DateTime<Utc>,
}

impl State {
    pub(super) fn new(items: Vec<Item>, now: DateTime<Utc>) -> Self {
        let rows = rows(items, now);
        let shown = (0..rows.len()).collect();
        Self {
            rows,
            filter: String::new(),
            words: Vec::new(),
            shown,
            selected: 0,
            top: 0,
            page: 1,
            preview: None,
            now,
        }
    }

    /// The row at hand, if any is shown.
    pub(super) fn selected_row(&self) -> Option<&Row> {
        self.shown.get(self.selected).map(|row| &self.rows[*row])
    }

    /// Tells how many rows the screen has for the list; the one at hand stays on it.
    pub(super) fn set_page(&mut self, rows: usize) {
        self.page = rows.max(1);
        self.scroll();
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: Key) -> Step {
        match key {
            Key::Cancel => return Step::End(Picked::Cancelled),
            Key::Enter => return self.choose(),
            _ => {}
        }
        if self.preview.is_some() {
            self.press_in_preview(key)
        } else {
            self.press_in_list(key)
        }
    }

    /// Takes text that was pasted.
    pub(super) fn paste(&mut self, text: &str) -> Step {
        if self.preview.is_none() {
            let typed = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            self.filter.extend(typed);
            self.refilter();
        }
        Step::Draw
    }

    /// Takes a whole filter in place of the present one.
    pub(super) fn set_filter(&mut self, filter: &str) {
        filter.clone_into(&mut self.filter);
        self.refilter();
    }

    /// Shows the turns of the session at hand, or why there are none.
    pub(super) fn open_preview(&mut self, turns: Result<Vec<Turn>, String>) {
        self.preview = Some(PreviewPane::new(turns));
    }

    fn press_in_list(&mut self, key: Key) -> Step {
        let last = self.shown.len().saturating_sub(1);
        match key {
            Key::Escape => return Step::End(Picked::Cancelled),
            Key::Tab | Key::Right => {
                return self
                    .selected_row()
                    .map_or(Step::Draw, |row| Step::Preview(row.session.clone()));
            }
            Key::Char(c) => {
                self.filter.push(c);
                self.refilter();
            }
            Key::Backspace => {
                self.filter.pop();
                self.refilter();
            }
            Key::Clear => {
                self.filter.clear();
                self.refilter();
            }
            Key::Up => self.selected = self.selected.saturating_sub(1),
            Key::Down => self.selected = (self.selected + 1).min(last),
            Key::PageUp => self.selected = self.selected.saturating_sub(self.page),
            Key::PageDown => self.selected = (self.selected + self.page).min(last),
            Key::Home => self.selected = 0,
            Key::End => self.selected = last,
            Key::Left | Key::Enter | Key::Cancel => {}
        }
        self.scroll();
        Step::Draw
    }

    fn press_in_preview(&mut self, key: Key) -> Step {
        match key {
            Key::Escape | Key::Left | Key::Tab => self.preview = None,
            key => self.preview.iter_mut().for_each(|look| look.press(key)),
        }
        Step::Draw
    }

    fn choose(&self) -> Step {
        self.selected_row().map_or(Step::Draw, |row| {
            Step::End(Picked::Chosen(row.session.clone()))
        })
    }

    /// Another filter is another list: it begins at its first row.
    fn refilter(&mut self) {
        self.words = words(&self.filter);
        self.shown = (0..self.rows.len())
            .filter(|row| self.rows[*row].has_all(&self.words))
            .collect();
        (self.selected, self.top) = (0, 0);
    }

    fn scroll(&mut self) {
        let last_top = self.shown.len().saturating_sub(self.page);
        let lowest = (self.selected + 1).saturating_sub(self.page);
        self.top = self.top.clamp(lowest, self.selected).min(last_top);
    }
}
