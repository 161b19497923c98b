//! One session in the list: sanitized texts, formatted columns, and the text that the
//! filter searches.

use chrono::{DateTime, Utc};

use super::fuzzy::{SearchedRow, SearchedText};
use super::item::Item;
use crate::domain::SessionId;
use crate::ui::{format, report, sanitize::one_line};

/// A session in the list.
#[derive(Debug)]
pub(super) struct PickerRow {
    pub(super) session: SessionId,
    pub(super) is_of_this_project: bool,
    pub(super) last_activity: Option<DateTime<Utc>>,
    pub(super) age: String,
    pub(super) project: String,
    pub(super) branch: String,
    pub(super) title: String,
    pub(super) machine: String,
    pub(super) size: String,
    pub(super) lock: String,
    /// Other properties, in words: `not here`, `fork`, `#tag`.
    pub(super) marks: String,
    pub(super) is_fork: bool,
    pub(super) is_headless: bool,
    pub(super) is_archived: bool,
    pub(super) searched: SearchedRow,
    first_words: String,
}

/// Returns the rows in display order: the current project first, then the newest.
pub(super) fn rows(mut items: Vec<Item>, now: DateTime<Utc>) -> Vec<PickerRow> {
    items.sort_by(|a, b| {
        let order = |item: &Item| (item.is_of_this_project, item.last_activity);
        order(b)
            .cmp(&order(a))
            .then_with(|| a.session.cmp(&b.session))
    });
    items
        .into_iter()
        .map(|item| PickerRow::new(item, now))
        .collect()
}

impl PickerRow {
    fn new(item: Item, now: DateTime<Utc>) -> Self {
        let clean = |text: &str| one_line(text.trim()).into_owned();
        let marks = marks(&item);
        let first_words = clean(&item.first_words);
        let title = match item.title.trim() {
            "" if !first_words.is_empty() => first_words.clone(),
            title => report::title(Some(title)),
        };
        let mut row = Self {
            age: item
                .last_activity
                .map(|then| format::age(then, now))
                .unwrap_or_default(),
            project: format::project(&item.project),
            branch: clean(&item.branch),
            title,
            machine: clean(&item.machine),
            size: format::bytes(item.bytes),
            lock: clean(item.lock.as_deref().unwrap_or_default()),
            marks,
            is_of_this_project: item.is_of_this_project,
            last_activity: item.last_activity,
            is_fork: item.is_fork,
            is_headless: item.is_headless,
            is_archived: item.is_archived,
            searched: SearchedRow {
                columns: Vec::new(),
                hidden: Vec::new(),
                id: SearchedText::new(item.session.as_str()),
            },
            session: item.session,
            first_words,
        };
        row.prepare_search();
        row
    }

    /// Replaces the title.
    pub(super) fn rename(&mut self, title: &str) {
        self.title = report::title(Some(title));
        self.prepare_search();
    }

    fn prepare_search(&mut self) {
        let columns = [
            &self.title,
            &self.project,
            &self.branch,
            &self.machine,
            &self.lock,
            &self.marks,
        ];
        let filled = columns.into_iter().filter(|text| !text.is_empty());
        self.searched.columns = filled.map(|text| SearchedText::new(text)).collect();
        let is_hidden = !self.first_words.is_empty() && self.first_words != self.title;
        self.searched.hidden = is_hidden
            .then(|| SearchedText::new(&self.first_words))
            .into_iter()
            .collect();
    }
}

fn marks(item: &Item) -> String {
    let tag = one_line(item.tag.trim());
    let tag = (!tag.is_empty()).then(|| format!("#{tag}"));
    let flags = [
        (!item.is_here, "not here"),
        (item.is_fork, "fork"),
        (item.is_headless, "headless"),
        (item.is_archived, "archived"),
    ];
    let words = flags.into_iter().filter(|(is_set, _)| *is_set);
    let words = words.map(|(_, word)| word.to_owned());
    words.chain(tag).collect::<Vec<_>>().join(" ")
}
