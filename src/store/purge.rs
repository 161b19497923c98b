//! Rewriting the history without what was deleted from the store.
//!
//! A new commit says in its header which former one it replaces: by a hash of the former id, which
//! a machine that knows the id finds. It does not help others to ask a host for the commit.
//! Must not push, and must not move the head.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use git2::{ObjectType, Oid, Sort};

use super::author::Author;
use super::error::StoreError;
use super::format::milestone::Milestone;
use super::format::tombstone::Tombstone;
use super::layout::{self, MILESTONES, SESSIONS};
use super::objects::name::{commit_id, oid};
use super::objects::tree::{
    TreeChanges, TreeEntries, TreeEntry, apply_changes, changed_files, encode, read_tree,
};
use super::objects::writer::ObjectWriter;
use super::repository::Store;
use crate::domain::{CommitId, SessionId};
use crate::sys::fs::write_atomic;

/// Header of a commit that replaces another one.
const REPLACES: &str = "ccsync-replaces";

/// Digits of the hash in the header.
const HASH_DIGITS: usize = 32;

/// Headers that do not fit the new commit: signatures of the former one.
const SIGNATURES: [&str; 3] = ["gpgsig", "gpgsig-sha256", "mergetag"];

/// Refs that are rewritten with the head. They are never pushed.
const KEPT_REFS: &str = "refs/ccsync/*";

/// File that exists while the clone may have objects that no ref needs and that must go.
const MARKER: &str = "ccsync-purged";

/// File with the former head of a remote, a directory, that may still have the objects.
const UNDROPPED: &str = "ccsync-undropped";

/// The history without the deleted sessions.
pub struct PurgedHistory {
    /// Its newest commit.
    pub head: CommitId,
    /// The new commit of each former one.
    commits: BTreeMap<CommitId, CommitId>,
}

impl PurgedHistory {
    /// Returns the number of commits that were replaced.
    pub fn replaced(&self) -> u64 {
        self.commits.len() as u64
    }
}

