//! The working tree of the store, which people may open and read: keeping it and the index equal to the head.
//!
//! Nothing here is ever read back: the truth is in git's objects. An interrupted update leaves a marker, and the next
//! command writes the whole tree anew.
//!
//! What is no file of moderate size with a safe name (symbolic links, submodules, somebody's disk image) stays in git's objects: the
//! index holds it with the mark "skip-worktree", so that `git status` does not miss it.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use git2::{IndexEntry, IndexEntryExtendedFlag, IndexTime, ObjectType, Oid};

use super::entries::{self, Edits};
use super::reader::{Objects, Reader};
use super::{Store, StoreError, layout, segment, tree};
use crate::domain::id::CommitId;
use crate::sys::fail_point::fail_point;
use crate::sys::parallel::{try_map, useful_threads};

/// What a transaction wrote into the working tree already.
pub(super) type Written = HashMap<String, Oid>;

const MARKER: &str = "ccsync-unfinished";

/// A thread for fewer files costs more than it saves.
const FILES_PER_THREAD: usize = 64;

/// A larger file is none of this program's and is not checked out.
const LARGEST: usize = segment::LIMIT + segment::CUT;

impl Store {
    /// Says that the working tree may not fit the head until [`Self::mark_finished`].
    pub(super) fn mark_unfinished(&self) -> Result<(), StoreError> {
        let marker = self.repo.path().join(MARKER);
        if marker.exists() {
            return Ok(());
        }
        fs::File::create(&marker)
            .map(drop)
            .map_err(|e| StoreError::io("create", &marker, e))
    }

    pub(super) fn mark_finished(&self) -> Result<(), StoreError> {
        let marker = self.repo.path().join(MARKER);
        remove(&marker)?;
        fail_point("the mark is removed");
        Ok(())
    }

    /// Writes the working tree and the index anew if an update of them was interrupted.
    pub(super) fn repair_worktree(&self) -> Result<(), StoreError> {
        if !self.repo.path().join(MARKER).exists() {
            return Ok(());
        }
        self.rewrite_worktree()?;
        self.mark_finished()
    }

    fn rewrite_worktree(&self) -> Result<(), StoreError> {
        // It may be as unfinished as the rest.
        remove(&self.repo.path().join("index"))?;
        fail_point("the index is discarded");
        let mut index = self.fresh_index()?;
        index.clear()?;
        let head = self.head()?.map(|head| self.tree_of(&head)).transpose()?;
        for entry in
            fs::read_dir(self.path()).map_err(|e| StoreError::io("read", self.path(), e))?
        {
            let entry = entry.map_err(|e| StoreError::io("read", self.path(), e))?;
            if entry.file_name() != ".git" {
                remove(&entry.path())?;
            }
        }
        fail_point("the working tree is discarded");
        let edits = self.write_changes(
            tree::differences(self.objects(), None, head)?,
            &Written::new(),
        )?;
        enter(&mut index, &edits)?;
        fail_point("the working tree is rewritten");
        Ok(())
    }

    /// What index and working tree lack of `new`, if they are as in `old`.
    pub(super) fn changes(
        &self,
        old: Option<&CommitId>,
        new: &CommitId,
    ) -> Result<Vec<tree::Difference>, StoreError> {
        let old = old.map(|old| self.tree_of(old)).transpose()?;
        tree::differences(self.objects(), old, Some(self.tree_of(new)?))
    }

    /// Makes these changes in index and working tree.
    pub(super) fn update_worktree(
        &self,
        changes: Vec<tree::Difference>,
        written: &Written,
    ) -> Result<(), StoreError> {
        let edits = self.write_changes(changes, written)?;
        if entries::edit(&self.repo.path().join("index"), &edits).is_ok() {
            fail_point("git's index is written");
            return Ok(());
        }
        match self.fresh_index() {
            Ok(mut index) => enter(&mut index, &edits),
            // It holds nothing that is not in the head.
            Err(_) => self.rewrite_worktree(),
        }
    }

    /// Writes one file of the working tree, whatever is in its way.
    pub(super) fn write_file(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.place().write(path, bytes)
    }

    /// Makes one file of the working tree what it is in `tree`.
    pub(super) fn restore_file(&self, path: &str, tree: Option<Oid>) -> Result<(), StoreError> {
        match tree::at_path(self.objects(), tree, path)?.filter(|leaf| leaf.is_file()) {
            Some(leaf) => self.place().write_blob(path, leaf.oid, self.objects()),
            None => {
                remove(&self.path().join(path))?;
                self.remove_empty_parents(path);
                Ok(())
            }
        }
    }

