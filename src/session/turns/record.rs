//! One line of a transcript, as far as a conversation needs it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::words;
use crate::domain::turn::Who;
use crate::session::facts::parse_time;

/// Of which one stands in every record in which a person says something ([`Speech::of`]), as the client writes it.
pub(super) const MARKS_OF_PERSONS: [&[u8]; 2] =
    [b"\"type\":\"user\"", b"\"type\":\"queued_command\""];

/// A record of the conversation's tree.
pub(super) struct Record {
    pub(super) uuid: Option<String>,
    pub(super) parent: Option<String>,
    /// The id that the pieces of one message of the model share.
    pub(super) message: Option<String>,
    /// What somebody said in it, if anybody did.
    pub(super) speech: Option<Speech>,
}

/// What one record says.
pub(super) struct Speech {
    pub(super) who: Who,
    pub(super) time: Option<DateTime<Utc>>,
    pub(super) text: String,
    pub(super) tools: Vec<String>,
}

impl Record {
    /// The record in a line; `None` if it is none, or one of a sub-agent, or no part of the tree.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let record = parse(line)?;
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        let speech = Speech::of(&record);
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
    fn of(record: &Value) -> Option<Self> {
        let content = &record["message"]["content"];
        let (who, text, tools) = match record["type"].as_str()? {
            "user" if flag(record, "isCompactSummary") => {
                (Who::Client, plain_text(content), Vec::new())
            }
            "user" if flag(record, "isMeta") => return None,
            "user" => (Who::User, words::typed(&plain_text(content))?, Vec::new()),
            // Typed while the model was at work.
            "attachment" if record["attachment"]["type"] == "queued_command" => (
                Who::User,
                words::typed(&plain_text(&record["attachment"]["prompt"]))?,
                Vec::new(),
            ),
            "assistant" => (
                Who::Assistant,
                plain_text(content),
                tools(content, record["cwd"].as_str()),
            ),
            _ => return None,
        };
        let text = text.trim().to_owned();
        let time = record["timestamp"].as_str().and_then(parse_time);
        (!text.is_empty() || !tools.is_empty()).then_some(Self {
            who,
            time,
            text,
            tools,
        })
    }
}

fn flag(record: &Value, key: &str) -> bool {
    record[key].as_bool().unwrap_or(false)
}

/// The text of a message: a string, or blocks of which some are text.
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

/// A line as JSON, if it is an object. The client writes halves of characters that a strict reader refuses; those become U+FFFD.
pub(in crate::session) fn parse(line: &[u8]) -> Option<Value> {
    let line = line.trim_ascii();
    if !line.starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(line)
        .or_else(|_| serde_json::from_str(&readable(line)))
        .ok()
}

/// The line with U+FFFD for each escape of half a character, and for each byte that is no UTF-8.
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

/// The escape at the start of `text`, which may be a pair, made readable, and what follows it.
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
            // A backslash and what it escapes, which may be a backslash.
            let end = text.char_indices().nth(2).map_or(text.len(), |(at, _)| at);
            (Cow::Borrowed(&text[..end]), &text[end..])
        }
    }
}
