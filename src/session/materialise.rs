//! Writing session files where the client looks for them, so that it can be undone.
//!
//! Every change is entered in a journal before it is made, and what it replaces is kept beside the journal. A new or replaced file
//! appears whole or not at all; an extended one is only ever appended to. The caller has made sure that no client runs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::SessionError;
use crate::sys::fs::{Appender, AtomicFile, FileStamp, PathError, create_private_dir_all};

/// Journals older than this are dropped, with what they keep.
const KEEP_DAYS: i64 = 30;

/// Beyond this many bytes the oldest journals are dropped; the newest always stays.
const KEEP_BYTES: u64 = 1 << 30;

const JOURNAL: &str = "journal.jsonl";

/// One change made by a pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
enum Change {
    /// A file that was not there.
    Created { path: PathBuf },
    /// A file that was `from` bytes long.
    Extended { path: PathBuf, from: u64 },
    /// A file whose former contents are kept under `kept`.
    Replaced { path: PathBuf, kept: String },
    /// The change entered last was made; this is the file it left.
    Done { stamp: FileStamp },
}

/// Takes the next bytes of the file being written.
pub type Put<'a> = dyn FnMut(&[u8]) -> Result<(), SessionError> + 'a;

/// The journal of one pull.
pub struct Journal {
    directory: PathBuf,
    kept: u32,
}

/// What an undo did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// Files put back or removed.
    pub restored: Vec<PathBuf>,
    /// Files left alone, with the reason.
    pub kept: Vec<(PathBuf, String)>,
}

impl Journal {
    /// A journal below `root`, for a pull that begins at `now`. Nothing is written before the first change.
    pub fn new(root: &Path, now: DateTime<Utc>) -> Self {
        let name = format!("{}-{}", now.format("%Y%m%dT%H%M%S%.6fZ"), std::process::id());
        Self { directory: root.join(name), kept: 0 }
    }

