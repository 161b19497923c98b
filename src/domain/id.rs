//! Identifiers. Each is checked once, when it enters the program, and trusted afterwards.

use serde::{Deserialize, Serialize};

use super::checked::{checked_text, ensure};

/// The reason why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a valid {kind}", text.escape_debug())]
pub struct InvalidId {
    kind: &'static str,
    text: String,
}

impl InvalidId {
    fn new(kind: &'static str, text: &str) -> Self {
        let text = text.to_owned();
        Self { kind, text }
    }
}

/// Longest id of a session, in bytes.
const MAX_SESSION_ID: usize = 64;

/// The id of a session: the file name of its transcript without `.jsonl` (client 2.1.329 ignores
/// the id in the records).
///
/// One path component on every file system: ASCII letters, digits, `-` and `_`, beginning with a
/// letter or digit, at most 64 bytes. Ids are case-sensitive. `memory` is the name of another
/// directory next to the transcripts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

/// The random id that a machine receives at `init`: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineId(String);

/// The id of a git commit: 40 lower-case hexadecimal digits (SHA-1 repositories only).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl CommitId {
    /// Number of digits of an id.
    pub const DIGITS: usize = 40;

    /// Returns the first ten digits, for display.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl MachineId {
    /// Returns the first eight digits, for display.
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

impl SessionId {
    /// Returns true for the transcript of a sub-agent, which clients of the 2.0 era kept next to
    /// those of sessions: `agent-<8 hexadecimal digits>`.
    pub fn is_sub_agent(&self) -> bool {
        let digits = self.0.strip_prefix("agent-").unwrap_or_default();
        digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    }

    /// Returns the store's shard for this session: the first two bytes of the id in lower
    /// case, padded with `_`.
    pub fn shard(&self) -> String {
        let mut shard = self
            .0
            .chars()
            .take(2)
            .collect::<String>()
            .to_ascii_lowercase();
        while shard.len() < 2 {
            shard.push('_');
        }
        shard
    }
}

fn check_session_id(text: &str) -> Result<(), InvalidId> {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_valid = begins_well
        && text.bytes().all(is_allowed)
        && text.len() <= MAX_SESSION_ID
        && !text.eq_ignore_ascii_case("memory")
        && !is_reserved_device_name(text);
    ensure(is_valid, || InvalidId::new("session id", text))
}

fn check_lower_hex(text: &str, digits: usize, kind: &'static str) -> Result<(), InvalidId> {
    let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    let is_valid = text.len() == digits && text.bytes().all(is_digit);
    ensure(is_valid, || InvalidId::new(kind, text))
}

/// Returns true if Windows opens a device instead of a file of this name (Microsoft, "Naming
/// Files, Paths, and Namespaces").
pub fn is_reserved_device_name(component: &str) -> bool {
    let stem = component
        .split('.')
        .next()
        .unwrap_or(component)
        .trim_end_matches(' ')
        .to_ascii_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    matches!(
        stem.as_str(),
        "con" | "prn" | "aux" | "nul" | "conin$" | "conout$"
    ) || numbered("com")
        || numbered("lpt")
}

checked_text!(SessionId, InvalidId, check_session_id);
checked_text!(MachineId, InvalidId, |text| check_lower_hex(
    text,
    32,
    "machine id"
));
checked_text!(CommitId, InvalidId, |text| check_lower_hex(
    text,
    CommitId::DIGITS,
    "commit id"
));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_session_is_one_safe_path_component() {
        for good in [
            "3f2a8c1e-0000-4000-8000-000000000000",
            "agent-1234abcd",
            "A",
        ] {
            assert!(good.parse::<SessionId>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in [
            "",
            "..",
            "-rf",
            "a/b",
            "a\\b",
            "a.b",
            "nul",
            "COM1",
            "é",
            "a b",
            "a\u{202e}b",
            long.as_str(),
        ] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad}");
        }
    }
}
