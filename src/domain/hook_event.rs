//! The events of the client at which it runs this program.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An event of the client (client 2.1.332).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEvent {
    /// A conversation begins, is resumed, or goes on after `/clear` or a compaction.
    SessionStart,
    /// The user has sent a prompt; it is not in the transcript yet.
    UserPromptSubmit,
    /// The model has answered.
    Stop,
    /// The conversation is about to be compacted.
    PreCompact,
    /// The conversation ends; its transcript is complete.
    SessionEnd,
}

/// Error: an event that this program does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown event `{0}`")]
pub struct UnknownEvent(String);

impl HookEvent {
    /// All events, in the order of a conversation.
    pub const ALL: [Self; 5] = [
        Self::SessionStart,
        Self::UserPromptSubmit,
        Self::Stop,
        Self::PreCompact,
        Self::SessionEnd,
    ];

    /// Returns the name on this program's command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionStart => "session-start",
            Self::UserPromptSubmit => "user-prompt-submit",
            Self::Stop => "stop",
            Self::PreCompact => "pre-compact",
            Self::SessionEnd => "session-end",
        }
    }

    /// Returns the client's name.
    pub fn client_name(self) -> &'static str {
        match self {
            Self::SessionStart => "SessionStart",
            Self::UserPromptSubmit => "UserPromptSubmit",
            Self::Stop => "Stop",
            Self::PreCompact => "PreCompact",
            Self::SessionEnd => "SessionEnd",
        }
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HookEvent {
    type Err = UnknownEvent;

    /// Reads either name.
    fn from_str(name: &str) -> Result<Self, UnknownEvent> {
        let is_named = |event: &Self| event.name() == name || event.client_name() == name;
        let mut events = Self::ALL.into_iter();
        events
            .find(is_named)
            .ok_or_else(|| UnknownEvent(name.to_owned()))
    }
}
