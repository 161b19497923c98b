//! The state of the picker. Pure: takes a key, returns the next step.

use chrono::{DateTime, Utc};

use super::item::{Fetched, Item, Picked};
use super::key::PickerKey;
use super::preview::PreviewPane;
use super::row::{PickerRow, rows, words};
use crate::domain::{SessionId, Turn};
use crate::ui::sanitize::one_line;

/// Next step after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PickerStep {
    /// Draw again.
    Draw,
    /// Fetch the turns of this session and give them to [`PickerState::open_preview`].
    Preview(SessionId),
    End(Picked),
}

/// The whole state of the picker.
pub(super) struct PickerState {
    pub(super) rows: Vec<PickerRow>,
    pub(super) filter: String,
    /// The filter's words in lower case.
    pub(super) words: Vec<String>,
    /// Indexes of the rows that match.
    pub(super) shown: Vec<usize>,
    /// The selected row, as an index into `shown`.
    pub(super) selected: usize,
    /// The first row on the screen, as an index into `shown`.
    pub(super) top: usize,
    /// Number of rows on the screen.
    page: usize,
    pub(super) preview: Option<PreviewPane>,
    pub(super) now: DateTime<Utc>,
    /// `None`: nothing is being fetched.
    pub(super) fetch: Option<FetchStatus>,
}

/// State of the fetch that runs while the list is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FetchStatus {
    Running,
    /// For this reason.
    Failed(String),
}

impl PickerState {
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
            fetch: None,
        }
    }

    /// Returns the selected row, if any is shown.
    pub(super) fn selected_row(&self) -> Option<&PickerRow> {
        self.shown.get(self.selected).map(|row| &self.rows[*row])
    }

    /// Sets the number of rows on the screen. Keeps the selected row visible.
    pub(super) fn set_page(&mut self, rows: usize) {
        self.page = rows.max(1);
        self.scroll();
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: PickerKey) -> PickerStep {
        match key {
            PickerKey::Cancel => return PickerStep::End(Picked::Cancelled),
            PickerKey::Enter => return self.choose(),
            _ => {}
        }
        if self.preview.is_some() {
            self.press_in_preview(key)
        } else {
            self.press_in_list(key)
        }
    }

    /// Handles pasted text.
    pub(super) fn paste(&mut self, text: &str) -> PickerStep {
        if self.preview.is_none() {
            let typed = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            self.filter.extend(typed);
            self.refilter();
        }
        PickerStep::Draw
    }

    /// Replaces the filter.
    pub(super) fn set_filter(&mut self, filter: &str) {
        filter.clone_into(&mut self.filter);
        self.refilter();
    }

    /// Shows what was fetched. The same session stays selected.
    pub(super) fn end_fetch(&mut self, fetched: Fetched) {
        let items = match fetched {
            Ok(items) => items,
            Err(reason) => {
                self.fetch = Some(FetchStatus::Failed(one_line(&reason).into_owned()));
                return self.scroll();
            }
        };
        self.fetch = None;
        let selected = self.selected_row().map(|row| row.session.clone());
        let line = self.selected - self.top;
        self.rows = rows(items, self.now);
        self.shown = self.matching_rows();
        let mut shown = self.shown.iter().map(|row| &self.rows[*row].session);
        let last = self.shown.len().saturating_sub(1);
        self.selected = selected
            .and_then(|session| shown.position(|row| *row == session))
            .unwrap_or(self.selected.min(last));
        if self.top > 0 {
            self.top = self.selected.saturating_sub(line);
        }
        self.scroll();
    }

    /// Shows the turns of the selected session, or the reason why it cannot.
    pub(super) fn open_preview(&mut self, turns: Result<Vec<Turn>, String>) {
        self.preview = Some(PreviewPane::new(turns));
    }

    fn press_in_list(&mut self, key: PickerKey) -> PickerStep {
        let last = self.shown.len().saturating_sub(1);
        match key {
            PickerKey::Escape => return PickerStep::End(Picked::Cancelled),
            PickerKey::Tab | PickerKey::Right => {
                return self.selected_row().map_or(PickerStep::Draw, |row| {
                    PickerStep::Preview(row.session.clone())
                });
            }
            PickerKey::Char(c) => {
                self.filter.push(c);
                self.refilter();
            }
            PickerKey::Backspace => {
                self.filter.pop();
                self.refilter();
            }
            PickerKey::Clear => {
                self.filter.clear();
                self.refilter();
            }
            PickerKey::Up => self.selected = self.selected.saturating_sub(1),
            PickerKey::Down => self.selected = (self.selected + 1).min(last),
            PickerKey::PageUp => self.selected = self.selected.saturating_sub(self.page),
            PickerKey::PageDown => self.selected = (self.selected + self.page).min(last),
            PickerKey::Home => self.selected = 0,
            PickerKey::End => self.selected = last,
            PickerKey::Left | PickerKey::Enter | PickerKey::Cancel => {}
        }
        self.scroll();
        PickerStep::Draw
    }

    fn press_in_preview(&mut self, key: PickerKey) -> PickerStep {
        match key {
            PickerKey::Escape | PickerKey::Left | PickerKey::Tab => self.preview = None,
            key => self
                .preview
                .iter_mut()
                .for_each(|preview| preview.press(key)),
        }
        PickerStep::Draw
    }

    fn choose(&self) -> PickerStep {
        self.selected_row().map_or(PickerStep::Draw, |row| {
            PickerStep::End(Picked::Chosen(row.session.clone()))
        })
    }

    /// Applies the filter and selects the first row.
    fn refilter(&mut self) {
        self.words = words(&self.filter);
        self.shown = self.matching_rows();
        (self.selected, self.top) = (0, 0);
    }

    fn matching_rows(&self) -> Vec<usize> {
        (0..self.rows.len())
            .filter(|row| self.rows[*row].has_all(&self.words))
            .collect()
    }

    fn scroll(&mut self) {
        let last_top = self.shown.len().saturating_sub(self.page);
        let lowest = (self.selected + 1).saturating_sub(self.page);
        self.top = self.top.clamp(lowest, self.selected).min(last_top);
    }
}
