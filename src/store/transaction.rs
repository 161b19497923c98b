//! Writing one commit of the store: segments, manifests and machine files in, a commit out.
//!
//! Until [`Transaction::commit`] nothing is visible to git; a transaction that is dropped leaves no trace but files in
//! the working tree, which the next command removes.

mod bundles;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use git2::{ObjectType, Oid};

use super::machine::{Machine, ProposedPaths};
use super::manifest::{FORMAT, Manifest, to_json};
use super::milestone::{Milestone, MilestoneName};
use super::note::Note;
use super::object::ObjectWriter;
use super::worktree::Written;
use super::{Snapshot, Store, StoreError, commit_id, layout, tree};
use crate::domain::id::{CommitId, MachineId, SessionId};
use crate::domain::session_file::SessionFile;
use crate::sys::fail_point::fail_point;

const README: &str = "\
# Sessions kept by ccsync

This repository is written by [ccsync](https://crates.io/crates/ccsync). `sessions/` holds one directory per Claude Code
session, `machines/` one file per machine. Read whatever you like; to change something, use `ccsync`: what is edited here
by hand may be refused. The format is described in `docs/dev/format.md` of the program.

Sessions hold private code and possibly secrets. Keep this repository private.
";

const ATTRIBUTES: &str = "* -text\n";

/// Who commits, and when.
#[derive(Debug, Clone)]
pub struct Author<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Time of the commit.
    pub time: DateTime<Utc>,
}

/// A commit under construction.
pub struct Transaction<'store> {
    store: &'store Store,
    base: Snapshot<'store>,
    writer: ObjectWriter<'store>,
    changes: tree::Changes,
    written: Written,
    /// Whether the working tree was touched.
    touched: bool,
}

impl<'store> Transaction<'store> {
    pub(super) fn begin(store: &'store Store, base: Option<&CommitId>) -> Result<Self, StoreError> {
        let base = store.snapshot(base)?;
        let writer = ObjectWriter::new(&store.repo);
        Ok(Self {
            store,
            base,
            writer,
            changes: tree::Changes::new(),
            written: Written::new(),
            touched: false,
        })
    }

