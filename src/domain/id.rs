//! Identifiers. Each is checked once, where it enters the program, and trusted afterwards.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::checked::checked_text;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a valid {kind}", text.escape_debug())]
pub struct InvalidId {
    kind: &'static str,
    text: String,
}

/// The id of a session: the file name of its transcript without `.jsonl` (client 2.1.329 ignores the id inside).
///
/// One path component on every file system: ASCII letters, digits, `-` and `_`, beginning with a letter or digit,
/// at most 64 bytes. Ids are case-sensitive.
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
    /// How many digits an id has.
    pub const DIGITS: usize = 40;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl SessionId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The store's shard for this session: the first two bytes of the id in lower case, padded with `_`.
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

impl MachineId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let first_ok = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        let all_ok = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if first_ok && all_ok && text.len() <= 64 && !is_reserved_device_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                kind: "session id",
                text: text.to_owned(),
            })
        }
    }
}

impl FromStr for MachineId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        lower_hex(text, 32, "machine id").map(Self)
    }
}

impl FromStr for CommitId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        lower_hex(text, Self::DIGITS, "commit id").map(Self)
    }
}

fn lower_hex(text: &str, digits: usize, kind: &'static str) -> Result<String, InvalidId> {
    if text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        Ok(text.to_owned())
    } else {
        Err(InvalidId {
            kind,
            text: text.to_owned(),
        })
    }
}

/// Whether Windows would open a device instead of a file of this name (Microsoft, "Naming Files, Paths, and Namespaces").
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

checked_text!(SessionId, InvalidId, |text| text.parse());
checked_text!(MachineId, InvalidId, |text| text.parse());
checked_text!(CommitId, InvalidId, |text| text.parse());

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
