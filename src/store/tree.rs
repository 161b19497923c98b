//! Trees: applying changes of files to a tree, and comparing two trees.
//!
//! Cost follows the change: only directories on the way to a changed path are read or written.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};

use super::StoreError;
use super::object::ObjectWriter;
use super::reader::Objects;

pub(super) const DIRECTORY: i32 = 0o040_000;
const FILE: i32 = 0o100_644;
const SUBMODULE: i32 = 0o160_000;

/// Something in a tree that is no directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    /// As git writes it: what kind of thing it is.
    pub(super) mode: i32,
    pub(super) oid: Oid,
}

impl Leaf {
    /// A file as this program writes it.
    pub(super) fn file(oid: Oid) -> Self {
        Self { mode: FILE, oid }
    }

    /// The kind of the object; a submodule has none here, its commit lies in another repository.
    pub(super) fn kind(self) -> Option<ObjectType> {
        match self.mode {
            DIRECTORY => Some(ObjectType::Tree),
            SUBMODULE => None,
            _ => Some(ObjectType::Blob),
        }
    }

    /// Whether it is a directory.
    pub(super) fn is_directory(self) -> bool {
        self.mode == DIRECTORY
    }

    /// Whether it is a file, and no symbolic link or submodule. This program writes and reads nothing but files.
    pub(super) fn is_file(self) -> bool {
        is_file_mode(self.mode)
    }
}

/// Files that some git has written: plain, executable, writable by the group.
pub(super) fn is_file_mode(mode: i32) -> bool {
    matches!(mode, 0o100_644 | 0o100_755 | 0o100_664)
}

/// What a directory holds, by name; a name is not always UTF-8. Directories are leaves here.
pub(super) type Entries = BTreeMap<Vec<u8>, Leaf>;

/// Reads a tree; nothing for `None`.
pub(super) fn entries(objects: Objects<'_>, tree: Option<Oid>) -> Result<Entries, StoreError> {
    /// The longest tree that is read: one million entries have more.
    const LONGEST_TREE: usize = 64 << 20;
    let Some(tree) = tree else {
        return Ok(Entries::new());
    };
    if objects.size(tree)? > LONGEST_TREE {
        return Err(StoreError::TooMany);
    }
    let data = objects.read(ObjectType::Tree, tree)?;
    parse(&data).ok_or_else(|| StoreError::Object {
        name: tree.to_string(),
    })
}

/// What is at `path` below `tree`, if anything.
pub(super) fn at_path(
    objects: Objects<'_>,
    tree: Option<Oid>,
    path: &str,
) -> Result<Option<Leaf>, StoreError> {
    let (name, rest) = path
        .split_once('/')
        .map_or((path, None), |(name, rest)| (name, Some(rest)));
    let found = entries(objects, tree)?.get(name.as_bytes()).copied();
    match (found, rest) {
        (Some(leaf), Some(rest)) if leaf.is_directory() => at_path(objects, Some(leaf.oid), rest),
        (Some(_), Some(_)) => Ok(None),
        (found, _) => Ok(found),
    }
}

/// Mode in octal, a space, the name, a zero byte, the object's name in 20 bytes; again and again.
fn parse(mut data: &[u8]) -> Option<Entries> {
    let mut entries = Entries::new();
    while !data.is_empty() {
        let space = memchr::memchr(b' ', data)?;
        let zero = space + memchr::memchr(0, &data[space..])?;
        let mode = i32::from_str_radix(std::str::from_utf8(&data[..space]).ok()?, 8).ok()?;
        let oid = Oid::from_bytes(data.get(zero + 1..zero + 21)?).ok()?;
        entries.insert(data[space + 1..zero].to_vec(), Leaf { mode, oid });
        data = &data[zero + 21..];
    }
    Some(entries)
}

/// What is at each path from now on; `None` removes what is there.
pub(super) type Changes = BTreeMap<String, Option<Leaf>>;

/// The tree that `base` becomes with `changes`; `None` if nothing is left in it.
pub(super) fn apply(
    objects: Objects<'_>,
    writer: &mut ObjectWriter<'_>,
    base: Option<Oid>,
    changes: &Changes,
) -> Result<Option<Oid>, StoreError> {
    let changes: Vec<(&str, Option<Leaf>)> = changes
        .iter()
        .map(|(path, leaf)| (path.as_str(), *leaf))
        .collect();
    apply_below(objects, writer, base, &changes)
}

