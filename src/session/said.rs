//! Everything that was said in one record: by the person, the model, its tools, their results; also by and to sub-agents.
//!
//! The widest reading of a record that a search needs. Left out is what nobody said, and what is only a copy: reminders, prompt snapshots, copies
//! of requests, the queue of prompts, thinking, images and other base64. Record kinds as of client 2.1.329. Pure.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::facts::parse_time;
use super::turns::{parse, typed_pieces};
use crate::domain::found::Speaker;

/// One text that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saying {
    /// By whom.
    pub voice: Speaker,
    /// The text.
    pub text: String,
}

/// What one record says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sayings {
    /// When.
    pub time: Option<DateTime<Utc>>,
    /// In the conversation with a sub-agent.
    pub agent: bool,
    /// What, in order.
    pub texts: Vec<Saying>,
}

/// What the client wraps around that which a command printed.
const PRINTED: [&str; 5] = [
    "<local-command-stdout>",
    "<local-command-stderr>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<task-notification>",
];

/// A record, as far as something is said in it. The rest, often the larger part, is passed over without being taken apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Record {
    r#type: Value,
    is_meta: Value,
    is_compact_summary: Value,
    is_sidechain: Value,
    timestamp: Value,
    message: Message,
    attachment: Attachment,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    content: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attachment {
    r#type: Value,
    prompt: Value,
}

impl Record {
    fn of(line: &[u8]) -> Option<Self> {
        // What is odd (halves of characters, a field twice, a message that is none) is read the patient way.
        serde_json::from_slice(line)
            .ok()
            .or_else(|| parse(line).map(Self::of_value))
    }

    fn of_value(mut record: Value) -> Self {
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
            message: Message {
                content: take("/message/content"),
            },
            attachment: Attachment {
                r#type: take("/attachment/type"),
                prompt: take("/attachment/prompt"),
            },
        }
    }
}

/// What is said in the record in `line`; nothing, if it is none.
pub fn sayings(line: &[u8]) -> Sayings {
    let Some(record) = Record::of(line) else {
        return Sayings::default();
    };
    let is_set = |flag: &Value| flag.as_bool().unwrap_or(false);
    let mut texts = Vec::new();
    match record.r#type.as_str() {
        Some("user") if is_set(&record.is_compact_summary) => {
            each_text(record.message.content, &mut |text| {
                texts.push(Saying {
                    voice: Speaker::Summary,
                    text,
                });
            });
        }
        Some("user") if !is_set(&record.is_meta) => user(record.message.content, &mut texts),
        Some("assistant") => assistant(record.message.content, &mut texts),
        Some("attachment") if record.attachment.r#type == "queued_command" => {
            user(record.attachment.prompt, &mut texts);
        }
        _ => {}
    }
    let time = record.timestamp.as_str().and_then(parse_time);
    Sayings {
        time,
        agent: is_set(&record.is_sidechain),
        texts,
    }
}

fn user(content: Value, texts: &mut Vec<Saying>) {
    each_block(content, &mut |kind, mut block| {
        if kind == "text" {
            text_of(block)
                .into_iter()
                .for_each(|text| of_user(text, texts));
        } else if kind.ends_with("tool_result") {
            let output = |text| Saying {
                voice: Speaker::Output,
                text,
            };
            each_text(block["content"].take(), &mut |text| {
                texts.push(output(text));
            });
        }
    });
}

/// A text in a user's record is what a person typed, what a command of theirs printed, or what the client told the model.
fn of_user(text: String, texts: &mut Vec<Saying>) {
    if let Some(pieces) = typed_pieces(&text) {
        texts.extend(pieces.into_iter().map(|text| Saying {
            voice: Speaker::User,
            text,
        }));
    } else if PRINTED.iter().any(|tag| text.trim_start().starts_with(tag)) {
        texts.push(Saying {
            voice: Speaker::Output,
            text,
        });
    }
}

fn assistant(content: Value, texts: &mut Vec<Saying>) {
    each_block(content, &mut |kind, mut block| {
        if kind == "text" {
            texts.extend(text_of(block).map(|text| Saying {
                voice: Speaker::Assistant,
                text,
            }));
        } else if kind.ends_with("tool_use") {
            let name = block["name"].as_str().unwrap_or("a tool").to_owned();
            each_string(block["input"].take(), &mut |text| {
                texts.push(Saying {
                    voice: Speaker::Call(name.clone()),
                    text,
                });
            });
        } else if kind.ends_with("tool_result") {
            each_text(block["content"].take(), &mut |text| {
                texts.push(Saying {
                    voice: Speaker::Output,
                    text,
                });
            });
        }
    });
}

/// The blocks of a message, each with its type. A plain text is a message of one block.
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

/// Every text in the arguments of a tool, however deep, but for its keys.
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

    fn said(line: &str) -> Vec<String> {
        let sayings = sayings(line.as_bytes());
        let side = if sayings.agent { "agent " } else { "" };
        sayings
            .texts
            .into_iter()
            .map(|saying| format!("{side}{:?} {}", saying.voice, saying.text))
            .collect()
    }

    #[test]
    fn messages_text_tools_and_results_are_extracted() {
        assert_eq!(
            said(r#"{"type":"user","message":{"content":"hello"}}"#),
            ["User hello"]
        );
        assert_eq!(
            said(
                r#"{"type":"user","isSidechain":true,"message":{"content":[{"type":"tool_result","content":[{"type":"text","text":"ok"},{"type":"image","source":{"data":"QUJD"}}]},{"type":"text","text":"go on"}]},"toolUseResult":"ok"}"#
            ),
            ["agent Output ok", "agent User go on"]
        );
        assert_eq!(
            said(
                r#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"I will."},{"type":"tool_use","name":"Edit","input":{"file_path":"/x","edits":[{"new_string":"y"}],"n":7}}]}}"#
            ),
            ["Assistant I will.", "Call(\"Edit\") y", "Call(\"Edit\") /x"]
        );
        assert_eq!(
            said(r#"{"type":"user","isCompactSummary":true,"message":{"content":"so far"}}"#),
            ["Summary so far"]
        );
        assert_eq!(
            said(
                r#"{"type":"attachment","attachment":{"type":"queued_command","prompt":"and then"}}"#
            ),
            ["User and then"]
        );
        let command = r#"{"type":"user","message":{"content":"<command-name>/review</command-name><command-args>now</command-args>"}}"#;
        assert_eq!(said(command), ["User /review", "User now"]);
        assert_eq!(
            said(
                r#"{"type":"user","message":{"content":"<bash-stdout>x</bash-stdout><bash-stderr></bash-stderr>"}}"#
            ),
            ["Output <bash-stdout>x</bash-stdout><bash-stderr></bash-stderr>"]
        );
    }

    #[test]
    fn messages_odd_record_is_extracted() {
        assert_eq!(
            said(r#"  {"type":"user","message":{"content":"cut \ud83d here"}}"#),
            ["User cut \u{fffd} here"]
        );
        assert_eq!(
            said(r#"{"type":"user","message":{"content":"one"},"message":{"content":"two"}}"#),
            ["User two"]
        );
        assert_eq!(
            said(r#"{"type":"user","attachment":7,"message":{"content":"hello"}}"#),
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
            assert_eq!(said(line), [""; 0], "{line}");
        }
    }
}
