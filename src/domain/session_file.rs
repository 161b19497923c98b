//! A file of a session: the transcript, or another file by its name.

use super::path::RelativeName;

/// One file of a session. The transcript sorts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionFile {
    /// `<session id>.jsonl`
    Transcript,
    /// A file below `<session id>/`, or in a directory that Claude Code keeps elsewhere.
    Named(RelativeName),
}

impl SessionFile {
    /// Returns the name; the transcript has none.
    pub fn name(&self) -> Option<&RelativeName> {
        match self {
            Self::Transcript => None,
            Self::Named(name) => Some(name),
        }
    }

    /// Returns the key of the file in stored documents: its name, or nothing for the
    /// transcript.
    pub fn key(&self) -> &str {
        self.name().map_or("", RelativeName::as_str)
    }

    /// Returns true for the transcript.
    pub fn is_transcript(&self) -> bool {
        *self == Self::Transcript
    }

    /// Returns true if Claude Code only ever appends lines to the file (`.jsonl`).
    pub fn is_append_only(&self) -> bool {
        self.name()
            .is_none_or(|name| name.as_str().ends_with(".jsonl"))
    }
}

impl From<RelativeName> for SessionFile {
    fn from(name: RelativeName) -> Self {
        Self::Named(name)
    }
}
