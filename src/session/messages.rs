//! All messages of one record: of the user, the model, its tools and their results, also of
//! sub-agents.
//!
//! A search reads records in this way. Excluded are texts that are no messages, and copies:
//! reminders, prompt snapshots, copies of requests, the queue of prompts, thinking, images and
//! other base64. Record kinds as of client 2.1.329. Pure.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::time::parse_time;
use super::turns::{parse, typed_pieces};
use crate::domain::Speaker;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its speaker.
    pub speaker: Speaker,
    /// Its text.
    pub text: String,
}

/// The messages of one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordMessages {
    /// The time of the record.
    pub time: Option<DateTime<Utc>>,
    /// The record belongs to the conversation with a sub-agent.
    pub is_agent: bool,
    /// The messages, in order.
    pub messages: Vec<Message>,
}

/// Tags in which the client wraps the output of a command.
const OUTPUT_TAGS: [&str; 5] = [
    "<local-command-stdout>",
    "<local-command-stderr>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<task-notification>",
];

/// The fields of a record with messages. The parser skips all others, often the larger part.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Record {
    r#type: Value,
    is_meta: Value,
    is_compact_summary: Value,
    is_sidechain: Value,
    timestamp: Value,
    message: MessageField,
    attachment: AttachmentField,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MessageField {
    content: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AttachmentField {
    r#type: Value,
    prompt: Value,
}

impl Record {
    fn parse(line: &[u8]) -> Option<Self> {
        // Odd records (halves of characters, a field twice, an invalid message) take the slow way.
        serde_json::from_slice(line)
            .ok()
            .or_else(|| parse(line).map(Self::from_value))
    }

    fn from_value(mut record: Value) -> Self {
        let mut take = |pointer: &str| {
            record
                .pointer_mut(pointer)
                .map(Value::take)
                .unwrap_or_default()
        };
        Self {
            r#type: take("/type"),
            is_meta: take("/isMeta"),
            is_compact_summary: take("/isCompactSummary"),
            is_sidechain: take("/isSidechain"),
            timestamp: take("/timestamp"),
            message: MessageField {
                content: take("/message/content"),
            },
            attachment: AttachmentField {
                r#type: take("/attachment/type"),
                prompt: take("/attachment/prompt"),
            },
        }
    }
}

/// Returns the messages of the record in `line`; none for an invalid record.
pub fn messages(line: &[u8]) -> RecordMessages {
    let Some(record) = Record::parse(line) else {
        return RecordMessages::default();
    };
    let is_set = |flag: &Value| flag.as_bool().unwrap_or(false);
    let mut found = RecordMessages {
        time: record.timestamp.as_str().and_then(parse_time),
        is_agent: is_set(&record.is_sidechain),
        messages: Vec::new(),
    };
    let content = record.message.content;
    match record.r#type.as_str() {
        Some("user") if is_set(&record.is_compact_summary) => {
            each_text(content, &mut |text| found.add(Speaker::Summary, text));
        }
        Some("user") if !is_set(&record.is_meta) => found.add_user_content(content),
        Some("assistant") => found.add_assistant_content(content),
        Some("attachment") if record.attachment.r#type == "queued_command" => {
            found.add_user_content(record.attachment.prompt);
        }
        _ => {}
    }
    found
}

impl RecordMessages {
    fn add(&mut self, speaker: Speaker, text: String) {
        self.messages.push(Message { speaker, text });
    }

    fn add_user_content(&mut self, content: Value) {
        each_block(content, &mut |kind, mut block| {
            if kind == "text" {
                text_of(block)
                    .into_iter()
                    .for_each(|text| self.add_user_text(text));
            } else if kind.ends_with("tool_result") {
                self.add_output(block["content"].take());
            }
        });
    }

    /// Adds a text that the user typed, or that a command printed; skips texts of the client.
    fn add_user_text(&mut self, text: String) {
        if let Some(pieces) = typed_pieces(&text) {
            let pieces = pieces.into_iter();
            pieces.for_each(|piece| self.add(Speaker::User, piece));
        } else if OUTPUT_TAGS
            .iter()
            .any(|tag| text.trim_start().starts_with(tag))
        {
            self.add(Speaker::Output, text);
        }
    }

    fn add_assistant_content(&mut self, content: Value) {
        each_block(content, &mut |kind, mut block| {
            if kind == "text" {
                text_of(block)
                    .into_iter()
                    .for_each(|text| self.add(Speaker::Assistant, text));
            } else if kind.ends_with("tool_use") {
                let name = block["name"].as_str().unwrap_or("a tool").to_owned();
                each_string(block["input"].take(), &mut |text| {
                    self.add(Speaker::Call(name.clone()), text);
                });
            } else if kind.ends_with("tool_result") {
                self.add_output(block["content"].take());
            }
        });
    }

