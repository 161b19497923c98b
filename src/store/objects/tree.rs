//! Trees: reading them, changing files in them, and comparing two.
//!
//! The cost follows the change: only directories on the way to a changed path are read or written.
//! A tree may have been written by any program. Its names and modes are not trusted.

use std::collections::{BTreeMap, BTreeSet};

use git2::{ObjectType, Oid};

use super::reader::Objects;
use super::writer::ObjectWriter;
use crate::store::error::{MAX_FILES, StoreError};

const DIRECTORY: i32 = 0o040_000;
const FILE: i32 = 0o100_644;
const SUBMODULE: i32 = 0o160_000;

/// Largest tree that is read, in bytes. One of a million entries is smaller.
const MAX_TREE_BYTES: usize = 64 << 20;

/// Deepest directory that is compared. No path of this program has more parts.
const MAX_DEPTH: usize = 800;

/// An entry of a tree: a file, a directory, a symbolic link or a submodule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    /// Git's code for the kind of the entry.
    pub(crate) mode: i32,
    pub(crate) oid: Oid,
}

impl TreeEntry {
    /// Returns the entry of a file that this program writes.
    pub(crate) fn new_file(oid: Oid) -> Self {
        Self { mode: FILE, oid }
    }

    pub(crate) fn new_directory(oid: Oid) -> Self {
        let mode = DIRECTORY;
        Self { mode, oid }
    }

    /// Returns the kind of the object. A submodule has no object in this repository.
    pub(crate) fn kind(self) -> Option<ObjectType> {
        match self.mode {
            DIRECTORY => Some(ObjectType::Tree),
            SUBMODULE => None,
            _ => Some(ObjectType::Blob),
        }
    }

    pub(crate) fn is_directory(self) -> bool {
        self.mode == DIRECTORY
    }

    /// Returns true for a plain file of any version of git: also executable or group-writable.
    ///
    /// This program reads and writes no other entries.
    pub(crate) fn is_file(self) -> bool {
        matches!(self.mode, 0o100_644 | 0o100_755 | 0o100_664)
    }
}

/// The entries of one directory, by name. A name may not be UTF-8.
pub(crate) type TreeEntries = BTreeMap<Vec<u8>, TreeEntry>;

/// Reads a tree. `None` is an empty one.
pub(crate) fn read_tree(
    objects: Objects<'_>,
    tree: Option<Oid>,
) -> Result<TreeEntries, StoreError> {
    let Some(tree) = tree else {
        return Ok(TreeEntries::new());
    };
    if objects.size(tree)? > MAX_TREE_BYTES {
        return Err(StoreError::TooMany);
    }
    let data = objects.read(ObjectType::Tree, tree)?;
    parse(&data).ok_or_else(|| StoreError::Object {
        name: tree.to_string(),
    })
}

/// Parses mode in octal, a space, the name, a zero byte, the object's name in 20 bytes; repeated.
fn parse(mut data: &[u8]) -> Option<TreeEntries> {
    let mut entries = TreeEntries::new();
    while !data.is_empty() {
        let space = memchr::memchr(b' ', data)?;
        let zero = space + memchr::memchr(0, &data[space..])?;
        let mode = i32::from_str_radix(std::str::from_utf8(&data[..space]).ok()?, 8).ok()?;
        let oid = Oid::from_bytes(data.get(zero + 1..zero + 21)?).ok()?;
        entries.insert(data[space + 1..zero].to_vec(), TreeEntry { mode, oid });
        data = &data[zero + 21..];
    }
    Some(entries)
}

/// Finds the entry at `path` below `tree`.
pub(crate) fn find_entry(
    objects: Objects<'_>,
    tree: Option<Oid>,
    path: &str,
) -> Result<Option<TreeEntry>, StoreError> {
    let (name, rest) = match path.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let found = read_tree(objects, tree)?.get(name.as_bytes()).copied();
    match (found, rest) {
        (Some(entry), Some(rest)) if entry.is_directory() => {
            find_entry(objects, Some(entry.oid), rest)
        }
        (Some(_), Some(_)) => Ok(None),
        (found, _) => Ok(found),
    }
}

/// The new entry at each path. `None` removes what is there.
pub(crate) type TreeChanges = BTreeMap<String, Option<TreeEntry>>;

/// A path below some directory, and the new entry there.
type ChangeBelow<'a> = (&'a str, Option<TreeEntry>);

/// Writes the tree that `base` becomes with `changes`. Returns `None` if it is empty.
pub(crate) fn apply_changes(
    objects: Objects<'_>,
    writer: &mut ObjectWriter<'_>,
    base: Option<Oid>,
    changes: &TreeChanges,
) -> Result<Option<Oid>, StoreError> {
    let changes: Vec<ChangeBelow<'_>> = changes
        .iter()
        .map(|(path, entry)| (path.as_str(), *entry))
        .collect();
    apply_below(objects, writer, base, &changes)
}

