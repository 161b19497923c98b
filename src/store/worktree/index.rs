//! Reads and edits git's index.
//!
//! libgit2 decodes and encodes each of many thousand entries, and hashes the file slowly,
//! even if three changed. Here the others are copied. Owns the form of a plain index (git
//! manual, `gitformat-index`): version 2 without conflicts and flags. libgit2 does
//! everything else. Must not read the files of the working tree.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use git2::{Index, IndexEntry, IndexEntryExtendedFlag, IndexTime, Oid, Repository};
use sha1::{Digest, Sha1};

use crate::store::{error::StoreError, objects::tree::TreeEntry};
use crate::sys::fail_point::fail_point;

/// The new entry of each path. `None` removes the entry.
pub(super) type IndexEdits = BTreeMap<Vec<u8>, Option<IndexEntry>>;

/// Signature, version and number of entries.
const HEADER_BYTES: usize = 12;

const DIGEST_BYTES: usize = 20;

/// Bytes of an entry before its path.
const FIXED_BYTES: usize = 62;

/// Bits that mark an entry as part of a conflict, or announce more flags.
const UNUSUAL_FLAGS: u16 = 0x7000;

/// Largest length of a path that the flags of an entry can hold. Longer paths have this one.
const MAX_PATH_LENGTH: usize = 0x0fff;

/// Mode of a file that old versions of git wrote. A tree may have it, an index may not.
const GROUP_WRITABLE: i32 = 0o100_664;

/// Returns an index entry without time and size.
pub(super) fn new_entry(path: Vec<u8>, entry: TreeEntry) -> IndexEntry {
    let mode = match entry.mode {
        GROUP_WRITABLE => 0o100_644,
        mode => mode as u32,
    };
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: entry.oid,
        flags: 0,
        flags_extended: 0,
        path,
    }
}

/// Returns an entry of something that is deliberately missing in the working tree.
pub(super) fn skipped_entry(path: Vec<u8>, entry: TreeEntry) -> IndexEntry {
    IndexEntry {
        flags_extended: IndexEntryExtendedFlag::SKIP_WORKTREE.bits(),
        ..new_entry(path, entry)
    }
}

fn is_skipped(entry: &IndexEntry) -> bool {
    entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0
}

/// Edits any index with libgit2, and writes it.
pub(super) fn edit_any(index: &mut Index, edits: &IndexEdits) -> Result<(), StoreError> {
    let removed = edits.iter().filter(|(_, entry)| entry.is_none());
    for path in removed.filter_map(|(path, _)| native_path(path)) {
        index.remove_path(&path)?;
    }
    for entry in edits.values().flatten() {
        let added = index.add(entry);
        // An index cannot have names that git itself refuses. `git status` reports them then.
        if !is_skipped(entry) {
            added?;
        }
    }
    fail_point("before git's index is written");
    index.write()?;
    fail_point("git's index is written");
    Ok(())
}

#[cfg(unix)]
fn native_path(path: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
}

#[cfg(not(unix))]
fn native_path(path: &[u8]) -> Option<PathBuf> {
    std::str::from_utf8(path).ok().map(PathBuf::from)
}

