//! The working tree of the store, which people may open and read: keeping it and the index equal to the head.
//!
//! Nothing here is ever read back: the truth is in git's objects. An interrupted update leaves a marker, and the next
//! command writes the whole tree anew.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use git2::{IndexEntry, IndexTime, Oid};

use super::{Store, StoreError, layout, tree, tree_of};
use crate::domain::id::CommitId;

/// What a transaction wrote into the working tree already.
pub(super) type Written = HashMap<String, Oid>;

const MARKER: &str = "ccsync-unfinished";

impl Store {
    /// Says that the working tree may not fit the head until [`Self::mark_finished`].
    pub(super) fn mark_unfinished(&self) -> Result<(), StoreError> {
        let marker = self.repo.path().join(MARKER);
        fs::File::create(&marker).map(drop).map_err(|e| StoreError::io("create", &marker, e))
    }

    pub(super) fn mark_finished(&self) -> Result<(), StoreError> {
        let marker = self.repo.path().join(MARKER);
        fs::remove_file(&marker).map_err(|e| StoreError::io("remove", &marker, e))
    }

    /// Writes the working tree and the index anew if an update of them was interrupted.
    pub(super) fn repair_worktree(&self) -> Result<(), StoreError> {
        if !self.repo.path().join(MARKER).exists() {
            return Ok(());
        }
        let mut index = self.fresh_index()?;
        index.clear()?;
        let head = self.head()?.map(|head| tree_of(&self.repo, &head)).transpose()?;
        for entry in fs::read_dir(self.path()).map_err(|e| StoreError::io("read", self.path(), e))? {
            let entry = entry.map_err(|e| StoreError::io("read", self.path(), e))?;
            if entry.file_name() != ".git" {
                remove(&entry.path())?;
            }
        }
        self.write_changes(&mut index, tree::differences(&self.repo, None, head.as_ref())?, &Written::new())?;
        self.mark_finished()
    }

    /// Brings index and working tree from `old` to `new`.
    pub(super) fn update_worktree(
        &self,
        old: Option<&CommitId>,
        new: &CommitId,
        written: &Written,
    ) -> Result<(), StoreError> {
        let old = old.map(|old| tree_of(&self.repo, old)).transpose()?;
        let changes = tree::differences(&self.repo, old.as_ref(), Some(&tree_of(&self.repo, new)?))?;
        self.write_changes(&mut self.fresh_index()?, changes, written)
    }

    /// Writes one file of the working tree.
    pub(super) fn write_file(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let file = self.path().join(path);
        let io = |source| StoreError::io("write", &file, source);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        let mut handle = fs::File::create(&file).map_err(io)?;
        handle.write_all(bytes).map_err(io)
    }

    /// Makes one file of the working tree what it is in `tree`.
    pub(super) fn restore_file(&self, path: &str, tree: Option<&git2::Tree<'_>>) -> Result<(), StoreError> {
        match tree.and_then(|tree| tree.get_path(Path::new(path)).ok()) {
            Some(entry) => self.write_file(path, self.repo.find_blob(entry.id())?.content()),
            None => {
                remove(&self.path().join(path))?;
                self.remove_empty_parents(path);
                Ok(())
            }
        }
    }

    fn write_changes(
        &self,
        index: &mut git2::Index,
        changes: Vec<tree::Difference>,
        written: &Written,
    ) -> Result<(), StoreError> {
        for tree::Difference { path, new } in changes {
            if !layout::is_safe(&path) {
                continue;
            }
            match new {
                Some(blob) => {
                    if written.get(&path) != Some(&blob) {
                        self.write_file(&path, self.repo.find_blob(blob)?.content())?;
                    }
                    index.add(&self.index_entry(&path, blob)?)?;
                }
                None => {
                    remove(&self.path().join(&path))?;
                    self.remove_empty_parents(&path);
                    index.remove_path(Path::new(&path))?;
                }
            }
        }
        Ok(index.write()?)
    }

    fn fresh_index(&self) -> Result<git2::Index, StoreError> {
        let mut index = self.repo.index()?;
        index.read(true)?;
        Ok(index)
    }

    /// An entry with the file's own time and size, so that `git status` need not read the file.
    fn index_entry(&self, path: &str, blob: Oid) -> Result<IndexEntry, StoreError> {
        let file = self.path().join(path);
        let stamp = crate::sys::fs::FileStamp::read(&file).map_err(|e| StoreError::io("read", &e.path, e.source))?;
        let seconds = i32::try_from(stamp.modified_ns / 1_000_000_000).unwrap_or(0);
        let nanoseconds = u32::try_from(stamp.modified_ns % 1_000_000_000).unwrap_or(0);
        Ok(IndexEntry {
            ctime: IndexTime::new(0, 0),
            mtime: IndexTime::new(seconds, nanoseconds),
            dev: 0,
            ino: 0,
            mode: 0o100_644,
            uid: 0,
            gid: 0,
            file_size: stamp.len as u32,
            id: blob,
            flags: 0,
            flags_extended: 0,
            path: path.as_bytes().to_vec(),
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

fn remove(path: &Path) -> Result<(), StoreError> {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    let result = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match result {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", path, e)),
        _ => Ok(()),
    }
}