impl Store {
    /// Measures what the history still has of deleted sessions, in bytes.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn measure_deleted(&self) -> Result<BTreeMap<SessionId, u64>, StoreError> {
        let mut found = BTreeMap::new();
        let Some(head) = self.head()? else {
            return Ok(found);
        };
        let deleted = self.snapshot(Some(&head))?.deleted_sessions()?;
        if deleted.is_empty() {
            return Ok(found);
        }
        let (mut trees, mut blobs) = (HashSet::new(), HashSet::new());
        for id in self.ancestry(&[oid(&head)?])? {
            let snapshot = self.snapshot(Some(&commit_id(id)))?;
            if !trees.insert(snapshot.directory(SESSIONS)?) {
                continue;
            }
            for session in &deleted {
                let Some(tree) = snapshot.session_tree(session)? else {
                    continue;
                };
                let bytes = found.entry(session.clone()).or_default();
                if trees.insert(Some(tree)) {
                    *bytes += self.new_bytes(tree, &mut blobs)?;
                }
            }
        }
        Ok(found)
    }

    /// Adds up the files of a tree that were not seen before.
    fn new_bytes(&self, tree: Oid, seen: &mut HashSet<Oid>) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for file in changed_files(self.objects(), None, Some(tree))? {
            if let Some(entry) = file.new
                && seen.insert(entry.oid)
            {
                bytes += self.objects().size(entry.oid)? as u64;
            }
        }
        Ok(bytes)
    }

    /// Writes the history again without these sessions, and a commit that says so in their
    /// tombstones. Nothing is moved.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn write_purged(
        &self,
        sessions: &BTreeSet<SessionId>,
        author: &Author<'_>,
        message: &str,
    ) -> Result<Option<PurgedHistory>, StoreError> {
        let Some(head) = self.head()? else {
            return Ok(None);
        };
        let mut tips = vec![oid(&head)?];
        for reference in self.repo.references_glob(KEPT_REFS)? {
            tips.extend(reference?.target());
        }
        let mut rewriter = Rewriter::new(self, sessions);
        for id in self.ancestry(&tips)? {
            rewriter.rewrite(id)?;
        }
        let Rewriter {
            writer, commits, ..
        } = rewriter;
        writer.finish()?;
        let new = commits.get(&tips[0]).copied().unwrap_or(tips[0]);
        let commits = commits.into_iter();
        let mut purged = PurgedHistory {
            head: commit_id(new),
            commits: commits
                .map(|(former, new)| (commit_id(former), commit_id(new)))
                .collect(),
        };
        purged.head = self.write_purge_commit(&purged, sessions, author, message)?;
        Ok(Some(purged))
    }

    /// Writes a commit on top that marks the tombstones.
    fn write_purge_commit(
        &self,
        purged: &PurgedHistory,
        sessions: &BTreeSet<SessionId>,
        author: &Author<'_>,
        message: &str,
    ) -> Result<CommitId, StoreError> {
        let parent = purged.head.clone();
        let snapshot = self.snapshot(Some(&parent))?;
        let mut writer = ObjectWriter::new(&self.repo);
        let mut changes = TreeChanges::new();
        for session in sessions {
            let known = snapshot.tombstone(session)?;
            let machine = author.machine.id.clone();
            let tombstone = Tombstone {
                purged: true,
                ..known.unwrap_or_else(|| Tombstone::new(session.clone(), machine, author.time))
            };
            let blob = writer.write(ObjectType::Blob, tombstone.to_json())?;
            let entry = TreeEntry::new_file(blob);
            changes.insert(layout::tombstone(session), Some(entry));
        }
        // A milestone may name a commit that was not yet replaced when its own was written.
        for mut milestone in snapshot.milestones()? {
            if let Some(new) = purged.commits.get(&milestone.commit) {
                milestone.commit = new.clone();
                let blob = writer.write(ObjectType::Blob, milestone.to_json())?;
                let entry = TreeEntry::new_file(blob);
                changes.insert(layout::milestone(&milestone.name), Some(entry));
            }
        }
        let tree = apply_changes(self.objects(), &mut writer, snapshot.tree(), &changes)?;
        let tree = tree.expect("it has tombstones");
        let commit = author.commit_object(tree, &[parent], message);
        let commit = writer.write(ObjectType::Commit, commit)?;
        writer.finish()?;
        Ok(commit_id(commit))
    }

    /// Moves the refs that keep commits to the new ones; the head is the caller's to move.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn move_kept_refs(&self, purged: &PurgedHistory) -> Result<(), StoreError> {
        let mut moved = Vec::new();
        for reference in self.repo.references_glob(KEPT_REFS)? {
            let reference = reference?;
            let target = reference.target().map(commit_id);
            let new = target.and_then(|target| purged.commits.get(&target));
            if let (Ok(name), Some(new)) = (reference.name(), new) {
                moved.push((name.to_owned(), new.clone()));
            }
        }
        for (name, new) in moved {
            self.set_ref(&name, Some(&new), "purge")?;
        }
        Ok(())
    }

    /// Returns the commit of the history of `head` that replaces `former`, if a purge has made one.
    ///
    /// # Errors
    /// [`StoreError::Git`].
    pub fn replacement(
        &self,
        head: &CommitId,
        former: &CommitId,
    ) -> Result<Option<CommitId>, StoreError> {
        let wanted = format!("{REPLACES} {}", hash_of(former));
        let mut walk = self.repo.revwalk()?;
        walk.push(oid(head)?)?;
        for id in walk {
            let commit = self.repo.find_commit(id?)?;
            if commit
                .raw_header_bytes()
                .split(|b| *b == b'\n')
                .any(|line| line == wanted.as_bytes())
            {
                return Ok(Some(commit_id(commit.id())));
            }
        }
        Ok(None)
    }

    /// Records that objects without a ref must go, or that they are gone.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn set_purged_objects(&self, may_exist: bool) -> Result<(), StoreError> {
        let path = self.git_dir().join(MARKER);
        if may_exist {
            let created = std::fs::File::create(&path);
            created
                .map(drop)
                .map_err(|e| StoreError::io("create", &path, e))
        } else {
            super::worktree::files::remove(&path)
        }
    }

    /// Returns true if the clone may have objects that must go.
    pub fn may_have_purged_objects(&self) -> bool {
        self.git_dir().join(MARKER).exists()
    }

    /// Records the former head of a remote that is a directory, until that has dropped the objects;
    /// `None` when it has.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn set_undropped(&self, commit: Option<&CommitId>) -> Result<(), StoreError> {
        let path = self.git_dir().join(UNDROPPED);
        match commit {
            Some(commit) => write_atomic(&path, commit.as_str().as_bytes())
                .map_err(|e| StoreError::io("write", &e.path, e.source)),
            None => super::worktree::files::remove(&path),
        }
    }

    /// Returns the former head of a remote that may not have dropped its objects.
    pub fn undropped(&self) -> Option<CommitId> {
        let text = std::fs::read_to_string(self.git_dir().join(UNDROPPED)).ok()?;
        text.parse().ok()
    }

    /// Returns the commits of a history, parents first.
    fn ancestry(&self, tips: &[Oid]) -> Result<Vec<Oid>, StoreError> {
        let mut walk = self.repo.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        for tip in tips {
            walk.push(*tip)?;
        }
        Ok(walk.collect::<Result<_, _>>()?)
    }
}

