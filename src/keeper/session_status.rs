//! The part of an open session that the daemon's status file has.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The status of an open session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// Since when this machine has held the lock.
    pub locked_since: Option<DateTime<Utc>>,
    /// Number of turns that the remote does not have.
    pub queued_turns: u64,
    /// Another machine that continues the session.
    pub elsewhere: Option<Elsewhere>,
}

/// Another machine that holds a session's lock or has turns that are not here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Its name. Untrusted text.
    pub machine: String,
    /// When it took the lock, or wrote the last turn.
    pub since: Option<DateTime<Utc>>,
    /// Number of turns that are not on this machine.
    pub turns: u64,
    /// True if it holds the lock.
    pub holds_lock: bool,
}
