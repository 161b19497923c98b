//! Unseals fetched commits into the store.
//!
//! A commit is accepted only if it is, byte for byte, the plain commit that was sealed: its files
//! make the tree that it names, and its parents are those that it names.

use std::collections::HashMap;

use git2::{ObjectType, Oid};

use super::Mirror;
use super::error::{MirrorError, SealedFault};
use super::record::{HEADER, read_header};
use super::seal::{MAX_TREE_BYTES, parents_first};
use super::sealed_tree::{DESCRIPTION, token_at};
use crate::domain::CommitId;
use crate::encryption::{Sealer, Token, UnsealError, Unsealed};
use crate::store::format::segment::MAX_FILE_BYTES;
use crate::store::objects::name::{commit_id, oid};
use crate::store::objects::pack_writer::Compression;
use crate::store::objects::reader::Objects;
use crate::store::objects::tree::{
    TreeChanges, TreeEntry, apply_changes, changed_files, find_entry,
};
use crate::store::objects::writer::ObjectWriter;
use crate::store::repository::Store;
use crate::sys::fail_point::fail_point;

/// Largest sealed file that is read: that of the largest plain one, with its frames.
const MAX_SEALED_BYTES: usize = MAX_FILE_BYTES + (MAX_FILE_BYTES >> 6) + (64 << 10);

/// The kinds of files that a plain tree may have: files and symbolic links.
const MODES: [i32; 4] = [0o100_644, 0o100_755, 0o100_664, 0o120_000];

/// A file of a sealed commit.
struct SealedFile {
    token: Token,
    blob: Oid,
}

/// A plain file: its path, its mode and its text.
struct PlainFile {
    path: String,
    mode: i32,
    text: Vec<u8>,
}

/// Plain commits that are not in the store yet.
struct NewCommits<'s> {
    writer: ObjectWriter<'s>,
    /// The plain commit of each sealed one.
    commits: HashMap<Oid, Oid>,
    /// The tree of each plain commit.
    trees: HashMap<Oid, Oid>,
}

impl Mirror {
    /// Reads the header of a fetched commit of the history, and adopts it if the key is the same.
    /// Returns true if it was changed.
    ///
    /// # Errors
    /// [`MirrorError`] if it is not a commit of this store with this key.
    pub fn check_header(&mut self, head: &CommitId) -> Result<bool, MirrorError> {
        let header = read_header(&self.repository, oid(head)?)?;
        let header = header.ok_or(MirrorError::NotEncrypted)?;
        if header.store != self.header.store {
            return Err(MirrorError::OtherStore);
        }
        if header.epoch < self.header.epoch {
            return Err(MirrorError::FormerKey);
        }
        if header.epoch > self.header.epoch || !header.has_key(&self.key) {
            return Err(MirrorError::OtherKey(Box::new(header)));
        }
        let is_changed = header != self.header;
        self.header = header;
        Ok(is_changed)
    }

    /// Unseals a fetched commit of the history, and all before it, into the store.
    ///
    /// # Errors
    /// [`MirrorError`]; the store then has none of the commits.
    pub fn unseal(&mut self, store: &Store, sealed: &CommitId) -> Result<CommitId, MirrorError> {
        self.unseal_at(store, oid(sealed)?, self.sealer.history())
    }

    /// Unseals the commit of a lock's branch. Returns it with the name of the branch.
    ///
    /// # Errors
    /// [`MirrorError`]
    pub fn unseal_branch(
        &mut self,
        store: &Store,
        token: &str,
        sealed: &CommitId,
    ) -> Result<(String, CommitId), MirrorError> {
        let sealed = oid(sealed)?;
        let refused = || MirrorError::refused(sealed, SealedFault::Description);
        let token = Token::parse(token).ok_or_else(refused)?;
        let branch = self.description(sealed, token)?.branch;
        if self.sealer.branch(&branch) != token {
            return Err(refused());
        }
        Ok((branch, self.unseal_at(store, sealed, token)?))
    }