/// Edits the plain index at `path`, under git's own lock.
///
/// # Errors
/// [`io::Error`] if that fails, or if the index is not plain. The index is unchanged then.
pub(super) fn edit_plain(path: &Path, edits: &IndexEdits) -> io::Result<()> {
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

/// Returns the index with these edits. Returns `None` if it is not plain.
fn edited(index: &[u8], edits: &IndexEdits) -> Option<Vec<u8>> {
    let (content, count) = plain_content(index)?;
    let mut rest = &content[HEADER_BYTES..];
    let mut new_index = Vec::with_capacity(index.len() + edits.len() * 256);
    new_index.extend_from_slice(&content[..HEADER_BYTES]);
    let mut entries = 0_u32;
    let mut waiting = edits.iter().peekable();
    for _ in 0..count {
        let entry = first_entry(rest)?;
        rest = &rest[entry.len()..];
        let path = path_of(entry)?;
        while let Some((edited, new)) = waiting.next_if(|(edited, _)| edited.as_slice() < path) {
            entries += append(&mut new_index, edited, new.as_ref())?;
        }
        match waiting.next_if(|(edited, _)| edited.as_slice() == path) {
            Some((edited, new)) => entries += append(&mut new_index, edited, new.as_ref())?,
            None => {
                new_index.extend_from_slice(entry);
                entries += 1;
            }
        }
    }
    for (edited, new) in waiting {
        entries += append(&mut new_index, edited, new.as_ref())?;
    }
    if !has_only_optional_extensions(rest) {
        return None;
    }

    new_index[8..HEADER_BYTES].copy_from_slice(&entries.to_be_bytes());
    let digest = Sha1::digest(&new_index);
    new_index.extend_from_slice(&digest);
    Some(new_index)
}

/// A file in the index.
pub(super) struct IndexedFile {
    pub(super) path: String,
    pub(super) entry: TreeEntry,
    /// Time of the last change: seconds since 1970, nanoseconds.
    pub(super) modified: (u32, u32),
    pub(super) size: u32,
}

/// Reads the index, in order of the paths. One that is missing or damaged has no files.
pub(super) fn indexed_files(repo: &Repository) -> Vec<IndexedFile> {
    let bytes = fs::read(repo.path().join("index"));
    let plain = bytes.ok().and_then(|bytes| plain_files(&bytes));
    let unusual = || {
        let index = repo.index().ok()?;
        Some(index.iter().filter_map(IndexedFile::from_git2).collect())
    };
    plain.or_else(unusual).unwrap_or_default()
}

/// Returns the files in the index. Returns `None` if it is not plain.
fn plain_files(index: &[u8]) -> Option<Vec<IndexedFile>> {
    let (content, count) = plain_content(index)?;
    let mut rest = &content[HEADER_BYTES..];
    let mut files = Vec::with_capacity(count.min(content.len() / FIXED_BYTES));
    for _ in 0..count {
        let entry = first_entry(rest)?;
        rest = &rest[entry.len()..];
        files.extend(IndexedFile::parse(entry));
    }
    has_only_optional_extensions(rest).then_some(files)
}

impl IndexedFile {
    /// Returns `None` if the path is not UTF-8.
    fn parse(entry: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_be_bytes(entry.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            path: std::str::from_utf8(path_of(entry)?).ok()?.to_owned(),
            entry: TreeEntry {
                mode: word(24)? as i32,
                oid: Oid::from_bytes(entry.get(40..60)?).ok()?,
            },
            modified: (word(8)?, word(12)?),
            size: word(36)?,
        })
    }

    fn from_git2(entry: IndexEntry) -> Option<Self> {
        Some(Self {
            path: String::from_utf8(entry.path).ok()?,
            entry: TreeEntry {
                mode: entry.mode as i32,
                oid: entry.id,
            },
            modified: (entry.mtime.seconds() as u32, entry.mtime.nanoseconds()),
            size: entry.file_size,
        })
    }
}

/// Returns the index without its digest, and the number of entries. Returns `None` if it is not
/// plain.
fn plain_content(index: &[u8]) -> Option<(&[u8], usize)> {
    let (content, digest) = index.split_at_checked(index.len().checked_sub(DIGEST_BYTES)?)?;
    let version = content.strip_prefix(b"DIRC")?.get(..4)?;
    let count = u32::from_be_bytes(content.get(8..HEADER_BYTES)?.try_into().ok()?);
    let is_plain = version == [0, 0, 0, 2] && Sha1::digest(content).as_slice() == digest;
    is_plain.then_some((content, count as usize))
}

