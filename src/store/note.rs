//! Notes that machines leave each other: one small file each, never changed once it is there.
//!
//! Owns the format of `notes/<id>.json` (`docs/dev/format.md`) and the checks on what comes from outside.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, ManifestError, parse_versioned, to_json};
use crate::domain::checked::checked_text;
use crate::domain::id::MachineId;

/// The longest text of a note, in bytes.
pub const MAX_NOTE_BYTES: usize = 4 << 10;

/// A note's file that is larger is refused unread: each byte of the text may have become an escape of six.
pub(super) const MAX_FILE_BYTES: usize = 6 * MAX_NOTE_BYTES + (4 << 10);

/// No machine has a longer name.
const MAX_NAME_BYTES: usize = 1 << 10;

/// Names a note: when it was written, so that ids sort by time, and eight random digits. `20261120T140300123Z-1a2b3c4d`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoteId(String);

/// Why a text names no note.
#[derive(Debug, thiserror::Error)]
#[error("it is no note's id")]
pub struct InvalidNoteId;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Format version of this file.
    pub format: u32,
    /// The note, equal to the file's name.
    pub id: NoteId,
    /// When it was written, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// Who wrote it.
    pub machine: MachineId,
    /// How that machine was called then. Untrusted text.
    pub name: String,
    /// For whom it is; absent: for all other machines.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub for_machine: Option<MachineId>,
    /// What it says. Untrusted text.
    pub text: String,
}

impl NoteId {
    /// The id of a note written at `time`; `random` tells it from others of that moment.
    pub fn new(time: DateTime<Utc>, random: u32) -> Self {
        // Times that such an id cannot hold are those of a broken clock.
        let time = time.clamp(DateTime::UNIX_EPOCH, LAST_TIME);
        Self(format!("{}-{random:08x}", time.format("%Y%m%dT%H%M%S%3fZ")))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The end of the year 9999.
const LAST_TIME: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
    Some(time) => time,
    None => DateTime::UNIX_EPOCH,
};

impl FromStr for NoteId {
    type Err = InvalidNoteId;

    fn from_str(text: &str) -> Result<Self, InvalidNoteId> {
        const SHAPE: &[u8] = b"00000000T000000000Z-xxxxxxxx";
        let fits = |(byte, shape): (u8, &u8)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            other => byte == *other,
        };
        let good = text.len() == SHAPE.len() && text.bytes().zip(SHAPE).all(fits);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNoteId)
        }
    }
}

checked_text!(NoteId, InvalidNoteId, |text| text.parse());

impl Note {
    /// A note of the format that this program writes.
    pub fn new(
        id: NoteId,
        time: DateTime<Utc>,
        from: (MachineId, String),
        for_machine: Option<MachineId>,
        text: String,
    ) -> Self {
        let (machine, name) = from;
        Self {
            format: FORMAT,
            id,
            time,
            machine,
            name,
            for_machine,
            text,
        }
    }

    /// Reads and checks the file of note `id`.
    ///
    /// # Errors
    /// As for [`super::manifest::Manifest::parse`].
    pub(super) fn parse(id: &NoteId, json: &[u8]) -> Result<Self, ManifestError> {
        let note: Self = parse_versioned(json)?;
        if note.id != *id {
            return Err(ManifestError::Inconsistent("it names another note"));
        }
        if note.text.len() > MAX_NOTE_BYTES || note.name.len() > MAX_NAME_BYTES {
            return Err(ManifestError::Inconsistent("it is longer than any note"));
        }
        Ok(note)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_ids_sort_by_time_and_are_safe_components() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let early = NoteId::new(time("2026-11-20T14:03:00.123Z"), u32::MAX);
        let late = NoteId::new(time("2026-11-20T14:03:00.124Z"), 0);
        assert_eq!(early.as_str(), "20261120T140300123Z-ffffffff");
        assert!(early < late);
        for broken in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert!(
                NoteId::new(broken, 7).as_str().parse::<NoteId>().is_ok(),
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
