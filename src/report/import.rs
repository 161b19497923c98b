//! The report of an import.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::SessionId;
use crate::report::transfer::{Report, SkippedFile};

/// Layout of the source of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// claude-session-sync with one copy of each session, in
    /// `sessions/<directory>/<id>.jsonl`, and with `sessions/_paths.json`.
    Shared,
    /// claude-session-sync without `sessions/_paths.json`: each machine has its copies, in
    /// `sessions/<machine>/<directory>/<id>.jsonl`.
    PerMachine,
    /// A copy of the client's directory, with `projects/`, and with the paths of this
    /// machine.
    ClaudeDir,
}

/// The result of an import. Each of the `found` sessions is either in the report's `sessions`
/// or counted in its `unchanged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// The source, without secrets.
    pub source: String,
    /// Its layout.
    pub layout: Layout,
    /// Number of copies of sessions, and of sessions with only sub-agents.
    pub found: u64,
    /// The outcome of each session and file.
    #[serde(flatten)]
    pub report: Report,
    /// The machines that the source names.
    pub machines: Vec<ImportedMachine>,
    /// Placeholders of the source that a machine has no directory for.
    pub suggested_placeholders: Vec<SuggestedPlaceholder>,
    /// Locks in the source. They are not taken over.
    pub locks: Vec<ForeignLock>,
    /// Last edits of sessions, which this store has no place for.
    pub edits: Vec<ForeignEdit>,
    /// Files that have no place in this store, with the reason.
    pub not_imported: Vec<SkippedFile>,
}

/// A machine of the source. All text is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedMachine {
    /// Its name in the source.
    pub name: String,
    /// It is this machine.
    pub this: bool,
    /// Number of sessions that were stored as written by it.
    pub sessions: u64,
    /// Directories by placeholder, as the source has them.
    pub placeholders: BTreeMap<String, String>,
}

/// A placeholder that a machine could add, with the directory from the source. All text is
/// unsanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SuggestedPlaceholder {
    /// The placeholder.
    pub placeholder: String,
    /// A machine of this store; `None`: this machine.
    pub machine: Option<String>,
    /// The directory on that machine, if it is known.
    pub directory: Option<String>,
}

/// A lock in the source. All text is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignLock {
    /// The session.
    pub session: SessionId,
    /// The machine that holds it.
    pub machine: String,
    /// The time at which it was taken, as the source has it.
    pub since: Option<String>,
    /// The time at which it expires, as the source has it.
    pub until: Option<String>,
    /// It has expired by the clock of this machine.
    pub expired: bool,
}

/// The last edit of a session, as the source has it. All text is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignEdit {
    /// The session.
    pub session: SessionId,
    /// The machine.
    pub machine: String,
    /// The time.
    pub time: Option<String>,
}