fn apply_below(
    objects: Objects<'_>,
    writer: &mut ObjectWriter<'_>,
    base: Option<Oid>,
    changes: &[ChangeBelow<'_>],
) -> Result<Option<Oid>, StoreError> {
    let new = base.and_then(|base| writer.tree(base)).map(parse);
    let mut entries = match new.flatten() {
        Some(entries) => entries,
        None => read_tree(objects, base)?,
    };
    let mut directories: BTreeMap<&str, Vec<ChangeBelow<'_>>> = BTreeMap::new();
    for (path, entry) in changes {
        match (path.split_once('/'), entry) {
            (Some((directory, rest)), _) => {
                let below = directories.entry(directory).or_default();
                below.push((rest, *entry));
            }
            (None, Some(entry)) => drop(entries.insert(path.as_bytes().to_vec(), *entry)),
            (None, None) => drop(entries.remove(path.as_bytes())),
        }
    }

    for (name, below) in directories {
        let name = name.as_bytes();
        let former = entries.get(name).filter(|entry| entry.is_directory());
        let former = former.map(|entry| entry.oid);
        let is_directory = former.is_some();
        match apply_below(objects, writer, former, &below)? {
            Some(oid) => {
                entries.insert(name.to_vec(), TreeEntry::new_directory(oid));
            }
            None if is_directory => drop(entries.remove(name)),
            // A file has taken the name.
            None => {}
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    writer.write(ObjectType::Tree, encode(entries)).map(Some)
}

/// Returns the content of a tree object.
pub(crate) fn encode(entries: TreeEntries) -> Vec<u8> {
    let mut sorted: Vec<_> = entries.into_iter().collect();
    // Git sorts directories as if their names ended with a slash (`base_name_compare`).
    sorted.sort_by_key(|(name, entry)| {
        let mut key = name.clone();
        if entry.is_directory() {
            key.push(b'/');
        }
        key
    });
    let mut tree = Vec::new();
    for (name, entry) in sorted {
        push_entry(&mut tree, entry, &name);
    }
    tree
}

/// Appends an entry to the content of a tree object.
pub(crate) fn push_entry(tree: &mut Vec<u8>, entry: TreeEntry, name: &[u8]) {
    tree.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
    tree.extend_from_slice(name);
    tree.push(0);
    tree.extend_from_slice(entry.oid.as_bytes());
}

/// A file that differs between two trees.
pub(crate) struct ChangedFile {
    /// May be unsafe, and may not be UTF-8.
    pub(crate) path: Vec<u8>,
    /// The new entry; `None` if the file was removed.
    pub(crate) new: Option<TreeEntry>,
}

impl ChangedFile {
    /// Returns the path if it is UTF-8, as all paths of this program are.
    pub(crate) fn path(&self) -> Option<&str> {
        std::str::from_utf8(&self.path).ok()
    }
}

/// Lists the files below two trees that differ, by path. Directories are not listed.
pub(crate) fn changed_files(
    objects: Objects<'_>,
    old: Option<Oid>,
    new: Option<Oid>,
) -> Result<Vec<ChangedFile>, StoreError> {
    let mut found = Vec::new();
    compare(objects, [old, new], &[], 0, &mut found)?;
    Ok(found)
}

fn compare(
    objects: Objects<'_>,
    [old, new]: [Option<Oid>; 2],
    prefix: &[u8],
    depth: usize,
    found: &mut Vec<ChangedFile>,
) -> Result<(), StoreError> {
    if old == new || depth > MAX_DEPTH {
        return Ok(());
    }
    if found.len() > MAX_FILES {
        return Err(StoreError::TooMany);
    }
    let (old, new) = (read_tree(objects, old)?, read_tree(objects, new)?);
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        let sides = [old.get(name), new.get(name)];
        if sides[0] == sides[1] {
            continue;
        }
        let path = match prefix {
            [] => name.clone(),
            _ => [prefix, name].join(&b'/'),
        };
        let files = sides.map(|side| side.filter(|entry| !entry.is_directory()).copied());
        if files[0] != files[1] {
            found.push(ChangedFile {
                path: path.clone(),
                new: files[1],
            });
        }
        let directories = sides.map(|side| side.filter(|entry| entry.is_directory()));
        let directories = directories.map(|side| side.map(|entry| entry.oid));
        compare(objects, directories, &path, depth + 1, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use git2::Repository;

    use super::super::reader::ObjectReader;
    use super::*;

    #[test]
    fn tree_file_replaces_directory_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let text = TreeEntry::new_file(repo.blob(b"text").unwrap());
        let link = TreeEntry {
            mode: 0o120_000,
            ..text
        };
        let reader = ObjectReader::new(repo.path());
        let objects = Objects {
            repo: &repo,
            reader: &reader,
        };
        let changed = |changes: &[ChangeBelow<'_>], base: Option<Oid>| {
            let mut writer = ObjectWriter::new(&repo);
            let tree = apply_below(objects, &mut writer, base, changes).unwrap();
            writer.finish().unwrap();
            let all = changed_files(objects, None, tree).unwrap();
            let all: Vec<_> = all
                .into_iter()
                .map(|file| (String::from_utf8(file.path).unwrap(), file.new.unwrap()))
                .collect();
            (tree, all)
        };
        let (directory, _) = changed(&[("a/b/c", Some(text)), ("z", Some(link))], None);
        let (file, all) = changed(&[("a", Some(text)), ("a/b/c", None)], directory);
        assert_eq!(all, [("a".to_owned(), text), ("z".to_owned(), link)]);
        let (again, all) = changed(&[("a", None), ("a/b/c", Some(text))], file);
        assert_eq!(all, [("a/b/c".to_owned(), text), ("z".to_owned(), link)]);
        assert_eq!(again, directory);
    }
}
