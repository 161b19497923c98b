//! A transcript as a conversation: who said what, and which tools were used.
//!
//! Reads whole lines, from wherever in a transcript they begin; what cannot be read is passed over. Left out is what nobody said: tool
//! results, reminders, records of sub-agents, and branches that were left by going back. Record kinds as of client 2.1.329. Pure.

mod record;
mod words;

use std::collections::HashSet;

use memchr::memmem;

use self::record::{Record, Speech};
use crate::domain::turn::{Turn, Who};

/// The turns in `lines`, the oldest first.
pub fn turns(lines: &[u8]) -> Vec<Turn> {
    let records: Vec<Record> = lines.split(|byte| *byte == b'\n').filter_map(Record::parse).collect();
    let live = live(&records);
    let mut turns: Vec<Turn> = Vec::new();
    for (record, _) in records.into_iter().zip(live).filter(|(_, is_live)| *is_live) {
        if let Some(speech) = record.speech {
            add(&mut turns, speech);
        }
    }
    turns
}

/// The last `most` turns in `lines`, the oldest first.
pub fn last_turns(lines: &[u8], most: usize) -> Vec<Turn> {
    let mut turns = turns(lines);
    turns.drain(..turns.len().saturating_sub(most));
    turns
}

/// How many turns of a person `lines` hold: each record in which somebody typed something, as [`turns`] tells them apart. One that was left
/// by going back counts too: it was said. Only such lines are parsed, so that counting costs a search.
pub fn count_of_persons(lines: &[u8]) -> u64 {
    let (mut count, mut from) = (0, 0);
    while let Some(at) = memmem::find(&lines[from..], b"\"type\":\"user\"") {
        let at = from + at;
        let start = memchr::memrchr(b'\n', &lines[..at]).map_or(0, |end| end + 1);
        from = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |end| at + end);
        let line = &lines[start..from];
        // Nobody typed a tool's result, and it may be long.
        let is_result = memmem::find(line, b"\"type\":\"tool_result\"").is_some();
        if is_result && memmem::find(line, b"\"type\":\"text\"").is_none() {
            continue;
        }
        let said_by_person = |record: &Record| record.speech.as_ref().is_some_and(|speech| speech.who == Who::User);
        count += u64::from(Record::parse(line).as_ref().is_some_and(said_by_person));
    }
    count
}

/// The model speaks in pieces, one record each; they are one turn until it has used tools and speaks again.
fn add(turns: &mut Vec<Turn>, speech: Speech) {
    let Speech { who, time, text, tools } = speech;
    if let Some(last) = turns.last_mut()
        && (who, last.who) == (Who::Assistant, Who::Assistant)
        && (text.is_empty() || last.tools.is_empty())
    {
        if !last.text.is_empty() && !text.is_empty() {
            last.text.push_str("\n\n");
        }
        last.text.push_str(&text);
        last.tools.extend(tools);
    } else {
        turns.push(Turn { who, time, text, tools });
    }
}

/// Which records belong to the conversation as it is now. Going back and asking something else leaves a branch behind: what
/// stands after the point of return and is no ancestor of the last record.
///
/// Where the ancestors cannot be followed further (the lines begin later, a record is unreadable, a compaction), everything before
/// is taken as it stands.
fn live(records: &[Record]) -> Vec<bool> {
    let mut ancestors = HashSet::new();
    let mut messages = HashSet::new();
    let mut wanted: Option<&str> = None;
    let mut followed_to = records.len();
    for (at, record) in records.iter().enumerate().rev() {
        let Some(uuid) = record.uuid.as_deref() else { continue };
        if wanted.is_some_and(|wanted| wanted != uuid) || (wanted.is_none() && !ancestors.is_empty()) {
            continue;
        }
        ancestors.insert(uuid);
        // Tools used at the same time are records of one message, of which only one need be an ancestor.
        messages.extend(record.message.as_deref());
        wanted = record.parent.as_deref();
        followed_to = at;
    }
    let is_live = |(at, record): (usize, &Record)| {
        let is_ancestor = record.uuid.as_deref().is_none_or(|uuid| ancestors.contains(uuid));
        at < followed_to || is_ancestor || record.message.as_deref().is_some_and(|id| messages.contains(id))
    };
    records.iter().enumerate().map(is_live).collect()
}

#[cfg(test)]
mod tests;
