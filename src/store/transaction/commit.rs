//! A commit under construction.

use git2::{ObjectType, Oid};

use crate::domain::CommitId;
use crate::store::{
    author::Author, error::StoreError, format::json::FORMAT, format::json::TOMBSTONE_FORMAT,
    layout::DELETED, layout::FORMAT_FILE, objects::name::commit_id, objects::tree::TreeChanges,
    objects::tree::TreeEntry, objects::tree::apply_changes, objects::writer::ObjectWriter,
    repository::Store, snapshot::Snapshot, worktree::update::WrittenFiles,
};
use crate::sys::fail_point::fail_point;

const README: &str = "\
# Claude Code sessions

This repository is written by ccsync. `sessions/` holds one directory per Claude Code session,
`machines/` holds one file per machine. To change something, use `ccsync`: it may refuse files that
were edited by hand.

Sessions hold private code and may hold secrets. Keep this repository private.
";

/// Git's name of the README that format 1 had.
const FORMER_README: &str = "70a6a1156aecfd7be33ddbe27f2ca07f5f606da8";

const ATTRIBUTES: &str = "* -text\n";

/// A commit under construction.
pub struct Transaction<'store> {
    pub(super) store: &'store Store,
    pub(super) base: Snapshot<'store>,
    writer: ObjectWriter<'store>,
    pub(super) changes: TreeChanges,
    /// Files that the working tree has already.
    pub(super) written: WrittenFiles,
    is_worktree_marked: bool,
}

impl Store {
    /// Begins a commit whose contents start as those of `base`.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn begin(&self, base: Option<&CommitId>) -> Result<Transaction<'_>, StoreError> {
        Ok(Transaction {
            store: self,
            base: self.snapshot(base)?,
            writer: ObjectWriter::new(&self.repo),
            changes: TreeChanges::new(),
            written: WrittenFiles::new(),
            is_worktree_marked: false,
        })
    }
}

impl<'store> Transaction<'store> {
    /// Returns the contents that this commit starts from.
    pub fn base(&self) -> &Snapshot<'store> {
        &self.base
    }

    /// Returns true if nothing was changed yet.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn write_file(&mut self, path: String, bytes: Vec<u8>) -> Result<(), StoreError> {
        if !self.is_worktree_marked {
            self.store.mark_unfinished()?;
            self.is_worktree_marked = true;
        }
        self.store.write_file(&path, &bytes)?;
        fail_point("a file of the store is written");
        let blob = self.writer.write(ObjectType::Blob, bytes)?;
        self.written.insert(path.clone(), blob);
        self.link_file(path, blob);
        Ok(())
    }

    /// Adds a file whose content is an object that the store has.
    pub(super) fn link_file(&mut self, path: String, blob: Oid) {
        self.changes.insert(path, Some(TreeEntry::new_file(blob)));
    }

    pub(super) fn remove_if_present(&mut self, path: String) {
        self.changes.remove(&path);
        if self.base.has(&path) {
            self.remove_file(path);
        }
    }

    pub(super) fn remove_file(&mut self, path: String) {
        self.changes.insert(path, None);
    }

    /// Commits, moves the head, and updates the working tree.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`]. The head has not moved then.
    pub fn commit(
        mut self,
        author: &Author<'_>,
        message: &str,
        parents: &[CommitId],
    ) -> Result<CommitId, StoreError> {
        let format = self.needed_format();
        if self.base.format()?.is_none_or(|former| former < format) {
            self.write_store_files(format)?;
        }
        let (objects, base) = (self.store.objects(), self.base.tree());
        let tree = apply_changes(objects, &mut self.writer, base, &self.changes)?;
        let tree = tree.expect("the format file is always in the tree");
        let commit = author.commit_object(tree, parents, message);
        let commit = commit_id(self.writer.write(ObjectType::Commit, commit)?);
        self.writer.finish()?;
        fail_point("the objects are written");

        self.store.advance(&commit, "push", &self.written)?;
        Ok(commit)
    }

    /// Commits what was taken from other commits. The head does not move.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn commit_aside(
        mut self,
        author: &Author<'_>,
        message: &str,
        parents: &[CommitId],
    ) -> Result<CommitId, StoreError> {
        let (objects, base) = (self.store.objects(), self.base.tree());
        let tree = apply_changes(objects, &mut self.writer, base, &self.changes)?;
        let tree = tree.expect("a commit that is taken from others has files");
        let commit = author.commit_object(tree, parents, message);
        let commit = commit_id(self.writer.write(ObjectType::Commit, commit)?);
        self.writer.finish()?;
        Ok(commit)
    }

    /// Returns the format that older programs must know to do no harm to this commit.
    fn needed_format(&self) -> u32 {
        let below = format!("{DELETED}/");
        let mut changed = self.changes.range(below.clone()..);
        let is_added =
            |(path, entry): (&String, &Option<_>)| path.starts_with(&below) && entry.is_some();
        if self.base.has(DELETED) || changed.next().is_some_and(is_added) {
            TOMBSTONE_FORMAT
        } else {
            FORMAT
        }
    }

    /// Writes the files that every store has. Replaces those of an older format.
    fn write_store_files(&mut self, format: u32) -> Result<(), StoreError> {
        let format = format!("{{\n  \"format\": {format}\n}}\n");
        self.write_file(FORMAT_FILE.to_owned(), format.into_bytes())?;
        // The remote may have been used for something else. No reader depends on these files.
        for (path, text) in [("README.md", README), (".gitattributes", ATTRIBUTES)] {
            let blob = self.base.file(path)?;
            let is_former_readme = blob.is_some_and(|blob| blob.to_string() == FORMER_README);
            if is_former_readme || !self.base.has(path) {
                self.write_file(path.to_owned(), text.into())?;
            }
        }
        Ok(())
    }
}
