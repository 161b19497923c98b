//! The results of a search. Plain data; all texts are not sanitized.

use std::ops::Range;

use chrono::{DateTime, Utc};

use super::id::SessionId;

/// The facts by which a user recognises a session.
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
    /// The session that it left, if it is a fork.
    pub fork_of: Option<SessionId>,
}

/// The speaker of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// The user.
    User,
    /// The model.
    Assistant,
    /// The client: a summary in place of compacted records.
    Summary,
    /// The model, in a call of the tool with this name.
    Call(String),
    /// A tool or a command, in its output.
    Output,
}

/// One line with a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The speaker of the line.
    pub speaker: Speaker,
    /// The line belongs to the conversation with a sub-agent.
    pub is_agent: bool,
    /// The time of the line, if it is known.
    pub time: Option<DateTime<Utc>>,
    /// The line; of a long one only the part around the first match.
    pub text: String,
    /// The matches in `text`: byte ranges, in order, without overlaps.
    pub marks: Vec<Range<usize>>,
    /// True if the line was cut before `text`; true if it was cut after it.
    pub cut: (bool, bool),
}

/// The matches in one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionHits {
    /// The session.
    pub name: SessionName,
    /// Its first hits.
    pub hits: Vec<Hit>,
    /// The number of further hits.
    pub more: u64,
    /// Counting stopped at a limit; there may be further hits.
    pub truncated: bool,
}
