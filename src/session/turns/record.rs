//! One line of a transcript, as far as a conversation needs it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::words;
use crate::domain::TurnSpeaker;
use crate::session::time::parse_time;

/// Types, with the quote at their end, of which every record with something typed by the user
/// ([`Speech::parse`]) has one.
pub(super) const USER_RECORD_TYPES: [&str; 2] = ["user\"", "queued_command\""];

/// A record of the conversation's tree.
pub(super) struct Record {
    pub(super) uuid: Option<String>,
    pub(super) parent: Option<String>,
    /// The id that all pieces of one message of the model have.
    pub(super) message: Option<String>,
    /// The text or tools in it, if any.
    pub(super) speech: Option<Speech>,
}

/// The text and the tools of one record.
pub(super) struct Speech {
    pub(super) speaker: TurnSpeaker,
    pub(super) time: Option<DateTime<Utc>>,
    pub(super) text: String,
    pub(super) tools: Vec<String>,
}

impl Record {
    /// Parses a line; `None` for invalid records, those of sub-agents, and those outside the tree.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let record = parse(line)?;
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        let speech = Speech::parse(&record);
        if flag(&record, "isSidechain") || (speech.is_none() && record["uuid"].is_null()) {
            return None;
        }
        let message = record["message"]["id"].as_str().map(str::to_owned);
        Some(Self {
            uuid: text("uuid"),
            parent: text("parentUuid"),
            message,
            speech,
        })
    }
}

impl Speech {
    fn parse(record: &Value) -> Option<Self> {
        let content = &record["message"]["content"];
        let (speaker, text, tools) = match record["type"].as_str()? {
            "user" if flag(record, "isCompactSummary") => {
                (TurnSpeaker::Client, plain_text(content), Vec::new())
            }
            "user" if flag(record, "isMeta") => return None,
            "user" => (
                TurnSpeaker::User,
                words::typed(&plain_text(content))?,
                Vec::new(),
            ),
            // Typed while the model was working.
            "attachment" if record["attachment"]["type"] == "queued_command" => (
                TurnSpeaker::User,
                words::typed(&plain_text(&record["attachment"]["prompt"]))?,
                Vec::new(),
            ),
            "assistant" => (
                TurnSpeaker::Assistant,
                plain_text(content),
                tools(content, record["cwd"].as_str()),
            ),
            _ => return None,
        };
        let text = text.trim().to_owned();
        let time = record["timestamp"].as_str().and_then(parse_time);
        (!text.is_empty() || !tools.is_empty()).then_some(Self {
            speaker,
            time,
            text,
            tools,
        })
    }
}

fn flag(record: &Value, key: &str) -> bool {
    record[key].as_bool().unwrap_or(false)
}

/// Returns the text of a message, which is a string or a list of blocks.
fn plain_text(content: &Value) -> String {
    let block = |block: &Value| match block["type"].as_str() {
        Some("text") => block["text"].as_str().map(str::to_owned),
        Some("image") => Some("[image]".to_owned()),
        Some("document") => Some("[document]".to_owned()),
        _ => None,
    };
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks
            .iter()
            .filter_map(block)
            .collect::<Vec<_>>()
            .join("\n\n"),
        _ => String::new(),
    }
}

fn tools(content: &Value, cwd: Option<&str>) -> Vec<String> {
    let blocks = content
        .as_array()
        .into_iter()
        .flatten()
        .filter(|block| block["type"] == "tool_use");
    blocks
        .map(|block| {
            words::tool(
                block["name"].as_str().unwrap_or("a tool"),
                &block["input"],
                cwd,
            )
        })
        .collect()
}

/// Parses a line that is a JSON object.
///
/// The client writes halves of characters, which a strict parser rejects; they become U+FFFD.
pub(in crate::session) fn parse(line: &[u8]) -> Option<Value> {
    let line = line.trim_ascii();
    if !line.starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(line)
        .or_else(|_| serde_json::from_str(&readable(line)))
        .ok()
}

/// Replaces each escape of half a character, and each byte that is not UTF-8, by U+FFFD.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut readable = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        readable.push_str(&rest[..at]);
        let (escape, after) = first_escape(&rest[at..]);
        readable.push_str(&escape);
        rest = after;
    }
    readable + rest
}

/// Splits off the escape at the start of `text`, which may be a pair, and makes it readable.
fn first_escape(text: &str) -> (Cow<'_, str>, &str) {
    let unit = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(text) {
        Some(0xd800..=0xdbff)
            if unit(&text[6..]).is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) =>
        {
            (Cow::Borrowed(&text[..12]), &text[12..])
        }
        Some(0xd800..=0xdfff) => (Cow::Borrowed("\\ufffd"), &text[6..]),
        _ => {
            // A backslash and the character that it escapes, which may be a backslash.
            let end = text.char_indices().nth(2).map_or(text.len(), |(at, _)| at);
            (Cow::Borrowed(&text[..end]), &text[end..])
        }
    }
}
