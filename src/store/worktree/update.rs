//! Making working tree and index equal to the head.
//!
//! A marker in the git directory says that an update has begun. If it was interrupted, the next
//! command writes the whole tree again.
//!
//! Entries that are not files of moderate size with safe names (symbolic links, submodules, large
//! files of other programs) stay in the object database only. The index has them with the flag
//! "skip-worktree", so that `git status` does not report them as deleted.

use std::collections::HashMap;
use std::fs;

use git2::{IndexEntry, IndexTime, Oid, Repository};

use super::files::{WorktreeFiles, remove};
use super::index::{self, IndexEdits};
use crate::domain::CommitId;
use crate::store::error::StoreError;
use crate::store::format::segment::MAX_FILE_BYTES;
use crate::store::layout::{HEAD_REF, is_safe};
use crate::store::objects::reader::{ObjectReader, Objects};
use crate::store::objects::tree::{ChangedFile, TreeEntry, changed_files, find_entry};
use crate::store::repository::Store;
use crate::sys::{
    fail_point::fail_point, fs::FileStamp, parallel::try_map, parallel::useful_threads,
};

/// Files that a transaction has written to the working tree, and their objects.
pub(in crate::store) type WrittenFiles = HashMap<String, Oid>;

/// File that exists while working tree and index may differ from the head.
const MARKER: &str = "ccsync-unfinished";

/// Minimum number of files for which another thread saves time.
const MIN_FILES_PER_THREAD: usize = 64;

