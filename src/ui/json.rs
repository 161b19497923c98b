//! Documents for scripts: one JSON object per command, with `version` and `command`
//! first.
//!
//! The version grows when a field is removed or changes its meaning, not when a field is
//! added. `docs/json.md` describes the documents.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::ui::sanitize;

/// Version of all documents that this program writes.
pub(crate) const VERSION: u32 = 2;

#[derive(Serialize)]
struct Document<'a, Body> {
    version: u32,
    command: &'a str,
    #[serde(flatten)]
    body: &'a Body,
}

#[derive(Serialize)]
struct ErrorDocument<'a, Body> {
    version: u32,
    error: &'a Body,
}

/// Returns the document of `command`, in one line. `body` must serialise as a map.
///
/// # Errors
/// If `body` is not a map, which is a bug.
pub(crate) fn document(command: &str, body: &impl Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(&Document {
        version: VERSION,
        command,
        body,
    })?;
    Ok(escaped(&text))
}

/// Returns the document of an error, in one line.
///
/// # Errors
/// If the error cannot be serialised, which is a bug.
pub(crate) fn error(error: &impl Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(&ErrorDocument {
        version: VERSION,
        error,
    })?;
    Ok(escaped(&text))
}

/// Returns the beginning of a document whose last field, `list`, is too long for memory.
/// The caller adds [`element`]s with commas between them, then `]}`.
///
/// # Errors
/// As for [`document`].
pub(crate) fn opening(
    command: &str,
    body: &impl Serialize,
    list: &str,
) -> Result<String, serde_json::Error> {
    let mut text = document(command, body)?;
    text.truncate(text.len() - 1);
    Ok(format!("{text},\"{list}\":["))
}

/// Returns one element of the list of an [`opening`], in one line.
///
/// # Errors
/// If it cannot be serialised, which is a bug.
pub(crate) fn element(element: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(escaped(&serde_json::to_string(element)?))
}

/// Escapes every character that could steer a terminal. Such characters occur only inside
/// of strings, where the escape has the same meaning.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if sanitize::is_harmless(c) {
            escaped.push(c);
        } else {
            escaped.extend(
                c.encode_utf16(&mut [0; 2])
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}")),
            );
        }
    }
    escaped
}

/// Formats a time for documents: RFC 3339, UTC.
pub(crate) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::transfer::Report;

    #[test]
    fn json_document_begins_with_version_and_command() {
        let text = document("push", &Report::default()).expect("a map");
        assert_eq!(
            text,
            r#"{"version":2,"command":"push","sessions":[],"unchanged":0,"skipped_files":[],"extras":[],"dry_run":false,"remote":{"state":"not-contacted"}}"#
        );
    }

    #[test]
    fn json_document_escapes_control_characters() {
        let hostile = "a\u{9b}2J\u{202e}\u{e0041}\n";
        let text =
            document("x", &std::collections::BTreeMap::from([("title", hostile)])).expect("a map");
        assert!(
            text.ends_with(r#""title":"a\u009b2J\u202e\udb40\udc41\n"}"#),
            "{text}"
        );
        let back: serde_json::Value = serde_json::from_str(&text).expect("still JSON");
        assert_eq!(back["title"], hostile);
    }
}