    /// Makes these changes in the working tree; says what they are to the index.
    fn write_changes(
        &self,
        changes: Vec<tree::Difference>,
        written: &Written,
    ) -> Result<Edits, StoreError> {
        // A directory must be gone before a file can take its name.
        let (new, gone): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.new.is_some());
        let mut edits = Edits::new();
        for change in gone {
            if let Some(path) = change.path().filter(|path| layout::is_safe(path)) {
                remove(&self.path().join(path))?;
                self.remove_empty_parents(path);
            }
            edits.insert(change.path, None);
        }
        fail_point("files are removed from the working tree");
        let mut files = Vec::new();
        for change in &new {
            let Some(leaf) = change.new else { continue };
            match change.path().filter(|path| layout::is_safe(path)) {
                Some(path) if self.is_checked_out(leaf)? => files.push((path, leaf)),
                path => {
                    if let Some(path) = path {
                        remove(&self.path().join(path))?;
                    }
                    edits.insert(
                        change.path.clone(),
                        Some(skipped_entry(change.path.clone(), leaf)),
                    );
                }
            }
        }
        let missing: Vec<_> = files
            .iter()
            .filter(|(path, leaf)| written.get(*path) != Some(&leaf.oid))
            .copied()
            .collect();
        self.write_files(&missing)?;
        for (path, leaf) in files {
            edits.insert(
                path.as_bytes().to_vec(),
                Some(self.index_entry(path, leaf)?),
            );
        }
        Ok(edits)
    }

    /// Writes files into the working tree, many of them on all cores.
    fn write_files(&self, files: &[(&str, tree::Leaf)]) -> Result<(), StoreError> {
        let place = self.place();
        let threads = useful_threads(files.len(), FILES_PER_THREAD);
        if threads < 2 {
            return files
                .iter()
                .try_for_each(|(path, leaf)| place.write_blob(path, leaf.oid, self.objects()));
        }
        let git_dir = self.git_dir();
        let written = try_map(files, threads, |queue| {
            let (repo, reader) = (&git2::Repository::open(git_dir)?, &Reader::new(git_dir));
            queue
                .try_each(|(path, leaf)| place.write_blob(path, leaf.oid, Objects { repo, reader }))
        });
        written.map(|_: Vec<()>| ())
    }

    fn place(&self) -> Place<'_> {
        Place { root: self.path() }
    }

    fn is_checked_out(&self, leaf: tree::Leaf) -> Result<bool, StoreError> {
        Ok(leaf.is_file() && self.objects().size(leaf.oid)? <= LARGEST)
    }

    fn fresh_index(&self) -> Result<git2::Index, StoreError> {
        let mut index = self.repo.index()?;
        index.read(true)?;
        Ok(index)
    }

    /// An entry with the file's own time and size, so that `git status` need not read the file.
    fn index_entry(&self, path: &str, leaf: tree::Leaf) -> Result<IndexEntry, StoreError> {
        let file = self.path().join(path);
        let stamp = crate::sys::fs::FileStamp::read(&file)
            .map_err(|e| StoreError::io("read", &e.path, e.source))?;
        let seconds = i32::try_from(stamp.modified_ns / 1_000_000_000).unwrap_or(0);
        let nanoseconds = u32::try_from(stamp.modified_ns % 1_000_000_000).unwrap_or(0);
        let mtime = IndexTime::new(seconds, nanoseconds);
        Ok(IndexEntry {
            mtime,
            file_size: stamp.len as u32,
            ..entry(path.as_bytes().to_vec(), leaf)
        })
    }

    fn remove_empty_parents(&self, path: &str) {
        let mut directory = self.path().join(path);
        while directory.pop() && directory != self.path() {
            // Fails, as it should, at the first directory that still holds something.
            if fs::remove_dir(&directory).is_err() {
                break;
            }
        }
    }
}

/// Makes these changes in the index, whatever is in it, and writes it.
fn enter(index: &mut git2::Index, edits: &Edits) -> Result<(), StoreError> {
    let (new, gone): (Vec<_>, Vec<_>) = edits.iter().partition(|(_, entry)| entry.is_some());
    for path in gone.into_iter().filter_map(|(path, _)| native_path(path)) {
        index.remove_path(&path)?;
    }
    for entry in new.into_iter().filter_map(|(_, entry)| entry.as_ref()) {
        let added = index.add(entry);
        // A name that git itself would not touch cannot be in an index; then git complains of it, not we.
        if !is_skipped(entry) {
            added?;
        }
    }
    fail_point("before git's index is written");
    index.write()?;
    fail_point("git's index is written");
    Ok(())
}

/// Where the files of the working tree lie.
struct Place<'a> {
    root: &'a Path,
}

impl Place<'_> {
    fn write_blob(&self, path: &str, oid: Oid, objects: Objects<'_>) -> Result<(), StoreError> {
        self.write(path, &objects.read(ObjectType::Blob, oid)?)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let file = self.root.join(path);
        let create = || {
            fs::File::create(&file).or_else(|_| {
                file.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::File::create(&file)
            })
        };
        let handle = create().or_else(|_| {
            self.make_room(path)?;
            create().map_err(|source| StoreError::io("write", &file, source))
        });
        let mut handle = handle?;
        fail_point("a file of the working tree is half written");
        handle
            .write_all(bytes)
            .map_err(|source| StoreError::io("write", &file, source))
    }

    /// Removes files where `path` has directories, and a directory where it has a file.
    fn make_room(&self, path: &str) -> Result<(), StoreError> {
        let mut place = self.root.to_owned();
        for part in path.split('/') {
            place.push(part);
            let is_directory = fs::symlink_metadata(&place).is_ok_and(|m| m.is_dir());
            if is_directory == (place == self.root.join(path)) {
                remove(&place)?;
            }
        }
        Ok(())
    }
}

pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    let result = if is_directory {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match result {
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(StoreError::io("remove", path, e))
        }
        _ => Ok(()),
    }
}

fn entry(path: Vec<u8>, leaf: tree::Leaf) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        // An index knows two kinds of files, a tree some more of former times.
        mode: if leaf.mode == 0o100_664 {
            0o100_644
        } else {
            leaf.mode as u32
        },
        uid: 0,
        gid: 0,
        file_size: 0,
        id: leaf.oid,
        flags: 0,
        flags_extended: 0,
        path,
    }
}

/// An entry of something that is deliberately not in the working tree.
fn skipped_entry(path: Vec<u8>, leaf: tree::Leaf) -> IndexEntry {
    IndexEntry {
        flags_extended: IndexEntryExtendedFlag::SKIP_WORKTREE.bits(),
        ..entry(path, leaf)
    }
}

fn is_skipped(entry: &IndexEntry) -> bool {
    entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0
}

#[cfg(unix)]
fn native_path(path: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
}

#[cfg(not(unix))]
fn native_path(path: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(path).ok().map(PathBuf::from)
}