    fn add_output(&mut self, content: Value) {
        each_text(content, &mut |text| self.add(Speaker::Output, text));
    }
}

/// Calls `each` for every block of a message, with its type. A plain text is one block.
fn each_block(content: Value, each: &mut dyn FnMut(String, Value)) {
    match content {
        Value::String(_) => each("text".to_owned(), content),
        Value::Array(blocks) => {
            for block in blocks {
                if let Some(kind) = block["type"].as_str().map(str::to_owned) {
                    each(kind, block);
                }
            }
        }
        _ => {}
    }
}

fn each_text(content: Value, each: &mut dyn FnMut(String)) {
    each_block(content, &mut |kind, block| {
        if kind == "text" {
            text_of(block).into_iter().for_each(&mut *each);
        }
    });
}

fn text_of(block: Value) -> Option<String> {
    match block {
        Value::String(text) => Some(text),
        Value::Object(mut fields) => match fields.remove("text") {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Calls `each` for every text in the arguments of a tool, at any depth, except for keys.
fn each_string(value: Value, each: &mut dyn FnMut(String)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(values) => values
            .into_iter()
            .for_each(|value| each_string(value, each)),
        Value::Object(fields) => fields
            .into_iter()
            .for_each(|(_, value)| each_string(value, each)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        let found = messages(line.as_bytes());
        let side = if found.is_agent { "agent " } else { "" };
        let messages = found.messages.into_iter();
        messages
            .map(|message| format!("{side}{:?} {}", message.speaker, message.text))
            .collect()
    }

    #[test]
    fn messages_text_tools_and_results_are_extracted() {
        assert_eq!(
            shown(r#"{"type":"user","message":{"content":"hello"}}"#),
            ["User hello"]
        );
        assert_eq!(
            shown(
                r#"{"type":"user","isSidechain":true,"message":{"content":[{"type":"tool_result","content":[{"type":"text","text":"ok"},{"type":"image","source":{"data":"QUJD"}}]},{"type":"text","text":"go on"}]},"toolUseResult":"ok"}"#
            ),
            ["agent Output ok", "agent User go on"]
        );
        assert_eq!(
            shown(
                r#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"I will."},{"type":"tool_use","name":"Edit","input":{"file_path":"/x","edits":[{"new_string":"y"}],"n":7}}]}}"#
            ),
            ["Assistant I will.", "Call(\"Edit\") y", "Call(\"Edit\") /x"]
        );
        assert_eq!(
            shown(r#"{"type":"user","isCompactSummary":true,"message":{"content":"so far"}}"#),
            ["Summary so far"]
        );
        assert_eq!(
            shown(
                r#"{"type":"attachment","attachment":{"type":"queued_command","prompt":"and then"}}"#
            ),
            ["User and then"]
        );
        let command = r#"{"type":"user","message":{"content":"<command-name>/review</command-name><command-args>now</command-args>"}}"#;
        assert_eq!(shown(command), ["User /review", "User now"]);
        assert_eq!(
            shown(
                r#"{"type":"user","message":{"content":"<bash-stdout>x</bash-stdout><bash-stderr></bash-stderr>"}}"#
            ),
            ["Output <bash-stdout>x</bash-stdout><bash-stderr></bash-stderr>"]
        );
    }

    #[test]
    fn messages_odd_record_is_extracted() {
        assert_eq!(
            shown(r#"  {"type":"user","message":{"content":"cut \ud83d here"}}"#),
            ["User cut \u{fffd} here"]
        );
        assert_eq!(
            shown(r#"{"type":"user","message":{"content":"one"},"message":{"content":"two"}}"#),
            ["User two"]
        );
        assert_eq!(
            shown(r#"{"type":"user","attachment":7,"message":{"content":"hello"}}"#),
            ["User hello"]
        );
    }

    #[test]
    fn messages_copies_and_metadata_are_excluded() {
        for line in [
            r#"{"type":"user","isMeta":true,"message":{"content":"caveat"}}"#,
            r#"{"type":"user","message":{"content":"<system-reminder>x</system-reminder>"}}"#,
            r#"{"type":"queue-operation","content":"hello"}"#,
            r#"{"type":"attachment","attachment":{"type":"prompt_snapshot","systemPrompt":["x"]}}"#,
            r#"{"type":"api-request-blob","message":{"content":"hello"}}"#,
            r#"{"type":"progress","data":{"message":{"content":"hello"}}}"#,
            r#"{"type":"last-prompt","lastPrompt":"hello"}"#,
            r#"{"type":"user","message":{"content":{"text":7}}}"#,
            r#"{"type":"user","message":"hello"}"#,
            r#"{"type":"user","message":null}"#,
            "[1]",
            "{\"type\":\"user\",\"message\":{\"content\":\"torn",
            "",
        ] {
            assert_eq!(shown(line), [""; 0], "{line}");
        }
    }
}
