//! The listed rows and the selected one. Pure.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use super::bindings::Movement;
use super::fuzzy::Filter;
use super::row::PickerRow;
use super::view::{ListView, Surroundings, Toggle};
use crate::domain::SessionId;
use crate::sys::parallel::{in_order, useful_threads};

/// Rows that one thread matches in a row. A thread for fewer costs more than it saves.
const ROWS_PER_THREAD: usize = 2000;

/// The rows of the picker.
pub(super) struct RowList {
    rows: Vec<PickerRow>,
    pub(super) filter: Filter,
    view: ListView,
    /// Indexes of the listed rows: the best match first, then as in `rows`.
    shown: Vec<usize>,
    /// The selected row, as an index into `shown`.
    pub(super) selected: usize,
    /// The first row on the screen, as an index into `shown`.
    pub(super) top: usize,
    /// Number of rows on the screen.
    page: usize,
    now: DateTime<Utc>,
}

impl RowList {
    pub(super) fn new(rows: Vec<PickerRow>, all_projects: bool, now: DateTime<Utc>) -> Self {
        let mut list = Self {
            view: ListView::first(&rows, all_projects),
            rows,
            filter: Filter::default(),
            shown: Vec::new(),
            selected: 0,
            top: 0,
            page: 1,
            now,
        };
        list.shown = list.matching_rows();
        list
    }

    /// Returns all rows, also those that are not listed.
    pub(super) fn all(&self) -> &[PickerRow] {
        &self.rows
    }

    /// Returns the number of rows without those that are hidden in every view.
    pub(super) fn count_all(&self) -> usize {
        let any = ListView::default();
        let rows = self.rows.iter();
        let counted =
            rows.filter(|row| self.view.accepts(row, self.now) || any.accepts(row, self.now));
        counted.count()
    }

    /// Returns which sessions are listed, in words; empty for all.
    pub(super) fn summary(&self) -> String {
        let has_other_projects = self.rows.iter().any(|row| !row.is_of_this_project);
        match self.view.summary(has_other_projects) {
            summary if summary.is_empty() => summary,
            summary => format!(" ({summary})"),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.shown.len()
    }

    /// Returns the listed row at a position.
    pub(super) fn get(&self, position: usize) -> Option<&PickerRow> {
        self.shown.get(position).map(|row| &self.rows[*row])
    }

    pub(super) fn selected(&self) -> Option<&PickerRow> {
        self.get(self.selected)
    }

    /// Sets the number of rows on the screen. Keeps the selected row visible.
    pub(super) fn set_page(&mut self, rows: usize) {
        self.page = rows.max(1);
        self.scroll();
    }

    pub(super) fn move_selection(&mut self, movement: Movement) {
        let last = self.last();
        self.selected = match movement {
            Movement::Up => self.selected.saturating_sub(1),
            Movement::Down => (self.selected + 1).min(last),
            Movement::PageUp => self.selected.saturating_sub(self.page),
            Movement::PageDown => (self.selected + self.page).min(last),
            Movement::First => 0,
            Movement::Last => last,
        };
        self.scroll();
    }

    /// Selects the row at a position, if there is one.
    pub(super) fn select(&mut self, position: usize) {
        if position < self.len() {
            self.selected = position;
            self.scroll();
        }
    }

    /// Applies another filter, and selects the best match.
    pub(super) fn set_filter(&mut self, filter: &str) {
        let filter = Filter::new(filter);
        if !filter.is_same(&self.filter) {
            self.filter = filter;
            self.shown = self.matching_rows();
            (self.selected, self.top) = (0, 0);
        }
    }

    /// Changes one choice of the view. The same session stays selected.
    ///
    /// # Errors
    /// The reason why there is nothing to choose.
    pub(super) fn toggle(
        &mut self,
        toggle: Toggle,
        here: &Surroundings,
    ) -> Result<(), &'static str> {
        let machines = self.machines(&here.machine);
        self.view.toggle(toggle, here, &machines)?;
        self.keep_selection(|_| {});
        Ok(())
    }

    /// Replaces all rows. The same session stays selected, on the same line.
    pub(super) fn replace(&mut self, rows: Vec<PickerRow>) {
        self.keep_selection(|list| list.rows = rows);
    }

    /// Gives a row another title.
    pub(super) fn rename(&mut self, session: &SessionId, title: &str) {
        self.keep_selection(|list| {
            let rows = list.rows.iter_mut();
            rows.filter(|row| row.session == *session)
                .for_each(|row| row.rename(title));
        });
    }

    fn keep_selection(&mut self, change: impl FnOnce(&mut Self)) {
        let selected = self.selected().map(|row| row.session.clone());
        let line = self.selected - self.top;
        change(self);
        self.shown = self.matching_rows();
        let position = selected.and_then(|session| {
            let mut shown = self.shown.iter();
            shown.position(|row| self.rows[*row].session == session)
        });
        self.selected = position.unwrap_or(self.selected.min(self.last()));
        if self.top > 0 {
            self.top = self.selected.saturating_sub(line);
        }
        self.scroll();
    }

    /// Returns the machines of all rows, this one first.
    fn machines(&self, this: &str) -> Vec<String> {
        let names: BTreeSet<&str> = self.rows.iter().map(|row| row.machine.as_str()).collect();
        let (own, others): (Vec<&str>, Vec<&str>) = names
            .into_iter()
            .filter(|name| !name.is_empty())
            .partition(|name| *name == this);
        own.into_iter().chain(others).map(str::to_owned).collect()
    }

    fn matching_rows(&self) -> Vec<usize> {
        let rows = self.rows.iter().enumerate();
        let listed = rows.filter(|(_, row)| self.view.accepts(row, self.now));
        let listed: Vec<usize> = listed.map(|(number, _)| number).collect();
        if self.filter.is_empty() {
            return listed;
        }
        let mut matches = self.matches(&listed);
        // Equally good matches stay in the order of the rows.
        matches.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        matches.into_iter().map(|(_, row)| row).collect()
    }

    /// Returns the rows that match, with their scores, in order.
    fn matches(&self, rows: &[usize]) -> Vec<(u32, usize)> {
        let parts: Vec<&[usize]> = rows.chunks(ROWS_PER_THREAD).collect();
        let mut matches = Vec::with_capacity(rows.len());
        in_order(
            &parts,
            useful_threads(parts.len(), 1),
            |queue| {
                let mut scorer = self.filter.scorer();
                queue.each(|part| {
                    let scored = part.iter().filter_map(|number| {
                        let score = scorer.score(&self.rows[*number].searched)?;
                        Some((score, *number))
                    });
                    scored.collect::<Vec<_>>()
                });
            },
            &mut |part| {
                matches.extend(part);
                ControlFlow::Continue(())
            },
        );
        matches
    }

    fn last(&self) -> usize {
        self.len().saturating_sub(1)
    }

    fn scroll(&mut self) {
        let last_top = self.len().saturating_sub(self.page);
        let lowest = (self.selected + 1).saturating_sub(self.page);
        self.top = self.top.clamp(lowest, self.selected).min(last_top);
    }
}
