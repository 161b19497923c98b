//! Trees: applying changes of files to a tree, and comparing two trees.
//!
//! Cost follows the change: only directories on the way to a changed path are read or written.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Repository, Tree};

use super::StoreError;
use super::object::ObjectWriter;

const DIRECTORY: i32 = 0o040_000;
const FILE: i32 = 0o100_644;

/// New contents by path; `None` removes the file.
pub(super) type Changes = BTreeMap<String, Option<Oid>>;

/// The tree that `base` becomes with `changes`; `None` if nothing is left in it.
pub(super) fn apply(
    repo: &Repository,
    writer: &mut ObjectWriter<'_>,
    base: Option<&Tree<'_>>,
    changes: &Changes,
) -> Result<Option<Oid>, StoreError> {
    let changes: Vec<(&str, Option<Oid>)> = changes.iter().map(|(path, oid)| (path.as_str(), *oid)).collect();
    apply_below(repo, writer, base, &changes)
}

fn apply_below(
    repo: &Repository,
    writer: &mut ObjectWriter<'_>,
    base: Option<&Tree<'_>>,
    changes: &[(&str, Option<Oid>)],
) -> Result<Option<Oid>, StoreError> {
    let mut entries: BTreeMap<Vec<u8>, (i32, Oid)> = BTreeMap::new();
    for entry in base.into_iter().flat_map(Tree::iter) {
        entries.insert(entry.name_bytes().to_vec(), (entry.filemode_raw(), entry.id()));
    }
    let mut directories: BTreeMap<&str, Vec<(&str, Option<Oid>)>> = BTreeMap::new();
    for (path, oid) in changes {
        match (path.split_once('/'), oid) {
            (Some((directory, rest)), _) => directories.entry(directory).or_default().push((rest, *oid)),
            (None, Some(oid)) => drop(entries.insert(path.as_bytes().to_vec(), (FILE, *oid))),
            (None, None) => drop(entries.remove(path.as_bytes())),
        }
    }
    for (name, below) in directories {
        let former = entries.get(name.as_bytes()).filter(|(mode, _)| *mode == DIRECTORY);
        let former = former.map(|(_, oid)| repo.find_tree(*oid)).transpose()?;
        match apply_below(repo, writer, former.as_ref(), &below)? {
            Some(tree) => drop(entries.insert(name.as_bytes().to_vec(), (DIRECTORY, tree))),
            None => drop(entries.remove(name.as_bytes())),
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    writer.put(ObjectType::Tree, encode(entries)).map(Some)
}

/// A tree object: entries sorted as if directories ended with `/` (git's `base_name_compare`).
fn encode(entries: BTreeMap<Vec<u8>, (i32, Oid)>) -> Vec<u8> {
    let mut sorted: Vec<_> = entries.into_iter().collect();
    sorted.sort_by_key(|(name, (mode, _))| {
        let mut key = name.clone();
        if *mode == DIRECTORY {
            key.push(b'/');
        }
        key
    });
    let mut tree = Vec::new();
    for (name, (mode, oid)) in sorted {
        tree.extend_from_slice(format!("{mode:o} ").as_bytes());
        tree.extend_from_slice(&name);
        tree.push(0);
        tree.extend_from_slice(oid.as_bytes());
    }
    tree
}

/// A file that differs between two trees.
pub(super) struct Difference {
    pub(super) path: String,
    /// The new blob; `None` if the file is gone, or is no plain file any more.
    pub(super) new: Option<Oid>,
}

/// Every plain file below `old` and `new` that differs, in order of path.
///
/// Entries that are no plain files (symbolic links, submodules) and names that are not UTF-8 count as absent: nothing
/// of the kind is ever written by this program, and nothing of the kind is read.
pub(super) fn differences(
    repo: &Repository,
    old: Option<&Tree<'_>>,
    new: Option<&Tree<'_>>,
) -> Result<Vec<Difference>, StoreError> {
    let mut found = Vec::new();
    compare(repo, old.map(Tree::id), new.map(Tree::id), "", &mut found)?;
    Ok(found)
}

/// What a directory holds: plain files and directories by name.
fn children(repo: &Repository, tree: Option<Oid>) -> Result<BTreeMap<String, (bool, Oid)>, StoreError> {
    let Some(tree) = tree else { return Ok(BTreeMap::new()) };
    let mut children = BTreeMap::new();
    for entry in &repo.find_tree(tree)? {
        let is_directory = entry.filemode_raw() == DIRECTORY;
        let is_file = matches!(entry.filemode_raw(), 0o100_644 | 0o100_755 | 0o100_664);
        if let (Ok(name), true) = (std::str::from_utf8(entry.name_bytes()), is_directory || is_file) {
            children.insert(name.to_owned(), (is_directory, entry.id()));
        }
    }
    Ok(children)
}

fn compare(
    repo: &Repository,
    old: Option<Oid>,
    new: Option<Oid>,
    prefix: &str,
    found: &mut Vec<Difference>,
) -> Result<(), StoreError> {
    if old == new {
        return Ok(());
    }
    let old = children(repo, old)?;
    let new = children(repo, new)?;
    let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        if before == after {
            continue;
        }
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let directory = |side: Option<&(bool, Oid)>| side.filter(|(is_dir, _)| *is_dir).map(|(_, oid)| *oid);
        let file = |side: Option<&(bool, Oid)>| side.filter(|(is_dir, _)| !*is_dir).map(|(_, oid)| *oid);
        if file(before) != file(after) {
            found.push(Difference { path: path.clone(), new: file(after) });
        }
        compare(repo, directory(before), directory(after), &path, found)?;
    }
    Ok(())
}
