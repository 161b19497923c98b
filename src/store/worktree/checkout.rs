//! Reading sessions from the working tree, many times faster than from git's objects.
//!
//! A file of the working tree is used on two conditions. The entries of the session in the index
//! must make exactly the trees that the head has. And the file must be the one that the index
//! describes, by the rules of git: a plain file of the same size and time, older than the index.
//! Everything else is read from the objects. So it does not matter if a user changed the working
//! tree, or if another ccsync is writing it. Links are not followed. Must not write.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;

use git2::{ObjectType, Oid};

use super::index::{IndexedFile, indexed_files};
use crate::domain::{SessionFile, SessionId};
use crate::store::{
    error::StoreError, format::manifest::Manifest, format::manifest::StoredFile, layout,
    objects::name::object_name, objects::tree::TreeEntry, objects::tree::push_entry,
    repository::Store, snapshot::Snapshot,
};
use crate::sys::fs::FileStamp;

/// The working tree of the store, and its index. Shared by all threads that read.
pub struct Checkout {
    root: PathBuf,
    /// Sorted by path. A path is used only if this program makes the same one.
    files: Vec<IndexedFile>,
    sessions: HashMap<SessionId, Range<usize>>,
    /// Time of the index, in nanoseconds since 1970. A file that is not older may have changed
    /// since without a trace.
    written_ns: i64,
}

/// The files of one session at one commit.
///
/// They are read from the working tree or, if it cannot be trusted, from the commit.
pub struct SessionFiles<'c> {
    checkout: &'c Checkout,
    id: SessionId,
    /// Sorted by path.
    files: &'c [IndexedFile],
}

impl Checkout {
    /// Reads the index.
    pub fn open(store: &Store) -> Self {
        let stamp = FileStamp::read(&store.git_dir().join("index"));
        let files = indexed_files(&store.repo);
        Self {
            root: store.path().to_owned(),
            sessions: session_ranges(&files),
            files,
            written_ns: stamp.map_or(i64::MIN, |stamp| stamp.modified_ns),
        }
    }

    /// Returns the files of a session that has this state at the commit to be read.
    pub fn session(&self, id: &SessionId, state: &str) -> SessionFiles<'_> {
        let range = self.sessions.get(id).cloned().unwrap_or_default();
        let files = &self.files[range];
        let directory = layout::session(id).len() + 1;
        let is_current = tree_name(files, directory).is_some_and(|tree| tree.to_string() == state);
        SessionFiles {
            checkout: self,
            id: id.clone(),
            files: if is_current { files } else { &[] },
        }
    }

    /// Appends the content of a file, if it is still the one in the index.
    fn read(&self, file: &IndexedFile, text: &mut Vec<u8>) -> bool {
        let path = self.root.join(&file.path);
        let is_indexed = |metadata: fs::Metadata| {
            metadata.is_file() && self.is_unchanged(file, FileStamp::without_number(&metadata))
        };
        if !fs::symlink_metadata(&path).is_ok_and(is_indexed) {
            return false;
        }
        let start = text.len();
        let read = fs::File::open(&path).and_then(|mut file| file.read_to_end(text));
        let is_whole = read.is_ok_and(|bytes| bytes == file.size as usize);
        if !is_whole {
            text.truncate(start);
        }
        is_whole
    }

    /// Compares with time and size as `Store::index_entry` writes them.
    fn is_unchanged(&self, file: &IndexedFile, stamp: FileStamp) -> bool {
        const SECOND: i64 = 1_000_000_000;
        let seconds = i32::try_from(stamp.modified_ns / SECOND).unwrap_or(0);
        let nanoseconds = u32::try_from(stamp.modified_ns % SECOND).unwrap_or(0);
        seconds > 0
            && file.modified == (seconds as u32, nanoseconds)
            && u64::from(file.size) == stamp.len
            && stamp.modified_ns < self.written_ns
    }
}

