//! Sessions read from the working tree, where that is as good as reading git's objects, and many times faster.
//!
//! What lies in the working tree is believed on two conditions. The index must say of the session exactly what the head says: the trees
//! that its entries make must have the names that the head's have. And the file must be the one that the index speaks of, as git itself
//! judges it: a plain file of the same size and time, older than the index. Everything else is read from the objects. So it does not matter
//! what somebody did to the working tree, nor whether another ccsync is writing it. Links are not followed. Must not write.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;

use git2::{ObjectType, Oid};

use super::entries::{PlainEntry, plain_entries};
use super::manifest::{Manifest, StoredFile};
use super::object::object_name;
use super::{Snapshot, Store, StoreError, layout};
use crate::domain::id::SessionId;
use crate::domain::session_file::SessionFile;
use crate::sys::fs::FileStamp;

/// The working tree of the store, with what the index says of it. Shared by all threads that read.
pub struct Checkout {
    root: PathBuf,
    entries: Vec<Entry>,
    sessions: HashMap<SessionId, Range<usize>>,
    /// When the index was written, in nanoseconds since 1970. What is not older may have changed since without a trace.
    written_ns: i64,
}

/// One file as the index knows it. Its path is used only where it is one that this program makes itself.
struct Entry {
    path: String,
    mode: u32,
    oid: Oid,
    modified: (u32, u32),
    size: u32,
}

/// One session at one commit: its files are read from the working tree or, where that cannot be trusted, from the commit.
pub struct SessionFiles<'c> {
    checkout: &'c Checkout,
    id: SessionId,
    /// Sorted by path.
    entries: &'c [Entry],
}

impl Checkout {
    /// Reads the index. One that is missing or damaged stands for nothing.
    pub fn open(store: &Store) -> Self {
        let index = store.git_dir().join("index");
        let written_ns = FileStamp::read(&index).map_or(i64::MIN, |stamp| stamp.modified_ns);
        let plain = fs::read(&index).ok().and_then(|bytes| {
            Some(
                plain_entries(&bytes)?
                    .filter_map(|entry| Entry::of(&entry))
                    .collect(),
            )
        });
        // Somebody keeps links in the repository, or git wrote the index in another version.
        let unusual = || {
            store
                .repo
                .index()
                .map(|index| index.iter().filter_map(Entry::of_git2).collect())
        };
        let entries: Vec<Entry> = plain.or_else(|| unusual().ok()).unwrap_or_default();
        let sessions = ranges(&entries);
        Self {
            root: store.path().to_owned(),
            entries,
            sessions,
            written_ns,
        }
    }

    /// A session whose state at the commit to be read is `state`.
    pub fn session(&self, id: &SessionId, state: &str) -> SessionFiles<'_> {
        let entries = self
            .sessions
            .get(id)
            .map_or(&[][..], |range| &self.entries[range.clone()]);
        let directory = layout::session(id).len() + 1;
        let is_as_stated =
            tree_of(entries, directory).is_some_and(|tree| tree.to_string() == state);
        SessionFiles {
            checkout: self,
            id: id.clone(),
            entries: if is_as_stated { entries } else { &[] },
        }
    }

    /// Appends the content of the file of this entry, if the file is still the one that was entered.
    fn read(&self, entry: &Entry, text: &mut Vec<u8>) -> bool {
        let path = self.root.join(&entry.path);
        let is_as_entered = |metadata: &fs::Metadata| {
            metadata.is_file() && self.describes(entry, FileStamp::of(metadata))
        };
        if !fs::symlink_metadata(&path).is_ok_and(|metadata| is_as_entered(&metadata)) {
            return false;
        }
        let start = text.len();
        let read = fs::File::open(&path).and_then(|mut file| file.read_to_end(text));
        let is_whole = read.is_ok_and(|bytes| bytes == entry.size as usize);
        if !is_whole {
            text.truncate(start);
        }
        is_whole
    }

    /// As `Store::index_entry` writes it.
    fn describes(&self, entry: &Entry, stamp: FileStamp) -> bool {
        const SECOND: i64 = 1_000_000_000;
        let seconds = i32::try_from(stamp.modified_ns / SECOND)
            .ok()
            .filter(|seconds| *seconds > 0);
        let nanoseconds = u32::try_from(stamp.modified_ns % SECOND).unwrap_or(0);
        seconds.is_some_and(|seconds| entry.modified == (seconds as u32, nanoseconds))
            && stamp.len == u64::from(entry.size)
            && stamp.modified_ns < self.written_ns
    }
}

impl SessionFiles<'_> {
    /// The manifest; `snapshot` is of the commit whose state of the session was given.
    ///
    /// # Errors
    /// As for [`Snapshot::manifest`].
    pub fn manifest(&self, snapshot: &Snapshot<'_>) -> Result<Option<Manifest>, StoreError> {
        let mut json = Vec::new();
        if !self.read(&layout::manifest(&self.id), &mut json) {
            return snapshot.manifest(&self.id);
        }
        let fail = |source| StoreError::Session {
            session: self.id.clone(),
            source,
        };
        Manifest::parse(&self.id, &json).map(Some).map_err(fail)
    }

    /// Appends the text of one segment to `text`.
    ///
    /// # Errors
    /// As for [`Snapshot::segment`].
    pub fn segment(
        &self,
        snapshot: &Snapshot<'_>,
        file: &SessionFile,
        stored: &StoredFile,
        number: usize,
        text: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let start = text.len();
        let wanted = stored.segments.get(number).map(|segment| segment.bytes);
        if self.read(&layout::segment(&self.id, file, number), text) {
            if Some((text.len() - start) as u64) == wanted {
                return Ok(());
            }
            text.truncate(start);
        }
        text.extend(snapshot.segment(&self.id, file, stored, number)?);
        Ok(())
    }

    fn read(&self, path: &str, text: &mut Vec<u8>) -> bool {
        let found = self
            .entries
            .binary_search_by(|entry| entry.path.as_str().cmp(path));
        found.is_ok_and(|at| self.checkout.read(&self.entries[at], text))
    }
}