impl Store {
    /// Moves the head to a descendant, and updates index and working tree.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn fast_forward(&self, commit: &CommitId) -> Result<(), StoreError> {
        self.advance(commit, "fetch", &WrittenFiles::new())
    }

    /// Moves the head to `commit`, and updates index and working tree, which has `written` already.
    pub(in crate::store) fn advance(
        &self,
        commit: &CommitId,
        log_message: &str,
        written: &WrittenFiles,
    ) -> Result<(), StoreError> {
        // This fails for a tree that is refused. It must not become the head.
        let changes = changed_files(
            self.objects(),
            self.head_tree()?,
            Some(self.tree_of(commit)?),
        )?;
        self.mark_unfinished()?;
        fail_point("the working tree is marked");
        self.set_ref(HEAD_REF, Some(commit), log_message)?;
        fail_point("the head has moved");
        self.update_worktree(&changes, written)?;
        self.mark_finished()
    }

    /// Records that the working tree may differ from the head.
    pub(in crate::store) fn mark_unfinished(&self) -> Result<(), StoreError> {
        let marker = self.git_dir().join(MARKER);
        if marker.exists() {
            return Ok(());
        }
        fs::File::create(&marker)
            .map(drop)
            .map_err(|e| StoreError::io("create", &marker, e))
    }

    fn mark_finished(&self) -> Result<(), StoreError> {
        remove(&self.git_dir().join(MARKER))?;
        fail_point("the mark is removed");
        Ok(())
    }

    /// Writes working tree and index again if an update was interrupted.
    pub(in crate::store) fn repair_worktree(&self) -> Result<(), StoreError> {
        if !self.git_dir().join(MARKER).exists() {
            return Ok(());
        }
        self.rewrite_worktree()?;
        self.mark_finished()
    }

    fn rewrite_worktree(&self) -> Result<(), StoreError> {
        // The index may be incomplete too.
        remove(&self.git_dir().join("index"))?;
        fail_point("the index is discarded");
        let mut index = self.read_index()?;
        index.clear()?;
        self.clear_worktree()?;
        fail_point("the working tree is discarded");

        let changes = changed_files(self.objects(), None, self.head_tree()?)?;
        let edits = self.write_changes(&changes, &WrittenFiles::new())?;
        index::edit_any(&mut index, &edits)?;
        fail_point("the working tree is rewritten");
        Ok(())
    }

    fn clear_worktree(&self) -> Result<(), StoreError> {
        let failed = |e| StoreError::io("read", self.path(), e);
        for entry in fs::read_dir(self.path()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() != ".git" {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    fn head_tree(&self) -> Result<Option<Oid>, StoreError> {
        self.head()?.map(|head| self.tree_of(&head)).transpose()
    }

    /// Makes these changes in working tree and index.
    fn update_worktree(
        &self,
        changes: &[ChangedFile],
        written: &WrittenFiles,
    ) -> Result<(), StoreError> {
        let edits = self.write_changes(changes, written)?;
        if index::edit_plain(&self.git_dir().join("index"), &edits).is_ok() {
            fail_point("git's index is written");
            return Ok(());
        }
        match self.read_index() {
            Ok(mut index) => index::edit_any(&mut index, &edits),
            // Everything in a damaged index is in the head too.
            Err(_) => self.rewrite_worktree(),
        }
    }

    fn read_index(&self) -> Result<git2::Index, StoreError> {
        let mut index = self.repo.index()?;
        index.read(true)?;
        Ok(index)
    }

    /// Makes these changes in the working tree. Returns those to make in the index.
    fn write_changes(
        &self,
        changes: &[ChangedFile],
        written: &WrittenFiles,
    ) -> Result<IndexEdits, StoreError> {
        let worktree = self.worktree_files();
        let mut edits = IndexEdits::new();
        // A directory must be removed before a file can take its name.
        for change in changes.iter().filter(|change| change.new.is_none()) {
            if let Some(path) = safe_path(change) {
                worktree.remove(path)?;
            }
            edits.insert(change.path.clone(), None);
        }
        fail_point("files are removed from the working tree");

        let mut files = Vec::new();
        for change in changes {
            let Some(entry) = change.new else { continue };
            let path = safe_path(change);
            match path {
                Some(path) if self.is_checked_out(entry)? => files.push((path, entry)),
                _ => {
                    if let Some(path) = path {
                        remove(&self.path().join(path))?;
                    }
                    let skipped = index::skipped_entry(change.path.clone(), entry);
                    edits.insert(change.path.clone(), Some(skipped));
                }
            }
        }
        let mut missing = files.clone();
        missing.retain(|(path, entry)| written.get(*path) != Some(&entry.oid));
        self.write_files(&missing)?;
        for (path, entry) in files {
            let entry = self.index_entry(path, entry)?;
            edits.insert(path.into(), Some(entry));
        }
        Ok(edits)
    }

    fn is_checked_out(&self, entry: TreeEntry) -> Result<bool, StoreError> {
        Ok(entry.is_file() && self.objects().size(entry.oid)? <= MAX_FILE_BYTES)
    }

    /// Writes files to the working tree, many of them on all cores.
    fn write_files(&self, files: &[(&str, TreeEntry)]) -> Result<(), StoreError> {
        let worktree = self.worktree_files();
        let threads = useful_threads(files.len(), MIN_FILES_PER_THREAD);
        if threads < 2 {
            return files.iter().try_for_each(|(path, entry)| {
                worktree.write_blob(path, entry.oid, self.objects())
            });
        }
        let git_dir = self.git_dir();
        let written = try_map(files, threads, |queue| {
            let (repo, reader) = (&Repository::open(git_dir)?, &ObjectReader::new(git_dir));
            let objects = Objects { repo, reader };
            queue.try_each(|(path, entry)| worktree.write_blob(path, entry.oid, objects))
        });
        written.map(|_: Vec<()>| ())
    }

    /// Returns the index entry of a file, with the time and size that the file has.
    ///
    /// `git status` does not read such a file.
    fn index_entry(&self, path: &str, entry: TreeEntry) -> Result<IndexEntry, StoreError> {
        let stamp = FileStamp::read(&self.path().join(path))?;
        let seconds = i32::try_from(stamp.modified_ns / 1_000_000_000).unwrap_or(0);
        let nanoseconds = u32::try_from(stamp.modified_ns % 1_000_000_000).unwrap_or(0);
        Ok(IndexEntry {
            mtime: IndexTime::new(seconds, nanoseconds),
            file_size: stamp.len as u32,
            ..index::new_entry(path.into(), entry)
        })
    }

    /// Writes one file of the working tree.
    pub(in crate::store) fn write_file(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.worktree_files().write(path, bytes)
    }

    /// Makes one file of the working tree equal to that in `tree`.
    pub(in crate::store) fn restore_file(
        &self,
        path: &str,
        tree: Option<Oid>,
    ) -> Result<(), StoreError> {
        let entry = find_entry(self.objects(), tree, path)?;
        let worktree = self.worktree_files();
        match entry.filter(|entry| entry.is_file()) {
            Some(entry) => worktree.write_blob(path, entry.oid, self.objects()),
            None => worktree.remove(path),
        }
    }

    fn worktree_files(&self) -> WorktreeFiles<'_> {
        WorktreeFiles { root: self.path() }
    }
}

fn safe_path(change: &ChangedFile) -> Option<&str> {
    change.path().filter(|path| is_safe(path))
}
