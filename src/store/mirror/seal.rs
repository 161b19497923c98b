//! Seals plain commits.

use std::collections::HashMap;

use git2::{ObjectType, Oid};

use super::error::MirrorError;
use super::record::HEADER;
use super::sealed_tree::{DESCRIPTION, sealed_path};
use super::{CommitPlace, Mirror};
use crate::domain::CommitId;
use crate::encryption::{Sealer, Token};
use crate::store::error::StoreError;
use crate::store::objects::name::{commit_id, oid};
use crate::store::objects::pack_writer::Compression;
use crate::store::objects::reader::Objects;
use crate::store::objects::tree::{TreeChanges, TreeEntry, apply_changes, changed_files};
use crate::store::objects::writer::ObjectWriter;
use crate::store::repository::Store;
use crate::sys::fail_point::fail_point;

/// Author of sealed commits.
const AUTHOR: &str = "ccsync <ccsync@ccsync.invalid>";

/// Times of sealed commits are rounded down to this, in seconds.
const TIME_STEP: i64 = 3600;

/// Memory that the trees of unfinished commits may take.
pub(super) const MAX_TREE_BYTES: usize = 16 << 20;

/// A file that is to be sealed.
struct PlainFile {
    token: Token,
    label: String,
    blob: Oid,
}

/// Sealed commits that are not in the mirror yet.
struct NewCommits<'m> {
    writer: ObjectWriter<'m>,
    /// The sealed commit of each plain one.
    commits: HashMap<Oid, Oid>,
    /// The tree of each sealed commit.
    trees: HashMap<Oid, Oid>,
}

impl<'m> NewCommits<'m> {
    fn new(mirror: &'m Store) -> Self {
        Self {
            writer: ObjectWriter::with_compression(&mirror.repo, Compression::Nothing),
            commits: HashMap::new(),
            trees: HashMap::new(),
        }
    }
}

impl Mirror {
    /// Seals a plain commit and all before it that are not sealed yet. Returns its sealed commit,
    /// which is on the disk.
    ///
    /// # Errors
    /// [`MirrorError`]
    pub fn seal(
        &mut self,
        store: &Store,
        commit: &CommitId,
        place: CommitPlace<'_>,
    ) -> Result<CommitId, MirrorError> {
        let (token, branch) = match place {
            CommitPlace::History => (self.sealer.history(), ""),
            CommitPlace::Branch(name) => (self.sealer.branch(name), name),
        };
        let commit = oid(commit)?;
        let waiting = self.unsealed_commits(store, commit)?;
        let mut waiting = waiting.as_slice();
        while !waiting.is_empty() {
            waiting = self.seal_some(store, waiting, (token, branch))?;
        }
        let sealed = self.commits.sealed(commit);
        Ok(commit_id(sealed.expect("the commit was just sealed")))
    }

    /// Returns the commits that are not sealed, parents before children.
    fn unsealed_commits(&self, store: &Store, commit: Oid) -> Result<Vec<Oid>, MirrorError> {
        let is_sealed = |plain: Oid| {
            let sealed = self.commits.sealed(plain);
            sealed.is_some_and(|sealed| self.has(sealed))
        };
        parents_first(store, commit, is_sealed)
    }

