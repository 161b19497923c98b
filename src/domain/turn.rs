//! A conversation as people read it: who said what, and which tools were used. Plain data.

use chrono::{DateTime, Utc};

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The person at the keyboard.
    User,
    /// The model.
    Assistant,
    /// The client itself: a summary in place of what was compacted.
    Client,
}

/// What one side said until the other spoke. Texts are unsanitised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub who: Who,
    /// When it began, where that is known.
    pub time: Option<DateTime<Utc>>,
    /// What was said, in paragraphs; empty if only tools were used.
    pub text: String,
    /// The tools that were used, each in short: `Bash: cargo test`, `Edit src/x.rs`.
    pub tools: Vec<String>,
}