    /// Writes `path` anew, keeping what is there; its modification time becomes `modified`. `expected` is the file that the
    /// caller has seen there, `None` if there was none. Returns the file as written.
    ///
    /// # Errors
    /// [`SessionError::Changed`] if the file is another by now, [`SessionError::Path`] if anything cannot be written, or
    /// whatever `write` returns; then `path` is as it was.
    pub fn write<E: From<SessionError>>(
        &mut self,
        path: &Path,
        expected: Option<&FileStamp>,
        modified: Option<DateTime<Utc>>,
        write: impl FnOnce(&mut Put<'_>) -> Result<(), E>,
    ) -> Result<FileStamp, E> {
        let mut file = AtomicFile::create(path).map_err(SessionError::from)?;
        write(&mut |bytes| Ok(file.put(bytes)?))?;
        if let Some(modified) = modified {
            file.set_modified(modified);
        }
        let change = match expected {
            Some(_) => Change::Replaced { path: path.to_owned(), kept: self.keep(path)? },
            None => Change::Created { path: path.to_owned() },
        };
        // As late as possible: a client may have written since the plan was made.
        check_unchanged(path, expected)?;
        self.enter(&change)?;
        // A new file can be had again from the store, so a crash may cost it; what it replaces may not be lost.
        let new = matches!(change, Change::Created { .. });
        let stamp = if new { file.commit_without_sync() } else { file.commit() }.map_err(SessionError::from)?;
        self.enter(&Change::Done { stamp })?;
        Ok(stamp)
    }

    /// Appends to `path`, which must still be the file that the caller has seen. Returns the file as it is then.
    ///
    /// # Errors
    /// As for [`Self::write`]. After a failure in the middle the file may
    /// hold a part of what was to come, which the next pull completes.
    pub fn extend<E: From<SessionError>>(
        &mut self,
        path: &Path,
        expected: &FileStamp,
        modified: Option<DateTime<Utc>>,
        write: impl FnOnce(&mut Put<'_>) -> Result<(), E>,
    ) -> Result<FileStamp, E> {
        check_unchanged(path, Some(expected))?;
        let from = expected.len;
        self.enter(&Change::Extended { path: path.to_owned(), from })?;
        let mut file = Appender::open(path, from).map_err(SessionError::from)?;
        write(&mut |bytes| Ok(file.put(bytes)?))?;
        if let Some(modified) = modified {
            file.set_modified(modified);
        }
        let stamp = file.commit().map_err(SessionError::from)?;
        self.enter(&Change::Done { stamp })?;
        Ok(stamp)
    }

    /// Keeps the present contents of `path` and returns the name they are kept under.
    fn keep(&mut self, path: &Path) -> Result<String, SessionError> {
        create_private_dir_all(&self.directory)?;
        self.kept += 1;
        let name = format!("{:06}", self.kept);
        let kept = self.directory.join(&name);
        // The file is about to be replaced by a rename, so a second link to it costs nothing and stays as it is.
        if fs::hard_link(path, &kept).is_err() {
            fs::copy(path, &kept).map_err(|source| PathError {
                action: "keep a copy of",
                path: path.to_owned(),
                source,
            })?;
        }
        Ok(name)
    }

    fn enter(&self, change: &Change) -> Result<(), SessionError> {
        create_private_dir_all(&self.directory)?;
        let path = self.directory.join(JOURNAL);
        let fail = |source| PathError { action: "write", path: path.clone(), source };
        let mut line = serde_json::to_vec(change).map_err(|e| fail(e.into()))?;
        line.push(b'\n');
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        Ok(file.write_all(&line).map_err(fail)?)
    }
}

fn check_unchanged(path: &Path, expected: Option<&FileStamp>) -> Result<(), SessionError> {
    let found = match FileStamp::read(path) {
        Ok(stamp) => Some(stamp),
        Err(e) if e.is_not_found() => None,
        Err(e) => return Err(e.into()),
    };
    if found.as_ref() == expected { Ok(()) } else { Err(SessionError::Changed { path: path.to_owned() }) }
}

/// Takes back the newest pull recorded below `root`; `None` if there is none. Its journal is removed.
///
/// A file that changed since the pull is left alone and reported.
///
/// # Errors
/// [`SessionError::Journal`] if the journal is damaged, [`SessionError::Path`].
pub fn undo(root: &Path) -> Result<Option<(DateTime<Utc>, Undone)>, SessionError> {
    let Some((directory, time)) = journals(root).pop() else { return Ok(None) };
    let mut undone = Undone::default();
    for (change, left) in read_journal(&directory)?.into_iter().rev() {
        let path = match &change {
            Change::Created { path } | Change::Extended { path, .. } | Change::Replaced { path, .. } => path.clone(),
            Change::Done { .. } => continue,
        };
        match take_back(&directory, &change, left.as_ref()) {
            Ok(true) => undone.restored.push(path),
            Ok(false) => undone.kept.push((path, "it changed since that pull".to_owned())),
            Err(e) => undone.kept.push((path, e.to_string())),
        }
    }
    fs::remove_dir_all(&directory).map_err(|source| PathError { action: "remove", path: directory, source })?;
    Ok(Some((time, undone)))
}

/// Drops journals that are too old, or too many bytes, as of `now`.
pub fn prune(root: &Path, now: DateTime<Utc>) {
    let mut bytes = 0;
    for (newer, (directory, time)) in journals(root).into_iter().rev().enumerate() {
        bytes += size_of(&directory);
        if newer > 0 && (bytes > KEEP_BYTES || (now - time).num_days() > KEEP_DAYS) {
            // A journal that cannot be removed now is tried again by the next pull.
            let _ = fs::remove_dir_all(&directory);
        }
    }
}

/// Journals, oldest first.
fn journals(root: &Path) -> Vec<(PathBuf, DateTime<Utc>)> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut journals: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let time = chrono::NaiveDateTime::parse_from_str(name.split('-').next()?, "%Y%m%dT%H%M%S%.fZ").ok()?;
            Some((entry.path(), time.and_utc()))
        })
        .collect();
    journals.sort_by_key(|(path, time)| (*time, path.clone()));
    journals
}

/// Each change with the file it left; the last may have been entered but not made.
fn read_journal(directory: &Path) -> Result<Vec<(Change, Option<FileStamp>)>, SessionError> {
    let path = directory.join(JOURNAL);
    let text = crate::sys::fs::read(&path)?;
    let mut changes: Vec<(Change, Option<FileStamp>)> = Vec::new();
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Change::Done { stamp }) => changes.iter_mut().last().into_iter().for_each(|c| c.1 = Some(stamp)),
            Ok(change) => changes.push((change, None)),
            // The line being written when the machine died: its change was never made.
            Err(_) if text.last() != Some(&b'\n') => break,
            Err(source) => return Err(SessionError::Journal { path, source }),
        }
    }
    Ok(changes)
}

/// `Ok(false)`: the file is no longer what the pull left.
fn take_back(directory: &Path, change: &Change, left: Option<&FileStamp>) -> Result<bool, SessionError> {
    let untouched = |path: &Path| left.is_some() && FileStamp::read(path).ok().as_ref() == left;
    match change {
        Change::Created { path } if untouched(path) => drop(crate::sys::fs::remove_file_if_exists(path)?),
        Change::Extended { path, from } if untouched(path) => {
            let fail = |source| PathError { action: "shorten", path: path.clone(), source };
            let file = fs::OpenOptions::new().write(true).open(path).map_err(fail)?;
            file.set_len(*from).map_err(fail)?;
        }
        Change::Replaced { path, kept } if untouched(path) => {
            let fail = |source| PathError { action: "restore", path: path.clone(), source };
            fs::rename(directory.join(kept), path).map_err(fail)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn size_of(directory: &Path) -> u64 {
    walkdir::WalkDir::new(directory).into_iter().flatten().filter_map(|e| e.metadata().ok()).map(|m| m.len()).sum()
}
