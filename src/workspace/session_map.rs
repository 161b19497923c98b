//! A small state file with one entry per session. It is read whole, and written whole if it
//! changed.
//!
//! Owns the file. Must not know what the entries mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::domain::{SessionFile, SessionId};
use crate::session::{LocalSession, files::is_rewritten};
use crate::sys::{fs::FileStamp, fs::PathError, fs::write_atomic};
use crate::workspace::setup_error::{STATE_FORMAT, SetupError};

/// One entry for each session.
pub(crate) struct SessionMap<T> {
    path: PathBuf,
    entries: BTreeMap<SessionId, T>,
    changed: bool,
}

/// The file. In the first one, the entries had no version around them.
#[derive(Serialize, Deserialize)]
struct SessionMapFile<T> {
    version: u32,
    sessions: T,
}

impl<T: Serialize + DeserializeOwned + PartialEq + Clone> SessionMap<T> {
    /// Reads the file at `path`. A missing or damaged one has no entries.
    ///
    /// # Errors
    /// [`SetupError::NewerState`]
    pub(crate) fn load(path: &Path) -> Result<Self, SetupError> {
        let json = std::fs::read(path).unwrap_or_default();
        let entries = match serde_json::from_slice::<SessionMapFile<IgnoredAny>>(&json) {
            Ok(file) if file.version > STATE_FORMAT => {
                return Err(SetupError::NewerState {
                    path: path.to_owned(),
                    found: file.version,
                });
            }
            Ok(_) => serde_json::from_slice::<SessionMapFile<_>>(&json).map(|file| file.sessions),
            Err(_) => serde_json::from_slice(&json),
        };
        Ok(Self {
            path: path.to_owned(),
            entries: entries.unwrap_or_default(),
            changed: false,
        })
    }

    pub(crate) fn get(&self, session: &SessionId) -> Option<&T> {
        self.entries.get(session)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SessionId, &T)> {
        self.entries.iter()
    }

    pub(crate) fn insert(&mut self, session: SessionId, entry: T) {
        self.changed |= self.entries.insert(session, entry.clone()) != Some(entry);
    }

    pub(crate) fn remove(&mut self, session: &SessionId) {
        self.changed |= self.entries.remove(session).is_some();
    }

    /// Removes the entries that `keep` rejects, and returns them.
    pub(crate) fn retain(&mut self, keep: impl Fn(&SessionId) -> bool) -> BTreeMap<SessionId, T> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let (kept, removed): (_, BTreeMap<_, _>) = entries.partition(|(id, _)| keep(id));
        self.entries = kept;
        self.changed |= !removed.is_empty();
        removed
    }

    /// Writes the file if it changed.
    ///
    /// # Errors
    /// [`PathError`]
    pub(crate) fn save(&mut self) -> Result<(), PathError> {
        if self.changed {
            let file = SessionMapFile {
                version: STATE_FORMAT,
                sessions: &self.entries,
            };
            let json = serde_json::to_vec(&file).expect("maps with text keys always serialise");
            write_atomic(&self.path, &json)?;
            self.changed = false;
        }
        Ok(())
    }
}

/// The stamps that the files of a session had at one time, by [`SessionFile::key`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FileStamps(BTreeMap<String, FileStamp>);

impl FileStamps {
    /// Returns the current stamps of a session.
    pub(crate) fn new(session: &LocalSession) -> Self {
        let stamps = session.files.iter();
        Self(
            stamps
                .map(|(file, stamp)| (file.key().to_owned(), *stamp))
                .collect(),
        )
    }

    pub(crate) fn get(&self, file: &SessionFile) -> Option<&FileStamp> {
        self.0.get(file.key())
    }

    /// Takes the stamps of the files that `stored` names, and forgets files that are rewritten in
    /// place and that it does not name.
    pub(crate) fn update(&mut self, session: &LocalSession, stored: &BTreeMap<String, String>) {
        let is_kept = |file: &SessionFile| !is_rewritten(file) || stored.contains_key(file.key());
        for file in session.files.keys().filter(|file| !is_kept(file)) {
            self.0.remove(file.key());
        }
        let files = session.files.iter();
        let stored = files.filter(|(file, _)| stored.contains_key(file.key()));
        self.0
            .extend(stored.map(|(file, stamp)| (file.key().to_owned(), *stamp)));
    }

    /// Returns true if the session has these files and no others.
    pub(crate) fn describe(&self, session: &LocalSession) -> bool {
        let is_same = |(file, stamp)| self.get(file) == Some(stamp);
        self.0.len() == session.files.len() && session.files.iter().all(is_same)
    }
}