    /// The contents this commit starts from.
    pub fn base(&self) -> &Snapshot<'store> {
        &self.base
    }

    /// Whether nothing was changed so far.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether anything of the session was changed so far.
    pub fn touches(&self, session: &SessionId) -> bool {
        let directory = format!("{}/", layout::session(session));
        self.changes
            .range(directory.clone()..)
            .next()
            .is_some_and(|(path, _)| path.starts_with(&directory))
    }

    /// Adds one segment of a file of a session.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_segment(
        &mut self,
        session: &SessionId,
        file: &SessionFile,
        number: usize,
        text: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.put_file(layout::segment(session, file, number), text)
    }

    /// Adds a segment by reference to one that `from` has.
    ///
    /// # Errors
    /// [`StoreError::Segment`] if it is not there, [`StoreError::Git`].
    pub fn reuse_segment(
        &mut self,
        from: (&Snapshot<'_>, &Manifest, &SessionFile),
        to: (&SessionId, &SessionFile),
        number: usize,
    ) -> Result<(), StoreError> {
        let (snapshot, manifest, file) = from;
        let missing = || StoreError::Segment {
            path: layout::segment(&manifest.session, file, number),
        };
        let stored = manifest.file(file).ok_or_else(missing)?;
        let blob = snapshot.segment_blob(&manifest.session, file, stored, number)?;
        self.changes.insert(
            layout::segment(to.0, to.1, number),
            Some(tree::Leaf::file(blob)),
        );
        Ok(())
    }

    /// Adds the manifest of a session, and removes segments that it no longer names.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_manifest(&mut self, manifest: &Manifest) -> Result<(), StoreError> {
        if let Ok(Some(former)) = self.base.manifest(&manifest.session) {
            for (name, file) in former.all_files() {
                let kept = manifest.file(&name).map_or(0, |f| f.segments.len());
                for number in kept..file.segments.len() {
                    self.changes
                        .insert(layout::segment(&manifest.session, &name, number), None);
                }
            }
        }
        self.put_file(layout::manifest(&manifest.session), manifest.to_json())
    }

    /// Takes back everything that was added for a session.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    fn forget_session(&mut self, session: &SessionId) -> Result<(), StoreError> {
        let mine = |path: &String| layout::session_of(path).as_ref() == Some(session);
        self.changes.retain(|path, _| !mine(path));
        let written: Vec<String> = self
            .written
            .keys()
            .filter(|path| mine(path))
            .cloned()
            .collect();
        for path in written {
            self.written.remove(&path);
            self.store.restore_file(&path, self.base.tree())?;
        }
        Ok(())
    }

    /// Takes back every session of which segments were added but no manifest: storing it failed half-way.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn forget_incomplete_sessions(&mut self) -> Result<(), StoreError> {
        let touched: BTreeSet<SessionId> = self
            .changes
            .keys()
            .filter_map(|path| layout::session_of(path))
            .collect();
        for session in touched {
            if !self.changes.contains_key(&layout::manifest(&session)) {
                self.forget_session(&session)?;
            }
        }
        Ok(())
    }

    /// Takes a session over as `from` has it.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn take_session(
        &mut self,
        from: &Snapshot<'_>,
        session: &SessionId,
    ) -> Result<(), StoreError> {
        let (here, there) = (
            self.base.session_tree(session)?,
            from.session_tree(session)?,
        );
        for difference in tree::differences(self.store.objects(), here, there)? {
            if let Some(path) = difference.path() {
                self.changes.insert(
                    format!("{}/{path}", layout::session(session)),
                    difference.new,
                );
            }
        }
        Ok(())
    }

    /// Takes over, as `from` has it, everything that is no session and on no shelf and that changed there since `earlier`. Files that are
    /// not this program's are only added: of those, the base has the better ones.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn take_other_files(
        &mut self,
        from: &Snapshot<'_>,
        earlier: &Snapshot<'_>,
    ) -> Result<(), StoreError> {
        for difference in tree::differences(self.store.objects(), earlier.tree(), from.tree())? {
            let is_other =
                |path: &&str| layout::session_of(path).is_none() && !layout::is_in_bundle(path);
            let Some(path) = difference.path().filter(is_other) else {
                continue;
            };
            if layout::is_ours(path) || difference.new.is_some() && !self.base.has(path) {
                self.changes.insert(path.to_owned(), difference.new);
            }
        }
        Ok(())
    }

    /// Writes the file of a machine. One that was forgotten is back with that.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_machine(&mut self, machine: &Machine) -> Result<(), StoreError> {
        let forgotten = layout::forgotten(&machine.id);
        if self.base.has(&forgotten) {
            self.changes.insert(forgotten, None);
        }
        self.put_file(layout::machine(&machine.id), machine.to_json())
    }

    /// Adds a note.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_note(&mut self, note: &Note) -> Result<(), StoreError> {
        self.put_file(layout::note(&note.id), note.to_json())
    }

    /// Adds a milestone.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_milestone(&mut self, milestone: &Milestone) -> Result<(), StoreError> {
        self.put_file(layout::milestone(&milestone.name), milestone.to_json())
    }

    /// Where the base has another milestone of a name that `ours` gave since `earlier`, adds ours under a name of its machine. To be called
    /// before anything else is taken from `ours`. Returns the names, former and new.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn rename_milestones(
        &mut self,
        ours: &Snapshot<'_>,
        earlier: &Snapshot<'_>,
    ) -> Result<Vec<(MilestoneName, MilestoneName)>, StoreError> {
        let mut renamed = Vec::new();
        for mine in ours.milestones()?.0 {
            let path = layout::milestone(&mine.name);
            let is_new = ours.file(&path)? != earlier.file(&path)?;
            let is_taken = self.base.has(&path) && self.base.file(&path)? != ours.file(&path)?;
            if is_new && is_taken {
                let name = mine.name.of_machine(&mine.machine);
                if !self.base.has(&layout::milestone(&name)) {
                    self.put_milestone(&Milestone {
                        name: name.clone(),
                        ..mine.clone()
                    })?;
                }
                renamed.push((mine.name, name));
            }
        }
        Ok(renamed)
    }

    /// Takes a machine from the list. What it had as roots stays known: text that was copied from it can still be read.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn forget_machine(&mut self, machine: &Machine) -> Result<(), StoreError> {
        for path in [
            layout::machine(&machine.id),
            layout::proposed_paths(&machine.id),
        ] {
            if self.base.has(&path) {
                self.changes.insert(path, None);
            }
        }
        self.put_file(layout::forgotten(&machine.id), machine.to_json())
    }

    /// Proposes paths to a machine, or (`None`) removes what was proposed.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`].
    pub fn put_proposed_paths(
        &mut self,
        id: &MachineId,
        proposed: Option<&ProposedPaths>,
    ) -> Result<(), StoreError> {
        let path = layout::proposed_paths(id);
        match proposed {
            Some(proposed) => self.put_file(path, to_json(proposed)),
            None => {
                self.changes.insert(path, None);
                Ok(())
            }
        }
    }

    /// Commits, moves the head and brings the working tree after it.
    ///
    /// # Errors
    /// [`StoreError::Git`], [`StoreError::Io`]; then the head has not moved.
    pub fn commit(
        mut self,
        author: &Author<'_>,
        message: &str,
        parents: &[CommitId],
    ) -> Result<CommitId, StoreError> {
        if !self.base.is_store()? {
            self.put_file(
                layout::FORMAT_FILE.to_owned(),
                format!("{{\n  \"format\": {FORMAT}\n}}\n").into_bytes(),
            )?;
            // The remote may have been in use for something else. Reads never depend on the attributes.
            for (path, text) in [("README.md", README), (".gitattributes", ATTRIBUTES)] {
                if !self.base.has(path) {
                    self.put_file(path.to_owned(), text.as_bytes().to_vec())?;
                }
            }
        }
        let tree = tree::apply(
            self.store.objects(),
            &mut self.writer,
            self.base.tree(),
            &self.changes,
        )?;
        let tree = tree.expect("the format file is always in the tree");
        let text = commit_text(tree, parents, author, message);
        let commit = commit_id(self.writer.put(ObjectType::Commit, text)?);
        self.writer.finish()?;
        fail_point("the objects are written");
        self.store.advance(&commit, "push", &self.written)?;
        Ok(commit)
    }

    fn put_file(&mut self, path: String, bytes: Vec<u8>) -> Result<(), StoreError> {
        if !self.touched {
            self.store.mark_unfinished()?;
            self.touched = true;
        }
        self.store.write_file(&path, &bytes)?;
        fail_point("a file of the store is written");
        let blob = self.writer.put(ObjectType::Blob, bytes)?;
        self.written.insert(path.clone(), blob);
        self.changes.insert(path, Some(tree::Leaf::file(blob)));
        Ok(())
    }
}

/// A commit object. Written here rather than by libgit2 so that it can go into the pack with everything else.
pub(super) fn commit_text(
    tree: Oid,
    parents: &[CommitId],
    author: &Author<'_>,
    message: &str,
) -> Vec<u8> {
    use std::fmt::Write;
    let plain_name: String = author
        .machine
        .name
        .chars()
        .filter(|c| !c.is_control() && !"<>".contains(*c))
        .collect();
    let name = if plain_name.trim().is_empty() {
        "ccsync"
    } else {
        plain_name.trim()
    };
    let email = format!("{}@ccsync.invalid", author.machine.id);
    let who = format!("{name} <{email}> {} +0000", author.time.timestamp());
    let mut text = format!("tree {tree}\n");
    for parent in parents {
        let _ = writeln!(text, "parent {parent}");
    }
    let _ = write!(text, "author {who}\ncommitter {who}\n\n{message}\n");
    text.into_bytes()
}