/// Returns the hash by which a commit is named that must not be found.
fn hash_of(commit: &CommitId) -> String {
    let hash = blake3::derive_key(
        "ccsync replaced commit, version 1",
        commit.as_str().as_bytes(),
    );
    blake3::Hash::from(hash).to_hex()[..HASH_DIGITS].to_owned()
}

/// Writes commits again, each after its parents.
struct Rewriter<'s> {
    store: &'s Store,
    writer: ObjectWriter<'s>,
    /// The sessions to remove, by shard.
    shards: BTreeMap<String, Vec<&'s SessionId>>,
    /// The new commit of each former one that is replaced.
    commits: HashMap<Oid, Oid>,
    /// The new directories of sessions, shards and milestones. Commits share most of them.
    directories: HashMap<(String, Oid), Option<Oid>>,
}

impl<'s> Rewriter<'s> {
    fn new(store: &'s Store, sessions: &'s BTreeSet<SessionId>) -> Self {
        let mut shards: BTreeMap<String, Vec<&SessionId>> = BTreeMap::new();
        for session in sessions {
            shards.entry(session.shard()).or_default().push(session);
        }
        Self {
            store,
            writer: ObjectWriter::new(&store.repo),
            shards,
            commits: HashMap::new(),
            directories: HashMap::new(),
        }
    }

    fn rewrite(&mut self, id: Oid) -> Result<(), StoreError> {
        let commit = self.store.repo.find_commit(id)?;
        let new = |parent: Oid| self.commits.get(&parent).copied().unwrap_or(parent);
        let parents: Vec<Oid> = commit.parent_ids().map(new).collect();
        let tree = self.tree(commit.tree_id())?;
        if tree == commit.tree_id() && commit.parent_ids().eq(parents.iter().copied()) {
            return Ok(());
        }
        let text = self.store.objects().read(ObjectType::Commit, id)?;
        let text = replacing_commit(&text, &commit_id(id), tree, &parents);
        let new = self.writer.write(ObjectType::Commit, text)?;
        self.commits.insert(id, new);
        Ok(())
    }

    /// Returns the tree of a commit without the sessions, and with milestones of new commits.
    fn tree(&mut self, tree: Oid) -> Result<Oid, StoreError> {
        let mut entries = read_tree(self.store.objects(), Some(tree))?;
        let mut is_changed = false;
        for name in [SESSIONS, MILESTONES] {
            let Some(former) = directory(&entries, name) else {
                continue;
            };
            let key = (name.to_owned(), former);
            let new = match self.directories.get(&key) {
                Some(new) => *new,
                None if name == SESSIONS => self.sessions(former)?,
                None => self.milestones(former)?,
            };
            self.directories.insert(key, new);
            is_changed |= new != Some(former);
            set_directory(&mut entries, name, new);
        }
        if is_changed {
            self.writer.write(ObjectType::Tree, encode(entries))
        } else {
            Ok(tree)
        }
    }

