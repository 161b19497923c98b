//! Conversations that go on under another id: the client writes `continued-in` when it moves one
//! into the background (`/background`, or the left arrow at an empty prompt; client 2.1.332).
//!
//! Must not decide what is shown of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::discover::find_transcript;
use super::fields::{last_with_value, line_at};
use super::live::ClientProcess;
use super::turns::count_user_turns;
use crate::domain::SessionId;

/// Bytes read at the end of a transcript. The client adds a few records after this one.
const MAX_END_BYTES: u64 = 64 << 10;

/// Maximum number of ids that one conversation is followed through.
pub const MAX_SUCCESSORS: usize = 100;

/// The place where a conversation goes on, as some of its lines tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Continued {
    /// As before these lines.
    #[default]
    Unchanged,
    /// In its own transcript.
    Here,
    /// Under another id.
    In(SessionId),
}

/// Returns what whole lines with so many `turns` of the user tell. A turn after the record is one
/// of this conversation, so that it goes on here.
pub fn continued(lines: &[u8], turns: u64) -> Continued {
    let record = last_with_value(lines, "type", "continued-in", |at| {
        let line = line_at(lines, at);
        let record: serde_json::Value = serde_json::from_slice(line).ok()?;
        let is_own = record["type"] == "continued-in";
        let id = record["continuedInSessionId"].as_str().filter(|_| is_own)?;
        Some((id.parse().ok()?, &lines[at..]))
    });
    match record {
        Some((id, after)) if turns == 0 || count_user_turns(after) == 0 => Continued::In(id),
        None if turns == 0 => Continued::Unchanged,
        _ => Continued::Here,
    }
}

/// Returns what the end of a transcript tells; of one that cannot be read, nothing.
pub fn continued_at_end(transcript: &Path) -> Continued {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(transcript)?;
        let start = file.metadata()?.len().saturating_sub(MAX_END_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        file.take(MAX_END_BYTES).read_to_end(&mut end)?;
        Ok(end)
    };
    let end = read().unwrap_or_default();
    continued(&end, count_user_turns(&end))
}

/// Returns what the end of a session's transcript here tells.
pub fn continued_here(claude_dir: &Path, session: &SessionId) -> Continued {
    find_transcript(claude_dir, session)
        .map(|transcript| continued_at_end(&transcript))
        .unwrap_or_default()
}

/// Returns the id under which a session runs now, and its client. `live`: all running ones.
pub fn running_as<'l>(
    claude_dir: &Path,
    session: &SessionId,
    live: &'l BTreeMap<SessionId, ClientProcess>,
) -> Option<(&'l SessionId, ClientProcess)> {
    let mut at = session.clone();
    for _ in 0..=MAX_SUCCESSORS {
        if let Some((session, client)) = live.get_key_value(&at) {
            return Some((session, *client));
        }
        match continued_here(claude_dir, &at) {
            Continued::In(successor) if !live.is_empty() => at = successor,
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"type":"continued-in","sessionId":"s","continuedInSessionId":"11111111-0000-4000-8000-000000000001"}"#;
    const TURN: &str = r#"{"type":"user","uuid":"u","message":{"role":"user","content":"hi"}}"#;

    #[test]
    fn continued_turn_after_record_stays_here() {
        let of = |lines: &[&str]| {
            let text = lines.join("\n") + "\n";
            continued(text.as_bytes(), count_user_turns(text.as_bytes()))
        };
        let elsewhere = Continued::In("11111111-0000-4000-8000-000000000001".parse().unwrap());
        let state = r#"{"type":"cost-state"}"#;
        assert_eq!(of(&[state]), Continued::Unchanged);
        assert_eq!(of(&[TURN, RECORD, state]), elsewhere);
        assert_eq!(of(&[RECORD]), elsewhere);
        assert_eq!(of(&[RECORD, TURN]), Continued::Here);
        assert_eq!(of(&[TURN]), Continued::Here);
        let nested = r#"{"type":"attachment","attachment":{"type":"continued-in","continuedInSessionId":"11111111-0000-4000-8000-000000000001"}}"#;
        let hostile = r#"{"type":"continued-in","continuedInSessionId":"../x"}"#;
        assert_eq!(of(&[nested, hostile]), Continued::Unchanged);
    }
}
