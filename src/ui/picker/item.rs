//! The data of the picker: its rows, the terminal's abilities, its result.

use std::io;

use chrono::{DateTime, Utc};

use crate::domain::{SessionId, Turn, UserError};

/// A session that can be chosen. Its texts come from the store and are not sanitized.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) session: SessionId,
    /// True if it belongs to the project of the current directory.
    pub(crate) is_of_this_project: bool,
    pub(crate) last_activity: Option<DateTime<Utc>>,
    pub(crate) project: String,
    /// The branch that was checked out.
    pub(crate) branch: String,
    pub(crate) title: String,
    pub(crate) first_words: String,
    /// Name of the machine that wrote it last.
    pub(crate) machine: String,
    pub(crate) bytes: u64,
    /// Machine that holds its lock, and for how long: `desk, 3 min`.
    pub(crate) lock: Option<String>,
    /// The user's tag.
    pub(crate) tag: String,
    pub(crate) is_fork: bool,
    /// True if its files are on this machine.
    pub(crate) is_here: bool,
    /// True if no user sat at it: `claude -p`, or the SDK.
    pub(crate) is_headless: bool,
    pub(crate) is_archived: bool,
}

/// Settings of the picker that depend on the terminal and on the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PickerOptions {
    pub(crate) colors: bool,
    /// True if it prints lines only (`TERM=dumb`): a numbered list replaces the screen.
    pub(crate) only_lines: bool,
    /// Width of a line, in cells, for the numbered list.
    pub(crate) columns: usize,
    /// True if the list begins with all projects, not only that of the current directory.
    pub(crate) all_projects: bool,
}

/// Result of the fetch that runs while the list is shown: all sessions, or the reason why it
/// failed.
pub(crate) type Fetched = Result<Vec<Item>, String>;

/// The sessions behind the list. Errors are short reasons.
pub(crate) trait SessionSource: Sync {
    /// Returns the last turns of a session, the oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    fn turns(&self, session: &SessionId) -> Result<Vec<Turn>, String>;

    /// Gives a session another title. Returns the title as it is now.
    ///
    /// # Errors
    /// If that is not safe now, or failed.
    fn rename(&self, session: &SessionId, title: &str) -> Result<String, String>;
}

/// Result of the picker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Picked {
    Chosen(SessionId),
    /// By a key, or by a signal to the process.
    Cancelled,
}

/// Error: the picker cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PickError {
    /// Standard input or standard error is not a terminal.
    #[error("no terminal to choose a session on")]
    NoTerminal,
    /// The terminal failed.
    #[error("cannot control the terminal")]
    Terminal(#[source] io::Error),
}

impl UserError for PickError {}