fn apply_below(
    objects: Objects<'_>,
    writer: &mut ObjectWriter<'_>,
    base: Option<Oid>,
    changes: &[(&str, Option<Leaf>)],
) -> Result<Option<Oid>, StoreError> {
    let mut entries = entries(objects, base)?;
    let mut directories: BTreeMap<&str, Vec<(&str, Option<Leaf>)>> = BTreeMap::new();
    for (path, leaf) in changes {
        match (path.split_once('/'), leaf) {
            (Some((directory, rest)), _) => directories
                .entry(directory)
                .or_default()
                .push((rest, *leaf)),
            (None, Some(leaf)) => drop(entries.insert(path.as_bytes().to_vec(), *leaf)),
            (None, None) => drop(entries.remove(path.as_bytes())),
        }
    }
    for (name, below) in directories {
        let former = entries
            .get(name.as_bytes())
            .filter(|leaf| leaf.is_directory())
            .map(|leaf| leaf.oid);
        match apply_below(objects, writer, former, &below)? {
            Some(oid) => drop(entries.insert(
                name.as_bytes().to_vec(),
                Leaf {
                    mode: DIRECTORY,
                    oid,
                },
            )),
            // What was a directory may be a file by now: that stays.
            None => entries.retain(|entry, leaf| entry != name.as_bytes() || !leaf.is_directory()),
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    writer.put(ObjectType::Tree, encode(entries)).map(Some)
}

/// A tree object: entries sorted as if directories ended with `/` (git's `base_name_compare`).
fn encode(entries: Entries) -> Vec<u8> {
    let mut sorted: Vec<_> = entries.into_iter().collect();
    sorted.sort_by_key(|(name, leaf)| {
        let mut key = name.clone();
        if leaf.is_directory() {
            key.push(b'/');
        }
        key
    });
    let mut tree = Vec::new();
    for (name, Leaf { mode, oid }) in sorted {
        tree.extend_from_slice(format!("{mode:o} ").as_bytes());
        tree.extend_from_slice(&name);
        tree.push(0);
        tree.extend_from_slice(oid.as_bytes());
    }
    tree
}

/// A file that differs between two trees.
pub(super) struct Difference {
    /// Not always UTF-8, and not always safe: somebody else may have written the tree.
    pub(super) path: Vec<u8>,
    /// What is there now, if anything.
    pub(super) new: Option<Leaf>,
}

impl Difference {
    /// The path, if it is UTF-8: all paths of this program are.
    pub(super) fn path(&self) -> Option<&str> {
        std::str::from_utf8(&self.path).ok()
    }
}

/// Everything below `old` and `new` that is no directory and differs, in order of path.
pub(super) fn differences(
    objects: Objects<'_>,
    old: Option<Oid>,
    new: Option<Oid>,
) -> Result<Vec<Difference>, StoreError> {
    let mut found = Vec::new();
    compare(objects, old, new, &[], 0, &mut found)?;
    Ok(found)
}

/// No path of this program has more parts; directories below that are somebody's and are not looked into.
const DEEPEST: usize = 800;

/// A few small trees that hold each other many times can stand for more files than fit anywhere.
const MOST_FILES: usize = 1 << 20;

fn compare(
    objects: Objects<'_>,
    old: Option<Oid>,
    new: Option<Oid>,
    prefix: &[u8],
    depth: usize,
    found: &mut Vec<Difference>,
) -> Result<(), StoreError> {
    if old == new || depth > DEEPEST {
        return Ok(());
    }
    if found.len() > MOST_FILES {
        return Err(StoreError::TooMany);
    }
    let (old, new) = (entries(objects, old)?, entries(objects, new)?);
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            [prefix, name].join(&b'/')
        };
        let directory =
            |side: Option<&Leaf>| side.filter(|leaf| leaf.is_directory()).map(|leaf| leaf.oid);
        let file = |side: Option<&Leaf>| side.filter(|leaf| !leaf.is_directory()).copied();
        if file(before) != file(after) {
            found.push(Difference {
                path: path.clone(),
                new: file(after),
            });
        }
        compare(
            objects,
            directory(before),
            directory(after),
            &path,
            depth + 1,
            found,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use git2::Repository;

    use super::super::reader::Reader;
    use super::*;

    #[test]
    fn tree_file_replaces_directory_and_back() {
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let text = Leaf::file(repo.blob(b"text").unwrap());
        let link = Leaf {
            mode: 0o120_000,
            ..text
        };
        let reader = Reader::new(repo.path());
        let objects = Objects {
            repo: &repo,
            reader: &reader,
        };
        let paths = |changes: &[(&str, Option<Leaf>)], base: Option<Oid>| {
            let mut writer = ObjectWriter::new(&repo);
            let changes = changes
                .iter()
                .map(|(path, leaf)| ((*path).to_owned(), *leaf))
                .collect();
            let tree = apply(objects, &mut writer, base, &changes)
                .unwrap()
                .unwrap();
            writer.finish().unwrap();
            let all = differences(objects, None, Some(tree)).unwrap();
            let all: Vec<_> = all
                .into_iter()
                .map(|d| (String::from_utf8(d.path).unwrap(), d.new.unwrap()))
                .collect();
            (tree, all)
        };
        let (directory, _) = paths(&[("a/b/c", Some(text)), ("z", Some(link))], None);
        let (file, all) = paths(&[("a", Some(text)), ("a/b/c", None)], Some(directory));
        assert_eq!(all, [("a".to_owned(), text), ("z".to_owned(), link)]);
        let (again, all) = paths(&[("a", None), ("a/b/c", Some(text))], Some(file));
        assert_eq!(all, [("a/b/c".to_owned(), text), ("z".to_owned(), link)]);
        assert_eq!(again, directory);
    }
}
