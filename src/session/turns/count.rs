//! Counting the turns of the user without reading the conversation.

use super::record::{Record, USER_RECORD_TYPES};
use crate::domain::turn::TurnSpeaker;
use crate::session::fields::with_value;

/// Counts the user's turns in `lines`: the records with something that the user typed.
///
/// Turns on abandoned branches count, too. Only lines that may be such a record are parsed, so
/// that counting costs a search.
pub fn count_user_turns(lines: &[u8]) -> u64 {
    let (mut count, mut from) = (0, 0);
    let mut marks = USER_RECORD_TYPES.map(|kind| with_value(lines, "type", kind).peekable());
    while let Some(at) = marks
        .iter_mut()
        .filter_map(|mark| mark.peek().copied())
        .min()
    {
        let start = memchr::memrchr(b'\n', &lines[from..at]).map_or(from, |end| from + end + 1);
        from = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |end| at + end);
        count += u64::from(is_user_turn(&lines[start..from]));
        for mark in &mut marks {
            while mark.next_if(|at| *at < from).is_some() {}
        }
    }
    count
}

fn is_user_turn(line: &[u8]) -> bool {
    // The result of a tool is not typed, and it may be long.
    let has_type = |kind| with_value(line, "type", kind).next().is_some();
    if has_type("tool_result\"") && !has_type("text\"") {
        return false;
    }
    Record::parse(line)
        .and_then(|record| record.speech)
        .is_some_and(|speech| speech.speaker == TurnSpeaker::User)
}
