//! Sessions that were removed from this machine, and in which state of the store they were in step before.
//!
//! The client removes old sessions by itself, and so may the user. What they removed is not brought back unasked, unless another
//! machine has gone on with it. If this file is lost, such sessions come back once.

use std::path::Path;

use super::by_session::BySession;
use crate::domain::id::SessionId;
use crate::session::discover::Discovery;
use crate::store::snapshot::SessionState;
use crate::sys::fs::PathError;

/// The removed sessions.
pub(super) struct Gone(BySession<SessionState>);

impl Gone {
    /// Reads the file at `path`; one that is missing or damaged names none.
    pub(super) fn load(path: &Path) -> Self {
        Self(BySession::load(path))
    }

    /// Takes in the sessions that have gone, and forgets those that have come back.
    pub(super) fn note(&mut self, gone: Vec<(SessionId, SessionState)>, found: &Discovery) {
        self.0
            .keep_only(|session| !found.sessions.contains_key(session));
        gone.into_iter()
            .for_each(|(session, state)| self.0.put(session, state));
    }

    /// In which state the session was in step before it was removed.
    pub(super) fn at(&self, session: &SessionId) -> Option<&SessionState> {
        self.0.get(session)
    }

    /// Writes the file if it changed.
    pub(super) fn save(&mut self) -> Result<(), PathError> {
        self.0.save()
    }
}
