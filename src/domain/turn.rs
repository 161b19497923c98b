//! A conversation in turns. Plain data.

use chrono::{DateTime, Utc};

/// The speaker of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnSpeaker {
    /// The user.
    User,
    /// The model.
    Assistant,
    /// The client: a summary in place of compacted records.
    Client,
}

/// Everything from one speaker until the other one speaks. Texts are not sanitized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The speaker.
    pub speaker: TurnSpeaker,
    /// The time at which it began, if it is known.
    pub time: Option<DateTime<Utc>>,
    /// The text, in paragraphs; empty if only tools were used.
    pub text: String,
    /// The used tools, each in short: `Bash: cargo test`, `Edit src/x.rs`.
    pub tools: Vec<String>,
}
