//! Input of a pull.

use std::path::PathBuf;

use crate::domain::SessionId;

/// Input of a pull.
#[derive(Debug, Clone, Default)]
pub struct PullRequest {
    /// Ids or unique prefixes of the sessions to pull, whatever their age; empty: all
    /// that are recent or here already.
    pub sessions: Vec<SessionId>,
    /// Pull everything that the settings do not exclude: old sessions, and those that were
    /// deleted here.
    pub all: bool,
    /// Change nothing, and report what would be done.
    pub dry_run: bool,
    /// Write sessions again even if they are in sync.
    pub force: bool,
    /// Keep pinned sessions as they are, even if they are asked for.
    pub keep_pinned: bool,
    /// Directory of a session whose project has none here; `None`: such a session is not
    /// pulled.
    pub directory: Option<PathBuf>,
    /// Pull sessions with activity in the last days; `None`: as configured.
    pub days: Option<u32>,
}

impl PullRequest {
    /// Returns true if the user named sessions: then the settings and the age do not count.
    pub(crate) fn names_sessions(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// Returns true if sessions that were deleted from this machine are pulled again.
    pub(crate) fn restores_deleted(&self) -> bool {
        self.all || self.days.is_some()
    }
}
