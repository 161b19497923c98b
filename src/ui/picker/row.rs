//! One session as it is shown and found: texts made harmless once, columns in words, and all that a filter looks through.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::item::Item;
use crate::domain::id::SessionId;
use crate::ui::format;
use crate::ui::report;
use crate::ui::sanitize::one_line;

/// A session in the list.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) session: SessionId,
    pub(super) age: String,
    pub(super) project: String,
    pub(super) title: String,
    pub(super) machine: String,
    pub(super) size: String,
    pub(super) lock: String,
    /// `here`, `fork`, both or nothing.
    pub(super) marks: String,
    /// In lower case. Fields are set apart by a line feed, which no word of a filter has.
    searched: String,
}

/// The rows in the order in which they are shown: the project at hand first, then the newest.
pub(super) fn rows(mut items: Vec<Item>, now: DateTime<Utc>) -> Vec<Row> {
    items.sort_by(|a, b| {
        let order = |item: &Item| (item.is_of_this_project, item.last_activity);
        order(b)
            .cmp(&order(a))
            .then_with(|| a.session.cmp(&b.session))
    });
    items.into_iter().map(|item| Row::new(item, now)).collect()
}

impl Row {
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

    /// Whether each of the words, which are in lower case, occurs somewhere.
    pub(super) fn has_all(&self, words: &[String]) -> bool {
        words
            .iter()
            .all(|word| memchr::memmem::find(self.searched.as_bytes(), word.as_bytes()).is_some())
    }
}

/// The words of a filter, in lower case.
pub(super) fn words(filter: &str) -> Vec<String> {
    filter.split_whitespace().map(str::to_lowercase).collect()
}

/// Where in `text` the words occur: ranges of bytes in order that do not overlap.
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

/// `text` in lower case, and for each byte of it the character it comes from: lower case may be longer.
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
