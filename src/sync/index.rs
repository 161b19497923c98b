//! The index: what was found out about each session when it was last looked at.
//!
//! Only a cache. Deleting it changes nothing but time: everything in it is found out again by comparing bytes. An entry holds only while the
//! session's files and its state in the store are what they were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::id::SessionId;
use crate::session::discover::LocalSession;
use crate::store::snapshot::SessionState;
use crate::sys::fs::{FileStamp, PathError, write_cache};

const VERSION: u32 = 1;

/// The whole index.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    version: u32,
    /// The settings that readings depend on; under others the entries say nothing.
    settings: String,
    sessions: BTreeMap<SessionId, Entry>,
}

/// A session whose local files are all this machine would have of the stored ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The session's state in the store.
    pub(super) state: SessionState,
    /// Where it lies.
    pub(super) directory: PathBuf,
    /// Its files; the transcript under the empty name.
    pub(super) files: BTreeMap<String, FileStamp>,
    /// Hash of the last bytes of the transcript; guards an append against a transcript that was written anew.
    pub(super) tail: String,
    /// The transcript ends with a line end, here and in the store.
    pub(super) whole: bool,
}

/// How many bytes before the end the tail hash covers.
pub(super) const TAIL: u64 = 16 << 10;

impl Index {
    /// Reads the index; one that is missing, damaged, or made under other `settings` is empty.
    pub(super) fn load(path: &Path, settings: &str) -> Self {
        let read = std::fs::read(path).ok().and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        read.filter(|index| index.version == VERSION && index.settings == settings).unwrap_or_else(|| Self {
            version: VERSION,
            settings: settings.to_owned(),
            sessions: BTreeMap::new(),
        })
    }

    /// Writes the index.
    pub(super) fn save(&self, path: &Path) -> Result<(), PathError> {
        let json = serde_json::to_vec(self).expect("maps with text keys and plain values always serialise");
        write_cache(path, &json)
    }

    /// Whether `session` is in step with the store at `state`, without opening a file.
    pub(super) fn in_step(&self, session: &LocalSession, state: Option<&SessionState>) -> bool {
        self.entry(session, state).is_some_and(|entry| entry.files == stamps(session))
    }

    /// The entry of `session`, if it speaks of this place and of this state of the store.
    pub(super) fn entry(&self, session: &LocalSession, state: Option<&SessionState>) -> Option<&Entry> {
        let entry = self.sessions.get(&session.id)?;
        (Some(&entry.state) == state && entry.directory == session.directory).then_some(entry)
    }

    /// Records that `session` is in step with the store at `state`; the transcript up to its length in `session`.
    pub(super) fn record(&mut self, session: &LocalSession, state: SessionState) {
        let transcript = session.path(None);
        let len = session.files[&None].len;
        let tail = tail_hash(&transcript, len);
        let whole = super::text::last_line_end(&transcript, len).is_ok_and(|end| end == len);
        let directory = session.directory.clone();
        let files = stamps(session);
        self.sessions.insert(session.id.clone(), Entry { state, directory, files, tail, whole });
    }

    /// Forgets sessions that are not in `present`.
    pub(super) fn keep_only(&mut self, present: &BTreeMap<SessionId, LocalSession>) {
        self.sessions.retain(|id, _| present.contains_key(id));
    }

    /// Forgets `session`.
    pub(super) fn forget(&mut self, session: &SessionId) {
        self.sessions.remove(session);
    }
}

impl Entry {
    /// If the transcript of `session` only grew since the entry was made: its length then.
    pub(super) fn grown_from(&self, session: &LocalSession) -> Option<u64> {
        let then = self.files.get("")?;
        let now = &session.files[&None];
        let same_file = then.inode == now.inode && now.len > then.len;
        (self.whole && same_file && tail_hash(&session.path(None), then.len) == self.tail).then_some(then.len)
    }
}

fn stamps(session: &LocalSession) -> BTreeMap<String, FileStamp> {
    let name = |name: &Option<crate::domain::path::RelativeName>| name.as_ref().map_or("", |n| n.as_str()).to_owned();
    session.files.iter().map(|(n, stamp)| (name(n), *stamp)).collect()
}

/// Hash of the bytes before offset `end` of a file; empty if they cannot be read, which equals nothing on record.
fn tail_hash(path: &Path, end: u64) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let len = end.min(TAIL);
        file.seek(SeekFrom::Start(end - len))?;
        let mut bytes = vec![0; len as usize];
        file.read_exact(&mut bytes)?;
        Ok::<_, std::io::Error>(blake3::hash(&bytes).to_hex().to_string())
    };
    read().unwrap_or_default()
}
