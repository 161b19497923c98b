//! The journals on the disk: finding, reading and rewriting them.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};

use super::change::{JournalChange, JournalLine, to_line};
use crate::domain::parse::from_json;
use crate::session::SessionError;
use crate::sys::{fs::FileStamp, fs::PathError, fs::read, fs::write_atomic};

/// Name of the journal in its directory.
const JOURNAL: &str = "journal.jsonl";

/// The command whose changes a journal lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalKind {
    /// A pull, a restore, or another command that an undo reverts.
    Change,
    /// An undo.
    Undo,
}

/// The directory of one journal, named `<time>-<pid>-<number>`; `-undo` follows for an undo.
pub(super) struct JournalDir {
    pub(super) path: PathBuf,
    /// The time at which its command began, by a clock that may have been wrong.
    pub(super) time: DateTime<Utc>,
    pub(super) kind: JournalKind,
    /// The commands in their order. Journals of earlier versions have no number.
    number: u64,
}

/// One change and everything that a journal records about it.
pub(super) struct Entry {
    pub(super) change: JournalChange,
    pub(super) path: PathBuf,
    /// The file before the change.
    pub(super) was: Option<FileStamp>,
    /// The file that the change left; `None` if the change was perhaps not made.
    pub(super) left: Option<FileStamp>,
}

/// The entries of a journal.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) list: Vec<Entry>,
    /// An undo went through the journal.
    pub(super) was_undone: bool,
}

/// Returns the path of the journal in its directory.
pub(super) fn journal_path(directory: &Path) -> PathBuf {
    directory.join(JOURNAL)
}

/// Returns the directory below `root` of the next journal, for a command that begins at `now`.
pub(super) fn next_directory(root: &Path, kind: JournalKind, now: DateTime<Utc>) -> PathBuf {
    let time = now.format("%Y%m%dT%H%M%S%.6fZ");
    let number = 1 + journals(root).last().map_or(0, |journal| journal.number);
    let suffix = match kind {
        JournalKind::Change => "",
        JournalKind::Undo => "-undo",
    };
    root.join(format!("{time}-{}-{number}{suffix}", std::process::id()))
}

/// Lists the journals below `root`, the oldest first.
pub(super) fn journals(root: &Path) -> Vec<JournalDir> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut journals: Vec<_> = entries
        .filter_map(|entry| JournalDir::parse(entry.path()))
        .collect();
    journals.sort_by(|a, b| (a.number, a.time, &a.path).cmp(&(b.number, b.time, &b.path)));
    journals
}

impl JournalDir {
    fn parse(path: PathBuf) -> Option<Self> {
        let mut parts = path.file_name()?.to_str()?.split('-');
        let time = NaiveDateTime::parse_from_str(parts.next()?, "%Y%m%dT%H%M%S%.fZ").ok()?;
        let number = parts.nth(1).map_or(Some(0), |number| number.parse().ok())?;
        let kind = match parts.next() {
            Some(_) => JournalKind::Undo,
            None => JournalKind::Change,
        };
        Some(Self {
            time: time.and_utc(),
            kind,
            number,
            path,
        })
    }
}

/// Reads a journal; the last change may not have been made. `None` if nothing was ever entered.
pub(super) fn read_journal(directory: &Path) -> Result<Option<Entries>, SessionError> {
    let path = journal_path(directory);
    let text = match read(&path) {
        Ok(text) => text,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut entries = Entries::default();
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        match from_json::<JournalLine<JournalChange>>(line) {
            Ok(line) => entries.add(line),
            // Its process died while it wrote the line, before it made the change.
            Err(_) if text.last() != Some(&b'\n') => break,
            Err(source) => return Err(SessionError::Journal { path, source }),
        }
    }
    Ok(Some(entries))
}

impl Entries {
    fn add(&mut self, JournalLine { change, was }: JournalLine<JournalChange>) {
        match change {
            JournalChange::Undone => self.was_undone = true,
            JournalChange::Done { path, stamp } => {
                let entry = self.list.iter_mut().rfind(|entry| entry.path == path);
                if let Some(entry) = entry {
                    entry.left = Some(stamp);
                }
            }
            change => self.list.extend(Entry::new(change, was)),
        }
    }
}

impl Entry {
    fn new(change: JournalChange, was: Option<FileStamp>) -> Option<Self> {
        Some(Self {
            path: change.changed_path()?.to_owned(),
            change,
            was,
            left: None,
        })
    }
}

/// Replaces a journal by the entries that an undo left.
pub(super) fn write_journal(directory: &Path, entries: &[Entry]) -> Result<(), SessionError> {
    let path = journal_path(directory);
    let fail = |source| PathError::new("write", &path, source);
    let mut text = to_line(&JournalChange::Undone).map_err(fail)?;
    for entry in entries {
        let line = JournalLine {
            change: &entry.change,
            was: entry.was,
        };
        text.extend(to_line(&line).map_err(fail)?);
        if let Some(stamp) = entry.left {
            let path = entry.path.clone();
            text.extend(to_line(&JournalChange::Done { path, stamp }).map_err(fail)?);
        }
    }
    Ok(write_atomic(&path, &text)?)
}
