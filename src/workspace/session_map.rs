//! What this machine remembers of sessions in a small file of its own: read whole, and written whole where something changed.
//!
//! Owns the file; what its entries mean is the business of whoever keeps them (`held`, `gone`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::id::SessionId;
use crate::sys::fs::{PathError, write_atomic};

/// One entry for each session.
pub(crate) struct SessionMap<T> {
    path: PathBuf,
    entries: BTreeMap<SessionId, T>,
    changed: bool,
}

impl<T: Serialize + DeserializeOwned + PartialEq + Clone> SessionMap<T> {
    /// Reads the file at `path`; one that is missing or damaged has no entries.
    pub(crate) fn load(path: &Path) -> Self {
        let read = std::fs::read(path)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        Self {
            path: path.to_owned(),
            entries: read.unwrap_or_default(),
            changed: false,
        }
    }

    pub(crate) fn get(&self, session: &SessionId) -> Option<&T> {
        self.entries.get(session)
    }

    pub(crate) fn put(&mut self, session: SessionId, entry: T) {
        self.changed |= self.entries.insert(session, entry.clone()) != Some(entry);
    }

    pub(crate) fn remove(&mut self, session: &SessionId) {
        self.changed |= self.entries.remove(session).is_some();
    }

    /// Removes the entries of all other sessions, and returns them.
    pub(crate) fn keep_only(
        &mut self,
        keep: impl Fn(&SessionId) -> bool,
    ) -> BTreeMap<SessionId, T> {
        let (kept, removed): (_, BTreeMap<_, _>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|(session, _)| keep(session));
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
            let json =
                serde_json::to_vec(&self.entries).expect("maps with text keys always serialise");
            write_atomic(&self.path, &json)?;
            self.changed = false;
        }
        Ok(())
    }
}
