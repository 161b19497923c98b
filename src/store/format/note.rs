//! A note for other machines, in a small file that never changes.
//!
//! Owns the format of `notes/<id>.json` (`docs/dev/format.md`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::json::{FORMAT, ManifestError, parse_versioned, require, to_json};
use super::machine::Machine;
use crate::domain::{MachineId, checked::checked_text, checked::ensure};

/// Longest text of a note, in bytes.
pub const MAX_NOTE_BYTES: usize = 4 << 10;

/// Largest file of a note that is read. JSON may escape each byte of the text with six.
pub(crate) const MAX_FILE_BYTES: usize = 6 * MAX_NOTE_BYTES + (4 << 10);

/// Longest name of a machine, in bytes.
const MAX_NAME_BYTES: usize = 1 << 10;

/// Id of a note: its time, by which ids sort, and eight random digits.
///
/// Example: `20261120T140300123Z-1a2b3c4d`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoteId(String);

/// A text is not a valid id of a note.
#[derive(Debug, thiserror::Error)]
#[error("invalid note ID")]
pub struct InvalidNoteId;

/// A text that one machine leaves for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Format version of this file.
    pub format: u32,
    /// The note. Equals the name of the file.
    pub id: NoteId,
    /// When it was written, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// The machine that wrote it.
    pub machine: MachineId,
    /// Name of that machine at the time. Untrusted text.
    pub name: String,
    /// The machine for which it is. Absent if it is for all others.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub for_machine: Option<MachineId>,
    /// Its text. Untrusted.
    pub text: String,
}

impl NoteId {
    /// Returns the id of a note written at `time`. `random` makes it unique.
    pub fn from_time(time: DateTime<Utc>, random: u32) -> Self {
        // Only a broken clock gives times that an id cannot hold.
        let time = time.clamp(DateTime::UNIX_EPOCH, MAX_TIME);
        Self(format!("{}-{random:08x}", time.format("%Y%m%dT%H%M%S%3fZ")))
    }
}

/// The end of the year 9999.
const MAX_TIME: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(time) => time,
    None => DateTime::UNIX_EPOCH,
};

fn check_id(text: &str) -> Result<(), InvalidNoteId> {
    const SHAPE: &[u8] = b"00000000T000000000Z-xxxxxxxx";
    let is_allowed = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        other => byte == *other,
    };
    let is_valid = text.len() == SHAPE.len() && text.bytes().zip(SHAPE).all(is_allowed);
    ensure(is_valid, || InvalidNoteId)
}

checked_text!(NoteId, InvalidNoteId, check_id);

impl Note {
    /// Returns a note in the current format.
    pub fn new(
        id: NoteId,
        time: DateTime<Utc>,
        author: &Machine,
        for_machine: Option<MachineId>,
        text: String,
    ) -> Self {
        Self {
            format: FORMAT,
            id,
            time,
            machine: author.id.clone(),
            name: author.name.clone(),
            for_machine,
            text,
        }
    }

    /// Parses and checks the file of note `id`.
    pub(crate) fn parse(id: &NoteId, json: &[u8]) -> Result<Self, ManifestError> {
        let note: Self = parse_versioned(json)?;
        require(note.id == *id, "it names another note")?;
        require(
            note.text.len() <= MAX_NOTE_BYTES && note.name.len() <= MAX_NAME_BYTES,
            "its text or name is too long",
        )?;
        Ok(note)
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_ids_sort_by_time_and_are_safe_components() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let early = NoteId::from_time(time("2026-11-20T14:03:00.123Z"), u32::MAX);
        let late = NoteId::from_time(time("2026-11-20T14:03:00.124Z"), 0);
        assert_eq!(early.as_str(), "20261120T140300123Z-ffffffff");
        assert!(early < late);
        for broken in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert!(
                NoteId::from_time(broken, 7)
                    .as_str()
                    .parse::<NoteId>()
                    .is_ok(),
                "{broken}"
            );
        }
        for bad in [
            "",
            "..",
            "20261120T140300123Z-fffffff",
            "20261120T140300123Z-FFFFFFFF",
            "20261120T140300123Z/ffffffff",
        ] {
            assert!(bad.parse::<NoteId>().is_err(), "{bad}");
        }
    }
}
