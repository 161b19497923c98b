//! What a search finds and what is shown of a session, as people are told. Plain data; all texts are unsanitised.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::id::SessionId;

/// What a session is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionName {
    /// The session.
    pub session: SessionId,
    /// Portable path of its project.
    pub project: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Name of the machine that wrote its last line.
    pub machine: Option<String>,
    /// Time of its newest record.
    pub last_activity: Option<DateTime<Utc>>,
    /// The session it left, if it is a fork.
    pub fork_of: Option<SessionId>,
}

/// Whose words something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// The person at the keyboard.
    User,
    /// The model.
    Assistant,
    /// The client: a summary in place of what was compacted.
    Summary,
    /// The model to a tool of this name.
    Call(String),
    /// What a tool or a command printed.
    Output,
}

/// One line in which the text that was searched for stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Whose words.
    pub voice: Speaker,
    /// Whether they were said to or by a sub-agent.
    pub agent: bool,
    /// When, where that is known.
    pub time: Option<DateTime<Utc>>,
    /// The line, or of a long one the part around the first place.
    pub text: String,
    /// Where in `text` what was searched for stands: bytes, in order, not overlapping.
    pub marks: Vec<Range<usize>>,
    /// Something of the line is left out: before `text`, after it.
    pub cut: (bool, bool),
}

/// What was found in one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionHits {
    /// Which session.
    pub name: SessionName,
    /// The first hits in it.
    pub hits: Vec<Hit>,
    /// How many more there are.
    pub more: u64,
    /// Counting ended there; there may be more still.
    pub more_still: bool,
}
