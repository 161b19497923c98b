//! Counting the turns of the user without reading the conversation.

use memchr::memmem;

use super::record::{Record, USER_RECORD_MARKS};
use crate::domain::TurnSpeaker;

/// Counts the user's turns in `lines`: the records with something that the user typed.
///
/// Turns on abandoned branches count, too. Only lines that may be such a record are parsed, so
/// that counting costs a search.
pub fn count_user_turns(lines: &[u8]) -> u64 {
    let (mut count, mut from) = (0, 0);
    let mut marks = USER_RECORD_MARKS.map(|mark| (mark, memmem::find(lines, mark)));
    while let Some(at) = marks.iter().filter_map(|(_, at)| *at).min() {
        let start = memchr::memrchr(b'\n', &lines[from..at]).map_or(from, |end| from + end + 1);
        from = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |end| at + end);
        count += u64::from(is_user_turn(&lines[start..from]));
        for (mark, at) in marks
            .iter_mut()
            .filter(|(_, at)| at.is_some_and(|at| at < from))
        {
            *at = memmem::find(&lines[from..], mark).map(|at| from + at);
        }
    }
    count
}

fn is_user_turn(line: &[u8]) -> bool {
    // The result of a tool is not typed, and it may be long.
    let is_result = memmem::find(line, b"\"type\":\"tool_result\"").is_some();
    if is_result && memmem::find(line, b"\"type\":\"text\"").is_none() {
        return false;
    }
    Record::parse(line)
        .and_then(|record| record.speech)
        .is_some_and(|speech| speech.speaker == TurnSpeaker::User)
}