    fn unseal_at(
        &mut self,
        store: &Store,
        sealed: Oid,
        place: Token,
    ) -> Result<CommitId, MirrorError> {
        let is_known = |sealed: Oid| {
            let plain = self.commits.plain(sealed);
            plain.is_some_and(|plain| store.repo.find_commit(plain).is_ok())
        };
        let waiting = parents_first(&self.repository, sealed, is_known)?;
        let mut waiting = waiting.as_slice();
        while !waiting.is_empty() {
            waiting = self.unseal_some(store, waiting, place)?;
        }
        let plain = self.commits.plain(sealed);
        Ok(commit_id(plain.expect("the commit was just unsealed")))
    }

    /// Unseals as many of the commits as may be in memory. Returns the others.
    fn unseal_some<'c>(
        &mut self,
        store: &Store,
        mut commits: &'c [Oid],
        place: Token,
    ) -> Result<&'c [Oid], MirrorError> {
        let mut new = NewCommits {
            writer: ObjectWriter::with_compression(&store.repo, Compression::Fast),
            commits: HashMap::new(),
            trees: HashMap::new(),
        };
        while let Some((commit, others)) = commits.split_first()
            && new.writer.tree_bytes() < MAX_TREE_BYTES
        {
            self.unseal_one(store, *commit, place, &mut new)?;
            commits = others;
        }
        let NewCommits {
            writer,
            commits: unsealed,
            ..
        } = new;
        writer.finish()?;
        fail_point("commits are unsealed");
        for (sealed, plain) in unsealed {
            self.commits.insert(plain, sealed);
        }
        self.commits.save()?;
        Ok(commits)
    }

    fn unseal_one(
        &mut self,
        store: &Store,
        sealed: Oid,
        place: Token,
        new: &mut NewCommits<'_>,
    ) -> Result<(), MirrorError> {
        let refused = |reason| MirrorError::refused(sealed, reason);
        self.require_header(sealed)?;
        let description = self.description(sealed, place)?;
        let links = description.links();
        let (tree, parents) = links.ok_or_else(|| refused(SealedFault::Description))?;
        if parents != self.plain_parents(sealed, new)? {
            return Err(refused(SealedFault::Parents));
        }
        let base = match parents.first() {
            None => None,
            Some(parent) => Some(match new.trees.get(parent) {
                Some(tree) => *tree,
                None => store.repo.find_commit(*parent)?.tree_id(),
            }),
        };

        let changes = self.plain_changes(store, sealed, base, &mut new.writer)?;
        let found = match apply_changes(store.objects(), &mut new.writer, base, &changes)? {
            Some(tree) => tree,
            None => new.writer.write(ObjectType::Tree, Vec::new())?,
        };
        if found != tree {
            return Err(refused(SealedFault::Tree));
        }
        let plain = new.writer.write(ObjectType::Commit, description.commit)?;
        new.trees.insert(plain, tree);
        new.commits.insert(sealed, plain);
        Ok(())
    }

    /// Refuses a commit of another store or epoch.
    fn require_header(&self, sealed: Oid) -> Result<(), MirrorError> {
        let header = read_header(&self.repository, sealed)?;
        let is_same = header.is_some_and(|header| {
            header.store == self.header.store && header.epoch == self.header.epoch
        });
        match is_same {
            true => Ok(()),
            false => Err(MirrorError::refused(sealed, SealedFault::Header)),
        }
    }

    fn plain_parents(&self, sealed: Oid, new: &NewCommits<'_>) -> Result<Vec<Oid>, MirrorError> {
        let commit = self.repository.repo.find_commit(sealed)?;
        let plain = |parent: Oid| {
            let new = new.commits.get(&parent).copied();
            new.or_else(|| self.commits.plain(parent))
        };
        let parents = commit.parent_ids().map(plain);
        Ok(parents
            .collect::<Option<_>>()
            .expect("parents are unsealed before their children"))
    }

    /// Returns the plain files that differ from the first parent, whose plain tree is `base`.
    fn plain_changes(
        &self,
        store: &Store,
        sealed: Oid,
        base: Option<Oid>,
        writer: &mut ObjectWriter<'_>,
    ) -> Result<TreeChanges, MirrorError> {
        let refused = |reason| MirrorError::refused(sealed, reason);
        let commit = self.repository.repo.find_commit(sealed)?;
        let sealed_base = commit.parent(0).ok().map(|parent| parent.tree_id());
        let mut changes = TreeChanges::new();
        let mut files = Vec::new();
        for file in changed_files(self.objects(), sealed_base, Some(commit.tree_id()))? {
            let path = file.path().unwrap_or_default();
            if [HEADER, DESCRIPTION].contains(&path) {
                continue;
            }
            let entry = || refused(SealedFault::Entry(path.to_owned()));
            let token = token_at(path).ok_or_else(entry)?;
            match file.new {
                Some(new) if new.is_file() => files.push(SealedFile {
                    token,
                    blob: new.oid,
                }),
                Some(_) => return Err(entry()),
                None => {
                    let former = find_entry(self.objects(), sealed_base, path)?;
                    let former = former.ok_or_else(entry)?;
                    let bytes = self.objects().read(ObjectType::Blob, former.oid)?;
                    let label = self.sealer.unseal_label(token, &bytes);
                    let path = label.ok().and_then(|label| parse_label(&label));
                    changes.insert(path.ok_or_else(entry)?.0, None);
                }
            }
        }

        let unseal = |objects: Objects<'_>, sealer: &mut Sealer, file: &SealedFile| {
            unseal_file(objects, sealer, file)
        };
        let mut add = |file: &SealedFile, unsealed: Result<PlainFile, UnsealError>| {
            let plain = unsealed.map_err(|reason| {
                refused(SealedFault::File {
                    token: file.token,
                    path: self.path_of(store, base, file.token),
                    reason,
                })
            })?;
            let blob = writer.write(ObjectType::Blob, plain.text)?;
            let entry = TreeEntry {
                mode: plain.mode,
                oid: blob,
            };
            changes.insert(plain.path, Some(entry));
            Ok(())
        };
        super::parallel::convert_files(&self.repository, &self.sealer, &files, &unseal, &mut add)?;
        Ok(changes)
    }

    /// Finds the path of a token among the files of a plain tree.
    fn path_of(&self, store: &Store, tree: Option<Oid>, token: Token) -> Option<String> {
        let files = changed_files(store.objects(), None, tree).ok()?;
        let mut paths = files.iter().filter_map(|file| file.path());
        let path = paths.find(|path| self.sealer.file(path) == token)?;
        Some(path.to_owned())
    }
}

fn unseal_file(
    objects: Objects<'_>,
    sealer: &mut Sealer,
    file: &SealedFile,
) -> Result<Result<PlainFile, UnsealError>, MirrorError> {
    if objects.size(file.blob)? > MAX_SEALED_BYTES {
        return Ok(Err(UnsealError::Frame(0)));
    }
    let bytes = objects.read(ObjectType::Blob, file.blob)?;
    let Unsealed { label, text } = match sealer.unseal(file.token, &bytes) {
        Ok(unsealed) => unsealed,
        Err(e) => return Ok(Err(e)),
    };
    let parsed = parse_label(&label).filter(|(path, _)| sealer.file(path) == file.token);
    Ok(match parsed {
        Some((path, mode)) => Ok(PlainFile { path, mode, text }),
        None => Err(UnsealError::Frame(0)),
    })
}

/// Parses mode and path.
fn parse_label(label: &[u8]) -> Option<(String, i32)> {
    let (mode, path) = std::str::from_utf8(label).ok()?.split_once(' ')?;
    let mode = i32::from_str_radix(mode, 8).ok()?;
    let is_sane = MODES.contains(&mode) && !path.split('/').any(str::is_empty);
    is_sane.then(|| (path.to_owned(), mode))
}
