//! The daemon's status file. Its readers take it as it is: no lock, no network.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::SessionId;
use crate::keeper::session_status::{Elsewhere, SessionStatus};
use crate::sys::Env;
use crate::sys::fs::{PathError, write_cache};

const VERSION: u32 = 1;

/// Age from which the file says nothing about other machines: its daemon has ended or hangs.
const MAX_AGE: TimeDelta = TimeDelta::minutes(15);

/// The knowledge of the daemon. Written when it changes, and once a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Format of the file.
    pub version: u32,
    /// The daemon's process.
    pub pid: u32,
    /// The name of this machine.
    pub machine: String,
    /// When the daemon wrote the file.
    pub updated: DateTime<Utc>,
    /// When the remote last had everything of this machine.
    pub synced: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub failure: Option<DaemonFailure>,
    /// The sessions that are open here.
    pub sessions: BTreeMap<SessionId, SessionStatus>,
}

/// A failure, until an attempt succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonFailure {
    /// Time of the first failure.
    pub since: DateTime<Utc>,
    /// Its message in one line. Untrusted text.
    pub message: String,
    /// The remote refuses something: waiting does not help.
    #[serde(default)]
    pub is_refusal: bool,
}

impl DaemonStatus {
    /// Returns the status of a daemon that knows nothing yet.
    pub(super) fn new(machine: String, now: DateTime<Utc>) -> Self {
        Self {
            version: VERSION,
            pid: std::process::id(),
            machine,
            updated: now,
            synced: None,
            failure: None,
            sessions: BTreeMap::new(),
        }
    }

    /// Reads the file. `None` if it is missing, or of another version.
    pub fn read(env: &Env) -> Option<Self> {
        let json = std::fs::read(path(env)).ok()?;
        let status: Self = serde_json::from_slice(&json).ok()?;
        (status.version == VERSION).then_some(status)
    }

    /// Writes the file.
    pub(super) fn write(&self, env: &Env) -> Result<(), PathError> {
        let json = serde_json::to_vec_pretty(self).expect("a status is JSON");
        write_cache(&path(env), &json)
    }

    /// Returns true if its daemon has ended without a word, or hangs.
    pub fn is_stale(&self, now: DateTime<Utc>) -> bool {
        now - self.updated >= MAX_AGE
    }

    /// Returns the other machine that continues a session, if that is still known.
    pub fn elsewhere(&self, session: &SessionId, now: DateTime<Utc>) -> Option<&Elsewhere> {
        self.sessions
            .get(session)?
            .elsewhere
            .as_ref()
            .filter(|_| !self.is_stale(now))
    }
}

fn path(env: &Env) -> PathBuf {
    super::directory(env).join("status.json")
}
