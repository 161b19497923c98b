//! What an import found and did, as data.

use serde::Serialize;

use crate::domain::id::SessionId;
use crate::report::transfer::{Report, SkippedFile};

/// How the source is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// claude-session-sync: one copy of each session, `sessions/<directory>/<id>.jsonl`, with `sessions/_paths.json`.
    Shared,
    /// claude-session-sync without `sessions/_paths.json`: each machine's copies, `sessions/<machine>/<directory>/<id>.jsonl`.
    PerMachine,
    /// A copy of the client's own directory, with `projects/`, in this machine's paths.
    Client,
}

/// What an import did. Each of what was `found` is in exactly one of the report's `sessions` and its `unchanged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// From where, without secrets.
    pub source: String,
    /// How it is laid out.
    pub layout: Layout,
    /// Copies of sessions that were found, and sessions of which nothing but sub-agents was.
    pub found: u64,
    /// What became of them.
    #[serde(flatten)]
    pub report: Report,
    /// The machines that the source names.
    pub machines: Vec<ImportedMachine>,
    /// Placeholders of the source that a machine lacks here.
    pub proposals: Vec<Proposal>,
    /// Locks that the source holds. They are not taken over.
    pub locks: Vec<ForeignLock>,
    /// What the source says of sessions and this program has no place for.
    pub edits: Vec<Edit>,
    /// What is no session, by name, with the reason why it was left where it is.
    pub left: Vec<SkippedFile>,
}

/// A machine of the source. All text is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedMachine {
    /// What the source calls it.
    pub name: String,
    /// Whether it is this machine.
    pub this: bool,
    /// Sessions that were stored as written by it.
    pub sessions: u64,
    /// Placeholder and directory, as the source says.
    pub placeholders: std::collections::BTreeMap<String, String>,
}

/// A placeholder that a machine could have, with the directory where the source has it. All text is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The placeholder.
    pub placeholder: String,
    /// Which machine of this store; `None`: this one.
    pub machine: Option<String>,
    /// The directory; `None` if nobody knows where it would be on that machine.
    pub path: Option<String>,
}

/// A lock of the source. All text is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignLock {
    /// The session.
    pub session: SessionId,
    /// Who holds it.
    pub machine: String,
    /// Since when, as the source says.
    pub since: Option<String>,
    /// Until when, as the source says.
    pub until: Option<String>,
    /// Whether that time has passed by this machine's clock.
    pub expired: bool,
}

/// Who edited a session last, as the source says. All text is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// The session.
    pub session: SessionId,
    /// The machine.
    pub machine: String,
    /// When.
    pub at: Option<String>,
}
