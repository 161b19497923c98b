//! Git's index of the store: reading its entries, and changing a few of them.
//!
//! libgit2 takes each of many thousand entries apart and puts all together again, and hashes the file slowly, for the sake of three that changed.
//! Here the others are copied as they are. Owns the form of the file (git manual, `gitformat-index`), as far as it is plain: version 2, no
//! conflicts, no marks. Everything else is left to libgit2. Must not look at the files that the entries stand for.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use git2::IndexEntry;
use sha1::{Digest, Sha1};

use crate::sys::fail_point::fail_point;

/// What is to be entered under a path from now on; `None`: nothing.
pub(super) type Edits = BTreeMap<Vec<u8>, Option<IndexEntry>>;

const HEADER: usize = 12;
const DIGEST: usize = 20;

/// What stands before the path of an entry.
const FIXED: usize = 62;

/// Bits that mark an entry as part of a conflict, or announce more bits.
const UNUSUAL_FLAGS: u16 = 0x7000;
const LONGEST_NAMED: usize = 0x0fff;

/// Changes the index at `path`, under git's own lock.
///
/// # Errors
/// [`io::Error`] if it cannot be done, or not here; the index is as it was then.
pub(super) fn edit(path: &Path, edits: &Edits) -> io::Result<()> {
    let edited = edited(&fs::read(path)?, edits).ok_or(ErrorKind::Unsupported)?;
    let lock = path.with_extension("lock");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&lock)?;
    let mut replace = || {
        file.write_all(&edited)?;
        fail_point("before git's index is written");
        fs::rename(&lock, path)
    };
    replace().inspect_err(|_| drop(fs::remove_file(&lock)))
}

/// The index with these edits; `None` if it is not plain.
fn edited(index: &[u8], edits: &Edits) -> Option<Vec<u8>> {
    let (content, count) = plain_content(index)?;
    let mut rest = &content[HEADER..];
    let mut made = Vec::with_capacity(index.len() + edits.len() * 256);
    made.extend_from_slice(&content[..HEADER]);
    let mut entries = 0_u32;
    let mut waiting = edits.iter().peekable();
    for _ in 0..count {
        let entry = first_entry(rest)?;
        let path = path_of(entry)?;
        while let Some((edited, new)) = waiting.next_if(|(edited, _)| edited.as_slice() < path) {
            entries += append(&mut made, edited, new.as_ref())?;
        }
        match waiting.next_if(|(edited, _)| edited.as_slice() == path) {
            Some((edited, new)) => entries += append(&mut made, edited, new.as_ref())?,
            None => {
                made.extend_from_slice(entry);
                entries += 1;
            }
        }
        rest = &rest[entry.len()..];
    }
    for (edited, new) in waiting {
        entries += append(&mut made, edited, new.as_ref())?;
    }
    if !only_optional_extensions(rest) {
        return None;
    }
    made[8..HEADER].copy_from_slice(&entries.to_be_bytes());
    let digest = Sha1::digest(&made);
    made.extend_from_slice(&digest);
    Some(made)
}

/// What an index says of one file.
pub(super) struct PlainEntry<'a> {
    pub(super) path: &'a [u8],
    pub(super) mode: u32,
    pub(super) oid: &'a [u8],
    /// When the file was changed: seconds since 1970, nanoseconds.
    pub(super) modified: (u32, u32),
    pub(super) size: u32,
}

/// All entries, in order of their paths; `None` if the index is not plain.
pub(super) fn plain_entries(index: &[u8]) -> Option<impl Iterator<Item = PlainEntry<'_>>> {
    let (content, count) = plain_content(index)?;
    let mut rest = &content[HEADER..];
    let mut entries = Vec::with_capacity(count.min(content.len() / FIXED));
    for _ in 0..count {
        let entry = first_entry(rest)?;
        entries.push(entry);
        rest = &rest[entry.len()..];
    }
    only_optional_extensions(rest).then(|| entries.into_iter().filter_map(PlainEntry::parse))
}

impl<'a> PlainEntry<'a> {
    fn parse(entry: &'a [u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_be_bytes(entry.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            path: path_of(entry)?,
            mode: word(24)?,
            oid: entry.get(40..60)?,
            modified: (word(8)?, word(12)?),
            size: word(36)?,
        })
    }
}

/// The index without its digest, and how many entries it has; `None` if it is not plain.
fn plain_content(index: &[u8]) -> Option<(&[u8], usize)> {
    let (content, digest) = index.split_at_checked(index.len().checked_sub(DIGEST)?)?;
    let version = content.strip_prefix(b"DIRC")?.get(..4)?;
    let count = u32::from_be_bytes(content.get(8..HEADER)?.try_into().ok()?);
    let is_plain = version == [0, 0, 0, 2] && Sha1::digest(content).as_slice() == digest;
    is_plain.then_some((content, count as usize))
}

/// The bytes of the entry at the beginning: its path is followed by one to eight zero bytes, up to a multiple of eight.
fn first_entry(bytes: &[u8]) -> Option<&[u8]> {
    let flags = u16::from_be_bytes(bytes.get(FIXED - 2..FIXED)?.try_into().ok()?);
    let path = memchr::memchr(0, bytes.get(FIXED..)?)?;
    if flags & UNUSUAL_FLAGS != 0 {
        None
    } else {
        bytes.get(..padded(FIXED + path))
    }
}

fn path_of(entry: &[u8]) -> Option<&[u8]> {
    let path = &entry[FIXED..];
    Some(&path[..memchr::memchr(0, path)?])
}

fn padded(len: usize) -> usize {
    (len + 8) & !7
}

