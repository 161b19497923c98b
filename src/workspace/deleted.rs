//! Sessions that were removed from this machine, and in which state of the store they were in step before.
//!
//! The client removes old sessions by itself, and so may the user. What they removed is not brought back unasked, unless another
//! machine has gone on with it. If this file is lost, such sessions come back once.

use std::path::Path;

use crate::domain::id::SessionId;
use crate::session::discover::Discovery;
use crate::store::SessionState;
use crate::sys::fs::PathError;
use crate::workspace::session_map::SessionMap;

/// The removed sessions.
pub(crate) struct DeletedSessions(SessionMap<SessionState>);

impl DeletedSessions {
    /// Reads the file at `path`; one that is missing or damaged names none.
    pub(crate) fn load(path: &Path) -> Self {
        Self(SessionMap::load(path))
    }

    /// Takes in the sessions that have gone, and forgets those that have come back.
    pub(crate) fn note(&mut self, gone: Vec<(SessionId, SessionState)>, found: &Discovery) {
        self.0
            .keep_only(|session| !found.sessions.contains_key(session));
        gone.into_iter()
            .for_each(|(session, state)| self.0.put(session, state));
    }

    /// In which state the session was in step before it was removed.
    pub(crate) fn at(&self, session: &SessionId) -> Option<&SessionState> {
        self.0.get(session)
    }

    /// Writes the file if it changed.
    pub(crate) fn save(&mut self) -> Result<(), PathError> {
        self.0.save()
    }
}