/// Returns the first entry. One to eight zero bytes after its path make it a multiple of eight.
fn first_entry(bytes: &[u8]) -> Option<&[u8]> {
    let flags = u16::from_be_bytes(bytes.get(FIXED_BYTES - 2..FIXED_BYTES)?.try_into().ok()?);
    let path = memchr::memchr(0, bytes.get(FIXED_BYTES..)?)?;
    if flags & UNUSUAL_FLAGS != 0 {
        return None;
    }
    bytes.get(..padded(FIXED_BYTES + path))
}

fn path_of(entry: &[u8]) -> Option<&[u8]> {
    let path = &entry[FIXED_BYTES..];
    Some(&path[..memchr::memchr(0, path)?])
}

fn padded(len: usize) -> usize {
    (len + 8) & !7
}

/// Appends an entry, if there is one, and returns the number of entries appended.
fn append(index: &mut Vec<u8>, path: &[u8], entry: Option<&IndexEntry>) -> Option<u32> {
    let Some(entry) = entry else { return Some(0) };
    if entry.flags_extended != 0 || path.is_empty() {
        return None;
    }
    let start = index.len();
    let words = |time: IndexTime| [time.seconds() as u32, time.nanoseconds()];
    let [ctime, mtime] = [entry.ctime, entry.mtime].map(words);
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
    index.extend_from_slice(&(path.len().min(MAX_PATH_LENGTH) as u16).to_be_bytes());
    index.extend_from_slice(path);
    index.resize(start + padded(FIXED_BYTES + path.len()), 0);
    Some(1)
}

/// Returns true if all extensions after the entries may be dropped.
///
/// Their names begin with a capital letter. They only save time.
fn has_only_optional_extensions(mut bytes: &[u8]) -> bool {
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
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &[u8], size: u32) -> IndexEntry {
        let oid = Oid::from_bytes(&[7; 20]).unwrap();
        IndexEntry {
            mtime: IndexTime::new(1_700_000_000, 5),
            file_size: size,
            ..new_entry(path.to_vec(), TreeEntry::new_file(oid))
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
            let made: IndexEdits = edits
                .iter()
                .map(|(path, size)| (path.clone().into_bytes(), size.map(|size| entry(path.as_bytes(), size))))
                .collect();
            edit_plain(&path, &made).unwrap();
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
        let one = IndexEdits::from([(b"b".to_vec(), Some(entry(b"b", 3)))]);
        let made = edited(&plain, &one).unwrap();
        assert_eq!(edited(&made, &IndexEdits::new()).unwrap(), made);
        for cut in [0, 4, 11, 40, plain.len() - 1] {
            assert!(edited(&plain[..cut], &one).is_none());
        }
        let with_digest = |mut content: Vec<u8>| {
            content.truncate(content.len() - DIGEST_BYTES);
            let digest = Sha1::digest(&content);
            [content, digest.to_vec()].concat()
        };
        let changed = |at: usize, byte: u8| {
            let mut index = plain.clone();
            index[at] = byte;
            index
        };
        assert!(
            edited(&changed(HEADER_BYTES + 1, 9), &one).is_none(),
            "a wrong digest"
        );
        assert!(
            edited(&with_digest(changed(7, 4)), &one).is_none(),
            "another version"
        );
        assert!(
            edited(
                &with_digest(changed(HEADER_BYTES + FIXED_BYTES - 2, 0x10)),
                &one
            )
            .is_none(),
            "a conflict"
        );
        let mut split = made[..made.len() - DIGEST_BYTES].to_vec();
        split.extend_from_slice(b"link\0\0\0\0");
        split.extend_from_slice(&[0; DIGEST_BYTES]);
        assert!(
            edited(&with_digest(split), &one).is_none(),
            "a part of another file"
        );
        let skipped = IndexEntry {
            flags_extended: 1 << 14,
            ..entry(b"c", 1)
        };
        assert!(edited(&plain, &IndexEdits::from([(b"c".to_vec(), Some(skipped))])).is_none());
        fs::rename(&path, path.with_extension("lock")).unwrap();
        assert!(edit_plain(&path, &one).is_err());
        assert!(
            path.with_extension("lock").exists(),
            "the lock of another process stays"
        );
    }
}