    fn sessions(&mut self, tree: Oid) -> Result<Option<Oid>, StoreError> {
        let mut shards = read_tree(self.store.objects(), Some(tree))?;
        let mut is_changed = false;
        for (shard, sessions) in &self.shards {
            let Some(former) = directory(&shards, shard) else {
                continue;
            };
            let key = (format!("{SESSIONS}/{shard}"), former);
            let new = match self.directories.get(&key) {
                Some(new) => *new,
                None => {
                    let mut entries = read_tree(self.store.objects(), Some(former))?;
                    let before = entries.len();
                    let is_kept =
                        |name: &[u8]| !sessions.iter().any(|id| id.as_str().as_bytes() == name);
                    entries.retain(|name, _| is_kept(name));
                    if entries.len() == before {
                        Some(former)
                    } else {
                        write_directory(&mut self.writer, entries)?
                    }
                }
            };
            self.directories.insert(key, new);
            is_changed |= new != Some(former);
            set_directory(&mut shards, shard, new);
        }
        if is_changed {
            write_directory(&mut self.writer, shards)
        } else {
            Ok(Some(tree))
        }
    }

    /// Lets milestones name the new commits. What cannot be read stays.
    fn milestones(&mut self, tree: Oid) -> Result<Option<Oid>, StoreError> {
        let mut entries = read_tree(self.store.objects(), Some(tree))?;
        let mut is_changed = false;
        for (name, entry) in entries.iter_mut().filter(|(_, entry)| entry.is_file()) {
            let Some(stem) = std::str::from_utf8(name)
                .ok()
                .and_then(|n| n.strip_suffix(".json"))
            else {
                continue;
            };
            if self.store.objects().size(entry.oid)? > super::format::milestone::MAX_FILE_BYTES {
                continue;
            }
            let json = self.store.objects().read(ObjectType::Blob, entry.oid)?;
            let Ok(milestone) = Milestone::parse(stem, &json) else {
                continue;
            };
            let Some(new) = self.commits.get(&oid(&milestone.commit)?) else {
                continue;
            };
            let commit = commit_id(*new);
            let milestone = Milestone {
                commit,
                ..milestone
            };
            entry.oid = self.writer.write(ObjectType::Blob, milestone.to_json())?;
            is_changed = true;
        }
        if is_changed {
            write_directory(&mut self.writer, entries)
        } else {
            Ok(Some(tree))
        }
    }
}

fn directory(entries: &TreeEntries, name: &str) -> Option<Oid> {
    let entry = entries.get(name.as_bytes())?;
    entry.is_directory().then_some(entry.oid)
}

fn set_directory(entries: &mut TreeEntries, name: &str, directory: Option<Oid>) {
    match directory {
        Some(oid) => drop(entries.insert(name.into(), TreeEntry::new_directory(oid))),
        None => drop(entries.remove(name.as_bytes())),
    }
}

/// Writes a directory; `None` if it is empty.
fn write_directory(
    writer: &mut ObjectWriter<'_>,
    entries: TreeEntries,
) -> Result<Option<Oid>, StoreError> {
    if entries.is_empty() {
        return Ok(None);
    }
    writer.write(ObjectType::Tree, encode(entries)).map(Some)
}

/// Returns the text of the commit that replaces `former`.
fn replacing_commit(text: &[u8], former: &CommitId, tree: Oid, parents: &[Oid]) -> Vec<u8> {
    let end = memchr::memmem::find(text, b"\n\n").map_or(text.len(), |at| at + 1);
    let (header, message) = text.split_at(end);
    let mut new = format!("tree {tree}\n").into_bytes();
    for parent in parents {
        new.extend_from_slice(format!("parent {parent}\n").as_bytes());
    }
    let mut is_kept = true;
    for line in header.split_inclusive(|b| *b == b'\n') {
        // A line that begins with a space continues the one before.
        if !line.starts_with(b" ") {
            let name = line.split(|b| *b == b' ').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name);
            is_kept = !["tree", "parent"].contains(&&*name) && !SIGNATURES.contains(&&*name);
        }
        if is_kept {
            new.extend_from_slice(line);
        }
    }
    new.extend_from_slice(format!("{REPLACES} {}\n", hash_of(former)).as_bytes());
    new.extend_from_slice(message);
    new
}
