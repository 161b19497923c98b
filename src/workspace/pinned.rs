//! Sessions that were put back to an earlier state here, and are to stay so.
//!
//! A pull does not bring their later turns back unasked, unless the session has changed elsewhere since; a push has nothing to send of them. What is
//! held is the files as they were written: a session that went on here is as any other, and becomes a fork. If this file is lost, the later turns
//! come back once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::id::SessionId;
use crate::domain::session_file::SessionFile;
use crate::session::LocalSession;
use crate::session::discover::Discovery;
use crate::store::SessionState;
use crate::store::{Snapshot, StoreError};
use crate::sys::fs::{FileStamp, PathError};
use crate::workspace::session_map::SessionMap;

/// The sessions that are held.
pub(crate) struct PinnedSessions(SessionMap<Held>);

/// One session that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    /// What the store has of the session, which is not to be brought.
    state: SessionState,
    directory: PathBuf,
    /// The files as they were written; the transcript under the empty name.
    files: BTreeMap<String, FileStamp>,
}

impl PinnedSessions {
    /// Reads the file at `path`; one that is missing or damaged names none.
    pub(crate) fn load(path: &Path) -> Self {
        Self(SessionMap::load(path))
    }

    /// Holds a session as it lies here, while the store has it at `state`.
    pub(crate) fn hold(&mut self, session: &LocalSession, state: SessionState) {
        let files = session
            .files
            .iter()
            .map(|(file, stamp)| (file.key().to_owned(), *stamp))
            .collect();
        self.0.put(
            session.id.clone(),
            Held {
                state,
                directory: session.directory.clone(),
                files,
            },
        );
    }

    /// Lets a session go.
    pub(crate) fn release(&mut self, session: &SessionId) {
        self.0.remove(session);
    }

    /// Forgets sessions that do not lie here any more, and returns what the store has of them.
    pub(crate) fn keep_only(&mut self, found: &Discovery) -> Vec<(SessionId, SessionState)> {
        let gone = self
            .0
            .keep_only(|session| found.sessions.contains_key(session));
        gone.into_iter()
            .map(|(session, held)| (session, held.state))
            .collect()
    }

    /// Whether a session is, file for file, what is held, while `snapshot` has it as it was then.
    pub(crate) fn holds(
        &self,
        session: &LocalSession,
        snapshot: &Snapshot<'_>,
    ) -> Result<bool, StoreError> {
        let Some(held) = self.held(session, snapshot)? else {
            return Ok(false);
        };
        let same = |(name, stamp)| held.stamp(name) == Some(stamp);
        Ok(held.files.len() == session.files.len() && session.files.iter().all(same))
    }

    /// Whether the transcript of a session is what is held. Then the store's later turns stay there, whatever the client has changed beside it.
    pub(crate) fn holds_transcript(
        &self,
        session: &LocalSession,
        snapshot: &Snapshot<'_>,
    ) -> Result<bool, StoreError> {
        let held = self.held(session, snapshot)?;
        Ok(held.is_some_and(|held| {
            held.stamp(&SessionFile::Transcript) == session.files.get(&SessionFile::Transcript)
        }))
    }

    /// Most commands hold nothing, and ask nothing of the store.
    fn held(
        &self,
        session: &LocalSession,
        snapshot: &Snapshot<'_>,
    ) -> Result<Option<&Held>, StoreError> {
        let held = self
            .0
            .get(&session.id)
            .filter(|held| held.directory == session.directory);
        let Some(held) = held else { return Ok(None) };
        Ok((snapshot.state(&session.id)?.as_ref() == Some(&held.state)).then_some(held))
    }

    /// Writes the file if it changed.
    pub(crate) fn save(&mut self) -> Result<(), PathError> {
        self.0.save()
    }
}

impl Held {
    fn stamp(&self, file: &SessionFile) -> Option<&FileStamp> {
        self.files.get(file.key())
    }
}