/// Appends an entry, if there is to be one; how many it has appended.
fn append(index: &mut Vec<u8>, path: &[u8], entry: Option<&IndexEntry>) -> Option<u32> {
    let Some(entry) = entry else { return Some(0) };
    if entry.flags_extended != 0 || path.is_empty() {
        return None;
    }
    let start = index.len();
    let seconds = |time: git2::IndexTime| [time.seconds() as u32, time.nanoseconds()];
    let [ctime, mtime] = [entry.ctime, entry.mtime].map(seconds);
    let stat = [
        entry.dev,
        entry.ino,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.file_size,
    ];
    for word in ctime.into_iter().chain(mtime).chain(stat) {
        index.extend_from_slice(&word.to_be_bytes());
    }
    index.extend_from_slice(entry.id.as_bytes());
    index.extend_from_slice(&(path.len().min(LONGEST_NAMED) as u16).to_be_bytes());
    index.extend_from_slice(path);
    index.resize(start + padded(FIXED + path.len()), 0);
    Some(1)
}

/// Whether what follows the entries may be left out: a capital letter begins the name of what only saves time.
fn only_optional_extensions(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some((header, rest)) = bytes.split_at_checked(8) else {
            return false;
        };
        let len = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let Some(rest) = rest.get(len..).filter(|_| header[0].is_ascii_uppercase()) else {
            return false;
        };
        bytes = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use git2::{IndexTime, Oid, Repository};
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &[u8], size: u32) -> IndexEntry {
        IndexEntry {
            ctime: IndexTime::new(0, 0),
            mtime: IndexTime::new(1_700_000_000, 5),
            dev: 0,
            ino: 0,
            mode: 0o100_644,
            uid: 0,
            gid: 0,
            file_size: size,
            id: Oid::from_bytes(&[7; 20]).unwrap(),
            flags: 0,
            flags_extended: 0,
            path: path.to_vec(),
        }
    }

    fn index_of(entries: &[(String, u32)]) -> (tempfile::TempDir, Repository) {
        git2::opts::strict_object_creation(false);
        let dir = tempfile::tempdir().unwrap();
        let repo = Repository::init(dir.path()).unwrap();
        let mut index = repo.index().unwrap();
        entries
            .iter()
            .for_each(|(path, size)| index.add(&entry(path.as_bytes(), *size)).unwrap());
        index.write().unwrap();
        drop(index);
        (dir, repo)
    }

    fn read(repo: &Repository) -> Vec<(String, u32)> {
        let mut index = repo.index().unwrap();
        index.read(true).unwrap();
        index
            .iter()
            .map(|entry| (String::from_utf8(entry.path).unwrap(), entry.file_size))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn index_edit_matches_libgit2(
            before in proptest::collection::btree_map("[a-d]{1,3}", 0..9_u32, 0..20),
            edits in proptest::collection::btree_map("[a-d]{1,3}", proptest::option::of(10..19_u32), 0..9),
        ) {
            let (_dir, repo) = index_of(&before.clone().into_iter().collect::<Vec<_>>());
            let path = repo.path().join("index");
            let made: Edits = edits
                .iter()
                .map(|(path, size)| (path.clone().into_bytes(), size.map(|size| entry(path.as_bytes(), size))))
                .collect();
            edit(&path, &made).unwrap();
            let mut expected = before;
            for (path, size) in edits {
                match size {
                    Some(size) => drop(expected.insert(path, size)),
                    None => drop(expected.remove(&path)),
                }
            }
            prop_assert_eq!(read(&repo), expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn index_edit_of_unusual_index_is_refused() {
        let long = "x".repeat(5000);
        let (_dir, repo) = index_of(&[("a".to_owned(), 1), (long.clone(), 2)]);
        let path = repo.path().join("index");
        let plain = fs::read(&path).unwrap();
        let one = Edits::from([(b"b".to_vec(), Some(entry(b"b", 3)))]);
        let made = edited(&plain, &one).unwrap();
        assert_eq!(edited(&made, &Edits::new()).unwrap(), made);
        for cut in [0, 4, 11, 40, plain.len() - 1] {
            assert!(edited(&plain[..cut], &one).is_none());
        }
        let with_digest = |mut content: Vec<u8>| {
            content.truncate(content.len() - DIGEST);
            let digest = Sha1::digest(&content);
            [content, digest.to_vec()].concat()
        };
        let changed = |at: usize, byte: u8| {
            let mut index = plain.clone();
            index[at] = byte;
            index
        };
        assert!(
            edited(&changed(HEADER + 1, 9), &one).is_none(),
            "a wrong digest"
        );
        assert!(
            edited(&with_digest(changed(7, 4)), &one).is_none(),
            "another version"
        );
        assert!(
            edited(&with_digest(changed(HEADER + FIXED - 2, 0x10)), &one).is_none(),
            "a conflict"
        );
        let mut split = made[..made.len() - DIGEST].to_vec();
        split.extend_from_slice(b"link\0\0\0\0");
        split.extend_from_slice(&[0; DIGEST]);
        assert!(
            edited(&with_digest(split), &one).is_none(),
            "a part of another file"
        );
        let skipped = IndexEntry {
            flags_extended: 1 << 14,
            ..entry(b"c", 1)
        };
        assert!(edited(&plain, &Edits::from([(b"c".to_vec(), Some(skipped))])).is_none());
        fs::rename(&path, path.with_extension("lock")).unwrap();
        assert!(edit(&path, &one).is_err());
        assert!(
            path.with_extension("lock").exists(),
            "somebody else's lock stays"
        );
    }
}
