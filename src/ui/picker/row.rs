//! One session in the list: sanitized texts, formatted columns, and the text that the
//! filter searches.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::item::Item;
use crate::domain::SessionId;
use crate::ui::{format, report, sanitize::one_line};

/// A session in the list.
#[derive(Debug)]
pub(super) struct PickerRow {
    pub(super) session: SessionId,
    pub(super) age: String,
    pub(super) project: String,
    pub(super) title: String,
    pub(super) machine: String,
    pub(super) size: String,
    pub(super) lock: String,
    /// `here`, `fork`, both or nothing.
    pub(super) marks: String,
    /// All searchable fields in lower case, separated by line feeds, which no word
    /// contains.
    searched: String,
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
        let project = format::project(&item.project);
        let first_words = one_line(item.first_words.trim()).into_owned();
        let title = match item.title.trim() {
            "" if !first_words.is_empty() => first_words.clone(),
            title => report::title(Some(title)),
        };
        let machine = one_line(&item.machine).into_owned();
        let searched = [
            title.as_str(),
            &project,
            &machine,
            &first_words,
            item.session.as_str(),
        ]
        .join("\n");
        let marks = [(item.is_here, "here"), (item.is_fork, "fork")];
        Self {
            age: item
                .last_activity
                .map(|then| format::age(then, now))
                .unwrap_or_default(),
            size: format::bytes(item.bytes),
            lock: item
                .lock
                .map(|lock| one_line(&lock).into_owned())
                .unwrap_or_default(),
            marks: marks
                .into_iter()
                .filter(|(is, _)| *is)
                .map(|(_, mark)| mark)
                .collect::<Vec<_>>()
                .join(" "),
            searched: searched.to_lowercase(),
            session: item.session,
            project,
            title,
            machine,
        }
    }

    /// Returns true if the row contains each of the lower-case words.
    pub(super) fn has_all(&self, words: &[String]) -> bool {
        words
            .iter()
            .all(|word| memchr::memmem::find(self.searched.as_bytes(), word.as_bytes()).is_some())
    }
}

/// Splits a filter into words, in lower case.
pub(super) fn words(filter: &str) -> Vec<String> {
    filter.split_whitespace().map(str::to_lowercase).collect()
}

/// Returns the ranges of bytes where the words occur in `text`, sorted and without
/// overlaps.
pub(super) fn occurrences(text: &str, words: &[String]) -> Vec<Range<usize>> {
    let (lower, origins) = lower_with_origins(text);
    let found = words
        .iter()
        .flat_map(|word| lower.match_indices(word.as_str()));
    let mut found: Vec<_> = found
        .map(|(at, word)| origins[at].start..origins[at + word.len() - 1].end)
        .collect();
    found.sort_by_key(|range| range.start);
    found.dedup_by(|next, before| {
        let overlap = next.start <= before.end;
        if overlap {
            before.end = before.end.max(next.end);
        }
        overlap
    });
    found
}

/// Returns `text` in lower case, and for each byte of it the range of its original
/// character. Lower case may be longer.
fn lower_with_origins(text: &str) -> (String, Vec<Range<usize>>) {
    let (mut lower, mut origins) = (
        String::with_capacity(text.len()),
        Vec::with_capacity(text.len()),
    );
    for (at, c) in text.char_indices() {
        lower.extend(c.to_lowercase());
        origins.resize(lower.len(), at..at + c.len_utf8());
    }
    (lower, origins)
}
