//! One session in the list: sanitized texts, formatted columns, and the text that the
//! filter searches.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};

use super::fuzzy::{SearchedRow, SharedTexts};
use super::item::Item;
use crate::domain::SessionId;
use crate::sys::parallel::{in_order, useful_threads};
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

/// Items that one thread prepares in a row.
const ITEMS_PER_STEP: usize = 64;
/// A thread for less costs more than it saves.
const STEPS_PER_THREAD: usize = 2;

/// Returns the rows in display order: the current project first, then the newest.
pub(super) fn rows(mut items: Vec<Item>, now: DateTime<Utc>) -> Vec<PickerRow> {
    items.sort_by(|a, b| {
        let order = |item: &Item| (item.is_of_this_project, item.last_activity);
        order(b)
            .cmp(&order(a))
            .then_with(|| a.session.cmp(&b.session))
    });
    let texts = SharedTexts::default();
    let parts: Vec<&[Item]> = items.chunks(ITEMS_PER_STEP).collect();
    let mut rows = Vec::with_capacity(items.len());
    in_order(
        &parts,
        useful_threads(parts.len(), STEPS_PER_THREAD),
        |queue| {
            queue.each(|part| {
                let rows = part.iter().map(|item| PickerRow::new(item, now, &texts));
                rows.collect::<Vec<_>>()
            });
        },
        &mut |part| {
            rows.extend(part);
            ControlFlow::Continue(())
        },
    );
    rows
}

impl PickerRow {
    fn new(item: &Item, now: DateTime<Utc>, texts: &SharedTexts) -> Self {
        let clean = |text: &str| one_line(text.trim()).into_owned();
        let marks = marks(item);
        let first_words = clean(&item.first_words);
        let title = match item.title.trim() {
            "" if !first_words.is_empty() => first_words.clone(),
            title => report::title(Some(title)),
        };
        let project = format::project(&item.project);
        let branch = clean(&item.branch);
        let machine = clean(&item.machine);
        let lock = clean(item.lock.as_deref().unwrap_or_default());
        let columns = [&project, &branch, &machine, &lock, &marks].map(String::as_str);
        let id = item.session.as_str();
        let searched = SearchedRow::new(&title, &columns, &first_words, id, texts);
        Self {
            age: item
                .last_activity
                .map(|then| format::age(then, now))
                .unwrap_or_default(),
            project,
            branch,
            title,
            machine,
            size: format::bytes(item.bytes),
            lock,
            marks,
            is_of_this_project: item.is_of_this_project,
            last_activity: item.last_activity,
            is_fork: item.is_fork,
            is_headless: item.is_headless,
            is_archived: item.is_archived,
            searched,
            session: item.session.clone(),
            first_words,
        }
    }

    /// Replaces the title.
    pub(super) fn rename(&mut self, title: &str) {
        self.title = report::title(Some(title));
        self.searched.set_title(&self.title, &self.first_words);
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
