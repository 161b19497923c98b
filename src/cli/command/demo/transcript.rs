//! Invented transcripts: a chain of records with the fields that Claude Code needs to resume.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use serde::{Deserialize, Serialize};

use crate::domain::SessionId;
use crate::sys::fs::{self, PathError};

/// A question to the stand-in, and its answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Script {
    pub(super) question: String,
    pub(super) answer: String,
    /// Stay open until the file `StageFiles::hold` is removed.
    pub(super) stays_open: bool,
}

/// Time between two records of a turn.
const STEP: TimeDelta = TimeDelta::seconds(2);

/// Appends one turn to a transcript: a question, a tool call that reads a file, and an answer.
///
/// # Errors
/// If the transcript cannot be read or written.
pub(super) fn append_turn(
    transcript: &Path,
    session: &SessionId,
    directory: &Path,
    script: &Script,
    now: DateTime<Utc>,
) -> Result<(), PathError> {
    let existing = match fs::read_to_string(transcript) {
        Err(e) if e.is_not_found() => String::new(),
        read => read?,
    };
    let whole = existing.clone() + &turn_after(&existing, session, directory, script, now);
    fs::write_atomic(transcript, whole.as_bytes())
}

/// Returns the records of one turn, for the end of `existing`.
fn turn_after(
    existing: &str,
    session: &SessionId,
    directory: &Path,
    script: &Script,
    now: DateTime<Utc>,
) -> String {
    let directory = directory.to_string_lossy();
    let tool = format!("toolu_{}", Uuid::new_v4().simple());
    let file = format!("{directory}/plan.md");
    let call =
        json!({"type": "tool_use", "id": tool, "name": "Read", "input": {"file_path": file}});
    let output = format!("1\tplan of {file}");
    let messages = [
        user(&json!(script.question)),
        assistant(&call),
        user(&json!([{"type": "tool_result", "tool_use_id": tool, "content": output}])),
        assistant(&json!({"type": "text", "text": script.answer})),
    ];

    let mut last = existing.lines().rev().find_map(uuid_of);
    let mut text = String::new();
    for (n, message) in (0..).zip(messages) {
        let uuid = Uuid::new_v4().to_string();
        let time = (now + STEP * n).to_rfc3339_opts(SecondsFormat::Millis, true);
        let record = json!({
            "parentUuid": last, "isSidechain": false, "type": message["role"],
            "message": message, "uuid": uuid, "timestamp": time, "userType": "external",
            "entrypoint": "cli", "cwd": directory, "sessionId": session, "version": "2.1.329",
        });
        text.push_str(&format!("{record}\n"));
        last = Some(uuid);
    }
    text
}

fn user(content: &Value) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(block: &Value) -> Value {
    let id = format!("msg_{}", Uuid::new_v4().simple());
    json!({"id": id, "role": "assistant", "model": "an-invented-model", "content": [block]})
}

fn uuid_of(line: &str) -> Option<String> {
    let record: Value = serde_json::from_str(line).ok()?;
    Some(record.get("uuid")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_transcript_append_continues_record_chain() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.jsonl");
        let session: SessionId = "11111111-0000-4000-8000-000000000001".parse().unwrap();
        let script = Script {
            question: "q".to_owned(),
            answer: "a".to_owned(),
            stays_open: false,
        };
        for _ in 0..2 {
            let now = DateTime::UNIX_EPOCH;
            append_turn(&path, &session, Path::new("/w"), &script, now).unwrap();
        }
        let whole = fs::read_to_string(&path).unwrap();
        let records: Vec<Value> = whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(records.len(), 8);
        assert_eq!(records[0]["parentUuid"], Value::Null);
        assert!(
            records
                .windows(2)
                .all(|pair| pair[1]["parentUuid"] == pair[0]["uuid"])
        );
    }
}
