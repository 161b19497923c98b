//! An event of the client, as a hook tells it.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{HookEvent, SessionId};
use crate::lock::lease::Holder;

/// An event of the client. Has no text of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEvent {
    /// When it happened.
    pub time: DateTime<Utc>,
    /// Its kind.
    pub event: HookEvent,
    /// Its session.
    pub session: SessionId,
    /// The transcript, which may not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<PathBuf>,
    /// The working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// No person is at the client: `claude -p`, or a program that uses its SDK.
    #[serde(default)]
    pub headless: bool,
    /// The client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Holder>,
}
