//! Sessions that were removed from this machine, and in which state of the store they were in step before.
//!
//! The client removes old sessions by itself, and so may the user. What they removed is not brought back unasked, unless another
//! machine has gone on with it. If this file is lost, such sessions come back once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::id::SessionId;
use crate::session::discover::Discovery;
use crate::store::snapshot::SessionState;
use crate::sys::fs::{PathError, write_atomic};

/// The removed sessions.
pub(super) struct Gone {
    path: PathBuf,
    sessions: BTreeMap<SessionId, SessionState>,
    changed: bool,
}

impl Gone {
    /// Reads the file at `path`; one that is missing or damaged names none.
    pub(super) fn load(path: &Path) -> Self {
        let read = std::fs::read(path).ok().and_then(|json| serde_json::from_slice(&json).ok());
        Self { path: path.to_owned(), sessions: read.unwrap_or_default(), changed: false }
    }

    /// Takes in the sessions that have gone, and forgets those that have come back.
    pub(super) fn note(&mut self, gone: Vec<(SessionId, SessionState)>, found: &Discovery) {
        let before = self.sessions.len();
        self.sessions.retain(|id, _| !found.sessions.contains_key(id));
        self.changed |= !gone.is_empty() || self.sessions.len() != before;
        self.sessions.extend(gone);
    }

    /// In which state the session was in step before it was removed.
    pub(super) fn at(&self, session: &SessionId) -> Option<&SessionState> {
        self.sessions.get(session)
    }

    /// Writes the file if it changed.
    pub(super) fn save(&mut self) -> Result<(), PathError> {
        if self.changed {
            let json = serde_json::to_vec(&self.sessions).expect("maps with text keys always serialise");
            write_atomic(&self.path, &json)?;
            self.changed = false;
        }
        Ok(())
    }
}
