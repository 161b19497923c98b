//! The copies of sessions whose lines the store has. A copy is compared again when it changes, or
//! when the store has another history.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::{CommitId, SessionFile};
use crate::session::LocalSession;
use crate::store::Store;
use crate::sys::{fs::FileStamp, fs::PathError, fs::write_cache};

/// The copies whose lines are in the store.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredCopies {
    /// A commit of the history that has their lines.
    commit: Option<CommitId>,
    /// All files of a copy, by the path of its transcript.
    copies: BTreeMap<PathBuf, BTreeMap<String, FileStamp>>,
    #[serde(skip)]
    changed: bool,
}

impl StoredCopies {
    /// Reads the file. A missing or damaged one is empty, and so is one about another store.
    pub(crate) fn load(path: &Path, store: &Store) -> Self {
        let json = std::fs::read(path).unwrap_or_default();
        let read: Option<Self> = serde_json::from_slice(&json).ok();
        let is_known = |copies: &Self| {
            let commit = copies.commit.as_ref();
            commit.is_some_and(|commit| store.has_commit(commit))
        };
        read.filter(is_known).unwrap_or_default()
    }

    pub(crate) fn is_stored(&self, copy: &LocalSession) -> bool {
        self.copies.get(&copy.transcript_path()) == Some(&stamps(copy))
    }

    pub(crate) fn record(&mut self, copy: &LocalSession) {
        self.copies.insert(copy.transcript_path(), stamps(copy));
        self.changed = true;
    }

    /// Forgets the copies that are gone.
    pub(crate) fn retain_present(&mut self, copies: &[LocalSession]) {
        let before = self.copies.len();
        self.copies
            .retain(|path, _| copies.iter().any(|copy| copy.transcript_path() == *path));
        self.changed |= before != self.copies.len();
    }

    /// Writes the file if it changed.
    pub(crate) fn save(&mut self, path: &Path, store: &Store) -> Result<(), PathError> {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        self.commit = store.head().ok().flatten();
        let json = serde_json::to_vec(self).expect("maps with text keys always serialise");
        write_cache(path, &json)
    }
}

fn stamps(copy: &LocalSession) -> BTreeMap<String, FileStamp> {
    let files = copy.files.iter();
    let stamp = |(file, stamp): (&SessionFile, &FileStamp)| (file.key().to_owned(), *stamp);
    files.map(stamp).collect()
}
