//! Invented transcripts that look like the client's: a chain of records with the fields that resuming needs. Pure.

use std::path::Path;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::id::SessionId;

/// Between two records of a turn.
const STEP: TimeDelta = TimeDelta::seconds(2);

/// A transcript in the making, or the next turns of one.
pub(super) struct Transcript {
    session: String,
    cwd: String,
    time: DateTime<Utc>,
    last: Option<String>,
    text: String,
}

impl Transcript {
    pub(super) fn new(session: &SessionId, cwd: &Path, time: DateTime<Utc>) -> Self {
        let cwd = cwd.to_string_lossy().into_owned();
        Self {
            session: session.to_string(),
            cwd,
            time,
            last: None,
            text: String::new(),
        }
    }

    /// New records for the end of `existing`.
    pub(super) fn after(
        existing: &str,
        session: &SessionId,
        cwd: &Path,
        time: DateTime<Utc>,
    ) -> Self {
        let uuid = |line: &str| {
            Some(
                serde_json::from_str::<Value>(line)
                    .ok()?
                    .get("uuid")?
                    .as_str()?
                    .to_owned(),
            )
        };
        Self {
            last: existing.lines().rev().find_map(uuid),
            ..Self::new(session, cwd, time)
        }
    }

    /// A question, a file that is looked at, an answer.
    pub(super) fn turn(&mut self, question: &str, answer: &str) {
        let tool = format!("toolu_{}", Uuid::new_v4().simple());
        let file = format!("{}/plan.md", self.cwd);
        self.user(&json!(question));
        self.assistant(
            &json!({"type": "tool_use", "id": tool, "name": "Read", "input": {"file_path": file}}),
        );
        self.user(&json!([{"type": "tool_result", "tool_use_id": tool, "content": format!("1\tplan of {file}")}]));
        self.assistant(&json!({"type": "text", "text": answer}));
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn user(&mut self, content: &Value) {
        self.record("user", &json!({"role": "user", "content": content}));
    }

    fn assistant(&mut self, block: &Value) {
        let id = format!("msg_{}", Uuid::new_v4().simple());
        let model = "an-invented-model";
        self.record(
            "assistant",
            &json!({"id": id, "role": "assistant", "model": model, "content": [block]}),
        );
    }

    fn record(&mut self, kind: &str, message: &Value) {
        let uuid = Uuid::new_v4().to_string();
        let record = json!({
            "parentUuid": self.last, "isSidechain": false, "type": kind, "message": message, "uuid": uuid,
            "timestamp": self.time.to_rfc3339_opts(SecondsFormat::Millis, true), "userType": "external",
            "entrypoint": "cli", "cwd": self.cwd, "sessionId": self.session, "version": "2.1.329",
        });
        self.text.push_str(&format!("{record}\n"));
        self.last = Some(uuid);
        self.time += STEP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_transcript_append_continues_record_chain() {
        let session: SessionId = "11111111-0000-4000-8000-000000000001".parse().unwrap();
        let start = DateTime::UNIX_EPOCH;
        let mut first = Transcript::new(&session, Path::new("/w"), start);
        first.turn("q", "a");
        let mut more = Transcript::after(first.text(), &session, Path::new("/w"), start);
        more.turn("r", "b");
        let whole = format!("{}{}", first.text(), more.text());
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
