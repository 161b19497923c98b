//! A tombstone: a session was deleted from the store, and stays out of it.
//!
//! Owns the format of `deleted/<shard>/<session id>.json` (`docs/dev/format.md`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::json::{FORMAT, ManifestError, parse_versioned, require, to_json};
use crate::domain::{MachineId, SessionId};

/// Largest file of a tombstone that is read.
pub(crate) const MAX_FILE_BYTES: usize = 4 << 10;

/// The record of a deleted session. Nothing of the session but its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Format version of this file.
    pub format: u32,
    /// The session.
    pub session: SessionId,
    /// The machine that deleted it.
    pub machine: MachineId,
    /// When, by the clock of that machine.
    pub time: DateTime<Utc>,
    /// True if the history of the store does not have the session any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub purged: bool,
}

impl Tombstone {
    /// Returns a tombstone in the current format.
    pub fn new(session: SessionId, machine: MachineId, time: DateTime<Utc>) -> Self {
        Self {
            format: FORMAT,
            session,
            machine,
            time,
            purged: false,
        }
    }

    /// Parses and checks the tombstone of `session`.
    pub(crate) fn parse(session: &SessionId, json: &[u8]) -> Result<Self, ManifestError> {
        let tombstone: Self = parse_versioned(json)?;
        require(
            tombstone.session == *session,
            "it is that of another session",
        )?;
        Ok(tombstone)
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}
