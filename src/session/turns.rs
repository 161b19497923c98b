//! A transcript as a conversation: who said what, and which tools were used.
//!
//! Reads whole lines, from wherever in a transcript they begin; what cannot be read is passed over. Left out is what nobody said: tool
//! results, reminders, records of sub-agents, and branches that were left by going back. Record kinds as of client 2.1.329. Pure.
//!
//! A transcript is read twice, so that none has to be held in memory: an [`Outline`] learns which records belong to the conversation, then
//! [`Telling`] gives their turns.

mod outline;
mod record;
mod words;

use memchr::memmem;

pub use self::outline::Outline;
pub(super) use self::record::parse;
use self::record::{MARKS_OF_PERSONS, Record, Speech};
pub(super) use self::words::typed_pieces;
use crate::domain::turn::{Turn, Who};

/// The turns in `lines`, the oldest first.
pub fn turns(lines: &[u8]) -> Vec<Turn> {
    last_turns(lines, usize::MAX)
}

/// The last `most` turns in `lines`, the oldest first.
pub fn last_turns(lines: &[u8], most: usize) -> Vec<Turn> {
    let lines = || lines.split(|byte| *byte == b'\n');
    let mut outline = Outline::default();
    lines().for_each(|line| outline.add(line));
    let mut telling = Telling::of_last(&outline, most);
    let mut turns: Vec<Turn> = lines().filter_map(|line| telling.add(line)).collect();
    turns.extend(telling.finish());
    turns
}

/// How many turns of a person `lines` hold: each record in which somebody typed something, as [`turns`] tells them apart. One that was left
/// by going back counts too: it was said. Only lines that may be such a record are parsed, so that counting costs a search.
pub fn count_of_persons(lines: &[u8]) -> u64 {
    let (mut count, mut from) = (0, 0);
    let mut marks = MARKS_OF_PERSONS.map(|mark| (mark, memmem::find(lines, mark)));
    while let Some(at) = marks.iter().filter_map(|(_, at)| *at).min() {
        let start = memchr::memrchr(b'\n', &lines[from..at]).map_or(from, |end| from + end + 1);
        from = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |end| at + end);
        count += u64::from(is_of_person(&lines[start..from]));
        for (mark, at) in marks
            .iter_mut()
            .filter(|(_, at)| at.is_some_and(|at| at < from))
        {
            *at = memmem::find(&lines[from..], mark).map(|at| from + at);
        }
    }
    count
}

fn is_of_person(line: &[u8]) -> bool {
    // Nobody typed a tool's result, and it may be long.
    let is_result = memmem::find(line, b"\"type\":\"tool_result\"").is_some();
    if is_result && memmem::find(line, b"\"type\":\"text\"").is_none() {
        return false;
    }
    Record::parse(line)
        .and_then(|record| record.speech)
        .is_some_and(|speech| speech.who == Who::User)
}

/// Gives the turns of a transcript, line by line.
pub struct Telling {
    /// Of each record whether it belongs to the conversation.
    live: Vec<bool>,
    /// Records seen.
    seen: usize,
    /// Turns that are left out at the beginning, and are still to come.
    skip: usize,
    /// Turns that are given, and that are left out.
    extent: (u64, u64),
    open: Option<Turn>,
}

impl Telling {
    /// Of the last `most` turns of the transcript that `outline` has seen.
    pub fn of_last(outline: &Outline, most: usize) -> Self {
        let live = outline.live();
        let all = outline.turns(&live);
        let skip = all.saturating_sub(most);
        Self {
            live,
            seen: 0,
            skip,
            extent: ((all - skip) as u64, skip as u64),
            open: None,
        }
    }

    /// How many turns will be given, and how many are left out before them.
    pub fn extent(&self) -> (u64, u64) {
        self.extent
    }

    /// Takes in the next line; gives the turn that ended before it, if one did and is not left out.
    pub fn add(&mut self, line: &[u8]) -> Option<Turn> {
        let record = Record::parse(line)?;
        self.seen += 1;
        let is_live = self.live.get(self.seen - 1).copied().unwrap_or(false);
        let Speech {
            who,
            time,
            text,
            tools,
        } = record.speech.filter(|_| is_live)?;
        if let Some(open) = &mut self.open
            && goes_on((open.who, !open.tools.is_empty()), (who, !text.is_empty()))
        {
            if !open.text.is_empty() && !text.is_empty() {
                open.text.push_str("\n\n");
            }
            open.text.push_str(&text);
            open.tools.extend(tools);
            return None;
        }
        let ended = self.open.replace(Turn {
            who,
            time,
            text,
            tools,
        });
        self.unless_skipped(ended)
    }

    /// The turn with which the transcript ends, if it is not left out.
    pub fn finish(mut self) -> Option<Turn> {
        let ended = self.open.take();
        self.unless_skipped(ended)
    }

    fn unless_skipped(&mut self, ended: Option<Turn>) -> Option<Turn> {
        let is_skipped = ended.is_some() && self.skip > 0;
        self.skip -= usize::from(is_skipped);
        ended.filter(|_| !is_skipped)
    }
}

/// The model speaks in pieces, one record each; they are one turn until it has used tools and speaks again. `before`: who spoke, and
/// whether tools were used; `next`: who speaks, and whether there is text.
fn goes_on(before: (Who, bool), next: (Who, bool)) -> bool {
    (before.0, next.0) == (Who::Assistant, Who::Assistant) && !(before.1 && next.1)
}

#[cfg(test)]
mod tests;