    /// Seals as many of the commits as may be in memory. Returns the others.
    fn seal_some<'c>(
        &mut self,
        store: &Store,
        mut commits: &'c [Oid],
        place: (Token, &str),
    ) -> Result<&'c [Oid], MirrorError> {
        let mut new = NewCommits::new(&self.repository);
        let mut sealer = self.sealer.clone();
        while let Some((commit, others)) = commits.split_first()
            && new.writer.tree_bytes() < MAX_TREE_BYTES
        {
            self.seal_one(store, *commit, place, &mut sealer, &mut new)?;
            commits = others;
        }
        let NewCommits {
            writer,
            commits: sealed,
            ..
        } = new;
        writer.finish()?;
        fail_point("commits are sealed");
        for (plain, sealed) in sealed {
            self.commits.insert(plain, sealed);
        }
        self.commits.save()?;
        Ok(commits)
    }

    fn seal_one(
        &self,
        store: &Store,
        plain: Oid,
        (place, branch): (Token, &str),
        sealer: &mut Sealer,
        new: &mut NewCommits<'_>,
    ) -> Result<(), MirrorError> {
        let commit = store.repo.find_commit(plain)?;
        let parents = self.sealed_parents(&commit, new);
        let base = commit.parent(0).ok().map(|parent| parent.tree_id());
        let sealed_base = match parents.first() {
            None => None,
            Some(parent) => Some(self.tree_of_sealed(*parent, new)?),
        };

        let mut changes = TreeChanges::new();
        let files = self.changed_plain_files(store, &commit, base, sealer, &mut changes)?;
        seal_files(store, sealer, &files, &mut new.writer, &mut changes)?;
        let description = store.objects().read(ObjectType::Commit, plain)?;
        let description = sealer.seal(place, branch.as_bytes(), &description);
        for (path, bytes) in [(HEADER, self.header.to_json()), (DESCRIPTION, description)] {
            let blob = new.writer.write(ObjectType::Blob, bytes)?;
            changes.insert(path.to_owned(), Some(TreeEntry::new_file(blob)));
        }

        let tree = apply_changes(self.objects(), &mut new.writer, sealed_base, &changes)?;
        let tree = tree.expect("the header is always in the tree");
        let object = self.commit_object(tree, &parents, commit.time().seconds());
        let sealed = new.writer.write(ObjectType::Commit, object)?;
        new.trees.insert(sealed, tree);
        new.commits.insert(plain, sealed);
        Ok(())
    }

    fn sealed_parents(&self, commit: &git2::Commit<'_>, new: &NewCommits<'_>) -> Vec<Oid> {
        let find = |parent: Oid| {
            let sealed = new.commits.get(&parent).copied();
            sealed.or_else(|| self.commits.sealed(parent))
        };
        let parents = commit.parent_ids().map(find);
        parents
            .collect::<Option<_>>()
            .expect("parents are sealed before their children")
    }

    fn tree_of_sealed(&self, sealed: Oid, new: &NewCommits<'_>) -> Result<Oid, MirrorError> {
        match new.trees.get(&sealed) {
            Some(tree) => Ok(*tree),
            None => Ok(self.repository.repo.find_commit(sealed)?.tree_id()),
        }
    }

    /// Returns the files that the first parent does not have, and removes those that are not in
    /// the commit any more.
    fn changed_plain_files(
        &self,
        store: &Store,
        commit: &git2::Commit<'_>,
        base: Option<Oid>,
        sealer: &Sealer,
        changes: &mut TreeChanges,
    ) -> Result<Vec<PlainFile>, MirrorError> {
        let mut files = Vec::new();
        for file in changed_files(store.objects(), base, Some(commit.tree_id()))? {
            let unsealable = || MirrorError::Unsealable {
                commit: commit_id(commit.id()),
                path: String::from_utf8_lossy(&file.path).into_owned(),
            };
            let path = file.path().ok_or_else(unsealable)?;
            let token = sealer.file(path);
            match file.new {
                None => drop(changes.insert(sealed_path(token), None)),
                Some(entry) => {
                    let is_blob = entry.kind() == Some(ObjectType::Blob);
                    files.push(PlainFile {
                        token,
                        label: is_blob
                            .then(|| format!("{:o} {path}", entry.mode))
                            .ok_or_else(unsealable)?,
                        blob: entry.oid,
                    });
                }
            }
        }
        Ok(files)
    }

    /// Returns the content of a sealed commit. It says nothing but its time, roughly.
    fn commit_object(&self, tree: Oid, parents: &[Oid], seconds: i64) -> Vec<u8> {
        let parents: String = parents.iter().map(|p| format!("parent {p}\n")).collect();
        let author = match &self.author {
            Some(author) => author.to_string(),
            None => AUTHOR.to_owned(),
        };
        let time = seconds - seconds.rem_euclid(TIME_STEP);
        let author = format!("{author} {time} +0000");
        format!("tree {tree}\n{parents}author {author}\ncommitter {author}\n\nccsync\n")
            .into_bytes()
    }
}

/// Seals files on all cores, and adds them to the pack and to the changes of the tree.
fn seal_files(
    store: &Store,
    sealer: &Sealer,
    files: &[PlainFile],
    writer: &mut ObjectWriter<'_>,
    changes: &mut TreeChanges,
) -> Result<(), MirrorError> {
    let seal = |objects: Objects<'_>, sealer: &mut Sealer, file: &PlainFile| {
        let text = objects.read(ObjectType::Blob, file.blob)?;
        Ok(sealer.seal(file.token, file.label.as_bytes(), &text))
    };
    let mut add = |file: &PlainFile, sealed: Vec<u8>| {
        let blob = writer.write(ObjectType::Blob, sealed)?;
        changes.insert(sealed_path(file.token), Some(TreeEntry::new_file(blob)));
        Ok(())
    };
    super::parallel::convert_files(store, sealer, files, &seal, &mut add)
}

/// Returns a commit and those before it, parents before children, but none that `is_known`.
pub(super) fn parents_first(
    repository: &Store,
    commit: Oid,
    is_known: impl Fn(Oid) -> bool,
) -> Result<Vec<Oid>, MirrorError> {
    let mut found = Vec::new();
    let mut begun: HashMap<Oid, bool> = HashMap::new();
    let mut waiting = vec![commit];
    while let Some(id) = waiting.pop() {
        match begun.get(&id) {
            Some(true) => {}
            Some(false) => {
                begun.insert(id, true);
                found.push(id);
            }
            None if is_known(id) => drop(begun.insert(id, true)),
            None => {
                begun.insert(id, false);
                waiting.push(id);
                let commit = repository.repo.find_commit(id).map_err(StoreError::from)?;
                waiting.extend(
                    commit
                        .parent_ids()
                        .filter(|parent| !begun.contains_key(parent)),
                );
            }
        }
    }
    Ok(found)
}
