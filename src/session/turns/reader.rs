//! Reading the turns of a transcript, line by line.

use super::outline::{Outline, continues_turn};
use super::record::{Record, Speech};
use crate::domain::Turn;

/// Returns the turns in `lines`, the oldest first.
pub fn turns(lines: &[u8]) -> Vec<Turn> {
    last_turns(lines, usize::MAX)
}

/// Returns the last turns in `lines`, at most `limit`, the oldest first.
pub fn last_turns(lines: &[u8], limit: usize) -> Vec<Turn> {
    let lines = || lines.split(|byte| *byte == b'\n');
    let mut outline = Outline::default();
    lines().for_each(|line| outline.add(line));
    let mut reader = TurnReader::new(&outline, limit);
    let mut turns: Vec<Turn> = lines().filter_map(|line| reader.add(line)).collect();
    turns.extend(reader.finish());
    turns
}

/// Returns the turns of a transcript, line by line.
pub struct TurnReader {
    /// True for each record that belongs to the conversation.
    live: Vec<bool>,
    /// Records seen.
    seen: usize,
    /// Turns still to be skipped at the beginning.
    skip: usize,
    /// Turns that are returned, and turns that are skipped.
    extent: (u64, u64),
    open: Option<Turn>,
}

impl TurnReader {
    /// Creates a reader of the last turns, at most `limit`, of the transcript in `outline`.
    pub fn new(outline: &Outline, limit: usize) -> Self {
        let live = outline.live();
        let all = outline.count_turns(&live);
        let skip = all.saturating_sub(limit);
        Self {
            live,
            seen: 0,
            skip,
            extent: ((all - skip) as u64, skip as u64),
            open: None,
        }
    }

    /// Returns how many turns will be returned, and how many are skipped before them.
    pub fn extent(&self) -> (u64, u64) {
        self.extent
    }

    /// Adds the next line. Returns the turn that ended before it, if any.
    pub fn add(&mut self, line: &[u8]) -> Option<Turn> {
        let record = Record::parse(line)?;
        self.seen += 1;
        let is_live = self.live.get(self.seen - 1).copied().unwrap_or(false);
        let speech = record.speech.filter(|_| is_live)?;
        if let Some(open) = &mut self.open
            && continues_turn(
                (open.speaker, !open.tools.is_empty()),
                (speech.speaker, !speech.text.is_empty()),
            )
        {
            if !open.text.is_empty() && !speech.text.is_empty() {
                open.text.push_str("\n\n");
            }
            open.text.push_str(&speech.text);
            open.tools.extend(speech.tools);
            return None;
        }
        let ended = self.open.replace(speech.into());
        self.unless_skipped(ended)
    }

    /// Returns the last turn of the transcript, unless it is skipped.
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

impl From<Speech> for Turn {
    fn from(speech: Speech) -> Self {
        Self {
            speaker: speech.speaker,
            time: speech.time,
            text: speech.text,
            tools: speech.tools,
        }
    }
}