impl Entry {
    fn of(entry: &PlainEntry<'_>) -> Option<Self> {
        let path = std::str::from_utf8(entry.path).ok()?;
        let oid = Oid::from_bytes(entry.oid).ok()?;
        Some(Self {
            path: path.to_owned(),
            mode: entry.mode,
            oid,
            modified: entry.modified,
            size: entry.size,
        })
    }

    fn of_git2(entry: git2::IndexEntry) -> Option<Self> {
        let path = String::from_utf8(entry.path).ok()?;
        let modified = (entry.mtime.seconds() as u32, entry.mtime.nanoseconds());
        Some(Self {
            path,
            mode: entry.mode,
            oid: entry.id,
            modified,
            size: entry.file_size,
        })
    }
}

/// Which entries are those of which session. The index is sorted by path.
fn ranges(entries: &[Entry]) -> HashMap<SessionId, Range<usize>> {
    let mut ranges: HashMap<SessionId, Range<usize>> = HashMap::new();
    let mut last: Option<(&str, SessionId)> = None;
    for (at, entry) in entries.iter().enumerate() {
        let known = last
            .as_ref()
            .filter(|(directory, _)| entry.path.starts_with(directory))
            .map(|(_, id)| id.clone());
        let Some(id) = known.or_else(|| layout::session_of(&entry.path)) else {
            continue;
        };
        if last.as_ref().is_none_or(|(_, last)| *last != id) {
            let directory = &entry.path[..=layout::session(&id).len()];
            last = Some((directory, id.clone()));
        }
        let range = ranges.entry(id).or_insert(at..at);
        range.end = at + 1;
    }
    ranges
}

/// The name of the tree that holds `entries`, whose paths are taken from offset `from` on. They are in the order in which git sorts trees.
fn tree_of(entries: &[Entry], from: usize) -> Option<Oid> {
    let mut tree = Vec::with_capacity(entries.len() * 40);
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let below = first.path.get(from..)?;
        match below.split_once('/') {
            None => {
                push(&mut tree, first.mode, below, first.oid);
                rest = &rest[1..];
            }
            Some((name, _)) => {
                let directory = &first.path[..=from + name.len()];
                let here = rest
                    .iter()
                    .take_while(|entry| entry.path.starts_with(directory))
                    .count();
                push(
                    &mut tree,
                    super::tree::DIRECTORY as u32,
                    name,
                    tree_of(&rest[..here], directory.len())?,
                );
                rest = &rest[here..];
            }
        }
    }
    (!tree.is_empty()).then(|| object_name(ObjectType::Tree, &tree))
}

fn push(tree: &mut Vec<u8>, mode: u32, name: &str, oid: Oid) {
    tree.extend_from_slice(format!("{mode:o} {name}\0").as_bytes());
    tree.extend_from_slice(oid.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, oid: Oid) -> Entry {
        Entry {
            path: path.to_owned(),
            mode: 0o100_644,
            oid,
            modified: (1, 2),
            size: 3,
        }
    }

    #[test]
    fn checkout_tree_ids_match_git() {
        let dir = tempfile::tempdir().unwrap();
        let repo = git2::Repository::init(dir.path()).unwrap();
        git2::opts::strict_object_creation(false);
        let blob = repo.blob(b"x").unwrap();
        // In the order of an index: a directory sorts as if its name ended with a slash.
        let paths = ["a-b", "a/b/c", "a/b/d", "a/x", "a.txt", "b"];
        let mut index = repo.index().unwrap();
        for path in paths {
            let entry = git2::IndexEntry {
                ctime: git2::IndexTime::new(0, 0),
                mtime: git2::IndexTime::new(0, 0),
                dev: 0,
                ino: 0,
                mode: 0o100_644,
                uid: 0,
                gid: 0,
                file_size: 1,
                id: blob,
                flags: 0,
                flags_extended: 0,
                path: path.as_bytes().to_vec(),
            };
            index.add(&entry).unwrap();
        }
        let sorted: Vec<Entry> = index.iter().filter_map(Entry::of_git2).collect();
        assert_eq!(tree_of(&sorted, 0), Some(index.write_tree().unwrap()));
        assert_eq!(tree_of(&[], 0), None);
    }

    #[test]
    fn checkout_entries_are_grouped_by_session_directory() {
        let oid = Oid::from_bytes(&[7; 20]).unwrap();
        let paths = [
            "ccsync.json",
            "sessions/ab/ab1/manifest.json",
            "sessions/ab/ab1/transcript/000000.jsonl",
            "sessions/ab/ab12/manifest.json",
        ];
        let entries: Vec<Entry> = paths.iter().map(|path| entry(path, oid)).collect();
        let found = ranges(&entries);
        let range = |id: &str| found.get(&id.parse::<SessionId>().unwrap()).cloned();
        assert_eq!(
            (range("ab1"), range("ab12"), found.len()),
            (Some(1..3), Some(3..4), 2)
        );
    }
}
