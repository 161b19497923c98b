//! Sessions that were restored to an earlier state on this machine, and are to stay
//! there.
//!
//! A pull does not write their later turns unless the user asks for the session, or it
//! has changed on another machine since; a push has nothing to send of them. Only
//! unchanged files are pinned: a session that was continued here is like any other, and
//! becomes a fork. If this file is lost, a pull writes the later turns once.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{SessionFile, SessionId};
use crate::session::{Discovery, LocalSession};
use crate::store::{SessionState, Snapshot, StoreError};
use crate::sys::fs::PathError;
use crate::workspace::{session_map::FileStamps, session_map::SessionMap, setup_error::SetupError};

/// The pinned sessions.
pub(crate) struct PinnedSessions(SessionMap<PinnedSession>);

/// One pinned session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PinnedSession {
    /// The state that the store has, and a pull does not write.
    state: SessionState,
    directory: PathBuf,
    files: FileStamps,
}

impl PinnedSessions {
    /// Reads the file at `path`. A missing or damaged one names no sessions.
    ///
    /// # Errors
    /// [`SetupError::NewerState`]
    pub(crate) fn load(path: &Path) -> Result<Self, SetupError> {
        SessionMap::load(path).map(Self)
    }

    /// Pins a session as it is here, while the store has it at `state`.
    pub(crate) fn pin(&mut self, session: &LocalSession, state: SessionState) {
        let pinned = PinnedSession {
            state,
            directory: session.directory.clone(),
            files: FileStamps::new(session),
        };
        self.0.insert(session.id.clone(), pinned);
    }

    /// Makes a session one like any other.
    pub(crate) fn unpin(&mut self, session: &SessionId) {
        self.0.remove(session);
    }

    /// Forgets sessions that are no longer here, and returns the states that the store has.
    pub(crate) fn retain_present(
        &mut self,
        found: &Discovery,
    ) -> impl Iterator<Item = (SessionId, SessionState)> {
        let is_present = |session: &SessionId| found.sessions.contains_key(session);
        let removed = self.0.retain(is_present).into_iter();
        removed.map(|(session, pinned)| (session, pinned.state))
    }

    /// Returns true if all files of a session are pinned while `snapshot` has its pinned state.
    pub(crate) fn has(
        &self,
        session: &LocalSession,
        snapshot: &Snapshot<'_>,
    ) -> Result<bool, StoreError> {
        let pinned = self.find(session, snapshot)?;
        Ok(pinned.is_some_and(|pinned| pinned.files.describe(session)))
    }

    /// Returns true if the transcript of a session is pinned: then the later turns stay in the
    /// store, whatever Claude Code has changed in the other files.
    pub(crate) fn has_transcript(
        &self,
        session: &LocalSession,
        snapshot: &Snapshot<'_>,
    ) -> Result<bool, StoreError> {
        let transcript = SessionFile::Transcript;
        let pinned = self.find(session, snapshot)?;
        Ok(pinned.is_some_and(|p| p.files.get(&transcript) == session.files.get(&transcript)))
    }

    /// Finds the pinned session. Without one, the store is not read.
    fn find(
        &self,
        session: &LocalSession,
        snapshot: &Snapshot<'_>,
    ) -> Result<Option<&PinnedSession>, StoreError> {
        let pinned = self.0.get(&session.id);
        let Some(pinned) = pinned.filter(|pinned| pinned.directory == session.directory) else {
            return Ok(None);
        };
        let is_current = snapshot.state(&session.id)?.as_ref() == Some(&pinned.state);
        Ok(is_current.then_some(pinned))
    }

    /// Writes the file if it changed.
    pub(crate) fn save(&mut self) -> Result<(), PathError> {
        self.0.save()
    }
}