impl SessionFiles<'_> {
    /// Returns the manifest. `snapshot` is the commit with the session's state.
    ///
    /// # Errors
    /// As for [`Snapshot::manifest`].
    pub fn manifest(&self, snapshot: &Snapshot<'_>) -> Result<Option<Manifest>, StoreError> {
        let mut json = Vec::new();
        if !self.read(&layout::manifest(&self.id), &mut json) {
            return snapshot.manifest(&self.id);
        }
        match Manifest::parse(&self.id, &json) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(source) => Err(StoreError::Session {
                session: self.id.clone(),
                source,
            }),
        }
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
        let expected = stored.segments.get(number).map(|segment| segment.bytes);
        if self.read(&layout::segment(&self.id, file, number), text) {
            if Some((text.len() - start) as u64) == expected {
                return Ok(());
            }
            text.truncate(start);
        }
        text.extend(snapshot.segment(&self.id, file, stored, number)?);
        Ok(())
    }

    fn read(&self, path: &str, text: &mut Vec<u8>) -> bool {
        let found = self
            .files
            .binary_search_by(|file| file.path.as_str().cmp(path));
        found.is_ok_and(|at| self.checkout.read(&self.files[at], text))
    }
}

/// Returns the range of each session in `files`, which are sorted by path.
fn session_ranges(files: &[IndexedFile]) -> HashMap<SessionId, Range<usize>> {
    let mut ranges: HashMap<SessionId, Range<usize>> = HashMap::new();
    let mut last: Option<(&str, SessionId)> = None;
    for (at, file) in files.iter().enumerate() {
        let is_in = |(directory, _): &&(&str, SessionId)| file.path.starts_with(directory);
        let id = match last.as_ref().filter(is_in) {
            Some((_, id)) => id.clone(),
            None => match layout::session_of(&file.path) {
                Some(id) => {
                    let directory = &file.path[..=layout::session(&id).len()];
                    last = Some((directory, id.clone()));
                    id
                }
                None => continue,
            },
        };
        ranges.entry(id).or_insert(at..at).end = at + 1;
    }
    ranges
}

/// Returns the name of the tree that holds `files`, whose paths begin at offset `from` in it.
///
/// The order of an index is also that of git's trees.
fn tree_name(files: &[IndexedFile], from: usize) -> Option<Oid> {
    let mut tree = Vec::with_capacity(files.len() * 40);
    let mut rest = files;
    while let Some(first) = rest.first() {
        let name = first.path.get(from..)?;
        let Some((name, _)) = name.split_once('/') else {
            push_entry(&mut tree, first.entry, name.as_bytes());
            rest = &rest[1..];
            continue;
        };
        let directory = &first.path[..=from + name.len()];
        let is_in = |file: &&IndexedFile| file.path.starts_with(directory);
        let (inside, after) = rest.split_at(rest.iter().take_while(is_in).count());
        let entry = TreeEntry::new_directory(tree_name(inside, directory.len())?);
        push_entry(&mut tree, entry, name.as_bytes());
        rest = after;
    }
    (!tree.is_empty()).then(|| object_name(ObjectType::Tree, &tree))
}

#[cfg(test)]
mod tests {
    use super::super::index::new_entry;
    use super::*;

    fn indexed(path: &str) -> IndexedFile {
        IndexedFile {
            path: path.to_owned(),
            entry: TreeEntry::new_file(Oid::from_bytes(&[7; 20]).unwrap()),
            modified: (1, 2),
            size: 3,
        }
    }

    #[test]
    fn checkout_tree_ids_match_git() {
        let dir = tempfile::tempdir().unwrap();
        let repo = git2::Repository::init(dir.path()).unwrap();
        git2::opts::strict_object_creation(false);
        let file = TreeEntry::new_file(repo.blob(b"x").unwrap());
        // In the order of an index: a directory sorts as if its name ended with a slash.
        let paths = ["a-b", "a/b/c", "a/b/d", "a/x", "a.txt", "b"];
        let mut index = repo.index().unwrap();
        for path in paths {
            index.add(&new_entry(path.into(), file)).unwrap();
        }
        index.write().unwrap();
        let sorted = indexed_files(&repo);
        assert_eq!(sorted.len(), paths.len());
        assert_eq!(tree_name(&sorted, 0), Some(index.write_tree().unwrap()));
        assert_eq!(tree_name(&[], 0), None);
    }

    #[test]
    fn checkout_entries_are_grouped_by_session_directory() {
        let files = [
            "ccsync.json",
            "sessions/ab/ab1/manifest.json",
            "sessions/ab/ab1/transcript/000000.jsonl",
            "sessions/ab/ab12/manifest.json",
        ]
        .map(indexed);
        let found = session_ranges(&files);
        let range = |id: &str| found.get(&id.parse::<SessionId>().unwrap()).cloned();
        assert_eq!(
            (range("ab1"), range("ab12"), found.len()),
            (Some(1..3), Some(3..4), 2)
        );
    }
}
