//! Writing session files where the client looks for them, so that it can be undone.
//!
//! Every change is entered in a journal before it is made, and what it replaces is kept beside the journal. A new or replaced file
//! appears whole or not at all; an extended one is only ever appended to. The caller has made sure that no client runs.
//!
//! An undo works through a journal from its end. What it cannot take back stays entered, with what was kept for it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::SessionError;
use super::files::directories;
use crate::sys::fail_point::fail_point;
use crate::sys::fs::{
    Appender, AtomicFile, FileStamp, PathError, create_private_dir_all, is_executable,
    remove_file_if_exists, set_modified, sync_with_directory, write_atomic,
};

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
    /// A file that was taken away; its contents are kept under `kept`.
    Removed { path: PathBuf, kept: String },
    /// The change of `path` that was entered last was made; this is the file it left.
    Done { path: PathBuf, stamp: FileStamp },
    /// An undo has been through this journal: what follows is what it left.
    Undone,
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
struct Line<C> {
    #[serde(flatten)]
    change: C,
    /// The file before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<FileStamp>,
}

/// What a journal says of one file.
struct Entry {
    change: Change,
    path: PathBuf,
    was: Option<FileStamp>,
    /// The file that the change left; none if the change was perhaps not made.
    left: Option<FileStamp>,
}

/// The entries of a journal.
struct Entries {
    list: Vec<Entry>,
    /// Whether an undo has been through it.
    tried: bool,
}

/// What an undo makes of an entry.
enum UndoAction {
    Restored,
    Removed,
    /// The file is as it was before the pull already.
    AsBefore,
    /// The file is no longer what the pull left.
    Changed,
    /// The file cannot be put back now.
    Blocked(String),
}

/// Takes the next bytes of the file being written.
pub type Put<'a> = dyn FnMut(&[u8]) -> Result<(), SessionError> + 'a;

/// The journal of one pull; may be used by several threads, each for files of its own.
pub struct Journal {
    directory: PathBuf,
    kept: AtomicU32,
    writing: Mutex<()>,
}

/// What an undo did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// Files that are again what they were before.
    pub restored: Vec<PathBuf>,
    /// Files that were not there before, and are not any more.
    pub removed: Vec<PathBuf>,
    /// Files left alone, with the reason.
    pub kept: Vec<(PathBuf, String)>,
}

impl Undone {
    /// Everything that was taken back.
    pub fn taken_back(&self) -> impl Iterator<Item = &Path> {
        self.restored
            .iter()
            .chain(&self.removed)
            .map(PathBuf::as_path)
    }
}

impl Journal {
    /// A journal below `root`, for a pull that begins at `now`. Nothing is written before the first change.
    pub fn new(root: &Path, now: DateTime<Utc>) -> Self {
        let name = format!(
            "{}-{}",
            now.format("%Y%m%dT%H%M%S%.6fZ"),
            std::process::id()
        );
        Self {
            directory: root.join(name),
            kept: AtomicU32::new(0),
            writing: Mutex::new(()),
        }
    }

    /// Writes `path` anew, keeping what is there; its modification time becomes `modified`. `expected` is the file that the
    /// caller has seen there, `None` if there was none. Returns the file as written.
    ///
    /// # Errors
    /// [`SessionError::Changed`] if the file is another by now, [`SessionError::Path`] if anything cannot be written, or
    /// whatever `write` returns; then `path` is as it was.
    pub fn write<E: From<SessionError>>(
        &self,
        path: &Path,
        expected: Option<&FileStamp>,
        modified: Option<DateTime<Utc>>,
        write: impl FnOnce(&mut Put<'_>) -> Result<(), E>,
    ) -> Result<FileStamp, E> {
        let mut file = AtomicFile::create(path).map_err(SessionError::from)?;
        write(&mut |bytes| Ok(file.put(bytes)?))?;
        self.replace(file, path, expected, modified)
    }

    /// The same for a text that is here whole; its owner may run it if it is `executable`.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn write_text(
        &self,
        path: &Path,
        expected: Option<&FileStamp>,
        text: &str,
        executable: bool,
    ) -> Result<FileStamp, SessionError> {
        let mut file = AtomicFile::create(path)?;
        file.put(text.as_bytes())?;
        if executable {
            file.make_executable()?;
        }
        self.replace(file, path, expected, None)
    }

    /// Puts a file that is written in its place.
    fn replace<E: From<SessionError>>(
        &self,
        mut file: AtomicFile,
        path: &Path,
        expected: Option<&FileStamp>,
        modified: Option<DateTime<Utc>>,
    ) -> Result<FileStamp, E> {
        if let Some(modified) = modified {
            file.set_modified(modified);
        }
        let change = match expected {
            Some(_) => Change::Replaced {
                path: path.to_owned(),
                kept: self.keep(path)?,
            },
            None => Change::Created {
                path: path.to_owned(),
            },
        };
        self.enter(&change)?;
        let new = matches!(change, Change::Created { .. });
        if !new {
            file.sync().map_err(SessionError::from)?;
        }
        // As late as possible: a client may have written since the plan was made. Of an entry that was not carried out an undo
        // knows by the file's stamp that it was not.
        check_unchanged(path, expected)?;
        // A new file can be had again from the store, so a crash may cost it; what it replaces may not be lost.
        let stamp = if new {
            file.commit_without_sync()
        } else {
            file.commit()
        }
        .map_err(SessionError::from)?;
        if let (Change::Replaced { kept, .. }, Some(expected)) = (&change, expected) {
            self.check_replaced(path, kept, (expected, &stamp))?;
        }
        self.enter(&Change::Done {
            path: path.to_owned(),
            stamp,
        })?;
        Ok(stamp)
    }

    /// Appends to `path`, which must still be the file that the caller has seen. Returns the file as it is then.
    ///
    /// # Errors
    /// As for [`Self::write`]. After a failure in the middle the file may
    /// hold a part of what was to come, which the next pull completes.
    pub fn extend<E: From<SessionError>>(
        &self,
        path: &Path,
        expected: &FileStamp,
        modified: Option<DateTime<Utc>>,
        write: impl FnOnce(&mut Put<'_>) -> Result<(), E>,
    ) -> Result<FileStamp, E> {
        check_unchanged(path, Some(expected))?;
        let from = expected.len;
        self.enter(&Change::Extended {
            path: path.to_owned(),
            from,
        })?;
        let mut file = Appender::open(path, from).map_err(SessionError::from)?;
        write(&mut |bytes| Ok(file.put(bytes)?))?;
        if let Some(modified) = modified {
            file.set_modified(modified);
        }
        let stamp = file.commit().map_err(SessionError::from)?;
        self.enter(&Change::Done {
            path: path.to_owned(),
            stamp,
        })?;
        Ok(stamp)
    }

    /// Takes `path` away, which must still be the file that the caller has seen, and keeps it.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn remove(&self, path: &Path, expected: &FileStamp) -> Result<(), SessionError> {
        check_unchanged(path, Some(expected))?;
        self.enter(&Change::Removed {
            path: path.to_owned(),
            kept: self.keep(path)?,
        })?;
        check_unchanged(path, Some(expected))?;
        remove_file_if_exists(path)?;
        fail_point("a file is taken away");
        Ok(())
    }

    /// A client that wrote in the very moment of the replacement wrote into the former file, which then takes its place again.
    fn check_replaced(
        &self,
        path: &Path,
        kept: &str,
        (expected, written): (&FileStamp, &FileStamp),
    ) -> Result<(), SessionError> {
        let kept = self.directory.join(kept);
        let former = FileStamp::read(&kept)?;
        if former.inode != expected.inode
            || former.len == expected.len
            || FileStamp::read(path)? != *written
        {
            return Ok(());
        }
        let extras = tempfile::Builder::new()
            .prefix(".ccsync-")
            .suffix(".tmp")
            .tempdir_in(&self.directory);
        let again = extras.map_err(|source| PathError::new("restore", path, source))?;
        let link = again.path().join("file");
        let put_back = fs::hard_link(&kept, &link).and_then(|()| fs::rename(&link, path));
        put_back.map_err(|source| PathError::new("restore", path, source))?;
        Err(SessionError::Changed {
            path: path.to_owned(),
        })
    }

    /// Keeps the present contents of `path` and returns the name they are kept under.
    fn keep(&self, path: &Path) -> Result<String, SessionError> {
        create_private_dir_all(&self.directory)?;
        let name = format!("{:06}", self.kept.fetch_add(1, Ordering::Relaxed) + 1);
        let kept = self.directory.join(&name);
        // The file is about to be replaced by a rename, so a second link to it costs nothing and stays as it is.
        if fs::hard_link(path, &kept).is_err() {
            fs::copy(path, &kept)
                .map_err(|source| PathError::new("keep a copy of", path, source))?;
        }
        // Its author need not have waited for the disk, and the replacement will.
        sync_with_directory(&kept)?;
        fail_point("a former file is kept");
        Ok(name)
    }

    fn enter(&self, change: &Change) -> Result<(), SessionError> {
        create_private_dir_all(&self.directory)?;
        let path = self.directory.join(JOURNAL);
        let fail = |source| PathError {
            action: "write",
            path: path.clone(),
            source,
        };
        let was = match change {
            Change::Extended { path, .. }
            | Change::Replaced { path, .. }
            | Change::Removed { path, .. } => FileStamp::read(path).ok(),
            Change::Created { .. } | Change::Done { .. } | Change::Undone => None,
        };
        let line = line(&Line { change, was }).map_err(fail)?;
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(fail)?;
        fail_point("before a journal entry");
        {
            // One line after the other, and none that is followed by another is cut short.
            let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let len = file.metadata().map_err(fail)?.len();
            file.write_all(&line)
                .or_else(|e| file.set_len(len).and(Err(e)))
                .map_err(fail)?;
        }
        fail_point("a journal entry is written");
        if matches!(change, Change::Replaced { .. } | Change::Removed { .. }) {
            // What is replaced is nowhere else: the way back to it must be on the disk before the replacement is.
            sync_with_directory(&path)?;
        }
        Ok(())
    }
}

fn check_unchanged(path: &Path, expected: Option<&FileStamp>) -> Result<(), SessionError> {
    let found = match FileStamp::read(path) {
        Ok(stamp) => Some(stamp),
        Err(e) if e.is_not_found() => None,
        Err(e) => return Err(e.into()),
    };
    if found.as_ref() == expected {
        Ok(())
    } else {
        Err(SessionError::Changed {
            path: path.to_owned(),
        })
    }
}

/// Takes back the newest pull recorded below `root` of which something is left to take back; `None` if there is none.
///
/// A file that changed since the pull is left alone and reported, and so is one for which `running` gives the process of a client.
/// What was kept for such a file stays, and its journal with it. An undo goes by a journal that another went through before,
/// unless it can now put back what that one could not.
///
/// # Errors
/// [`SessionError::Journal`] if the journal is damaged, [`SessionError::Path`].
pub fn undo(
    root: &Path,
    running: &dyn Fn(&Path) -> Option<u32>,
) -> Result<Option<(DateTime<Utc>, Undone)>, SessionError> {
    let mut waiting = None;
    for (directory, time) in journals(root).into_iter().rev() {
        let Some(entries) = read_journal(&directory)? else {
            continue;
        };
        let tried = entries.tried;
        let (undone, blocked) = take_back_all(&directory, entries, running)?;
        if !tried || undone.taken_back().next().is_some() {
            return Ok(Some((time, undone)));
        }
        if blocked && waiting.is_none() {
            waiting = Some((time, undone));
        }
    }
    Ok(waiting)
}

/// Takes back what can be, and leaves of the journal only what cannot; whether any of that is worth another attempt.
fn take_back_all(
    directory: &Path,
    entries: Entries,
    running: &dyn Fn(&Path) -> Option<u32>,
) -> Result<(Undone, bool), SessionError> {
    let mut undone = Undone::default();
    let (mut left, mut blocked) = (Vec::new(), false);
    let gone_on = sessions_gone_on(&entries.list);
    for entry in entries.list.into_iter().rev() {
        let kept = match &entry.change {
            Change::Replaced { kept, .. } | Change::Removed { kept, .. } => {
                Some(directory.join(kept))
            }
            _ => None,
        };
        let fate = match take_back(&entry, kept.as_deref(), running, &gone_on) {
            Ok(fate) => fate,
            Err(e) => UndoAction::Blocked(in_words(&e)),
        };
        fail_point("a change is taken back");
        let reason = match fate {
            UndoAction::Restored => {
                undone.restored.push(entry.path);
                continue;
            }
            UndoAction::Removed => {
                undone.removed.push(entry.path);
                continue;
            }
            UndoAction::AsBefore => continue,
            UndoAction::Changed => "it changed since that pull".to_owned(),
            UndoAction::Blocked(reason) => {
                blocked = true;
                reason
            }
        };
        let original = kept
            .as_ref()
            .map(|kept| format!("; what was there before lies in `{}`", kept.display()));
        undone
            .kept
            .push((entry.path.clone(), reason + &original.unwrap_or_default()));
        left.push(entry);
    }
    left.reverse();
    fail_point("the former journal goes");
    if blocked
        || left.iter().any(|entry| {
            matches!(
                entry.change,
                Change::Replaced { .. } | Change::Removed { .. }
            )
        })
    {
        write_journal(directory, &left)?;
    } else {
        let fail = |source| PathError::new("remove", directory, source);
        fs::remove_dir_all(directory).map_err(fail)?;
    }
    Ok((undone, blocked))
}

/// Transcripts that are not to be removed although they are what the pull left, because files beside them have changed or come since:
/// without the transcript those would belong to nothing.
fn sessions_gone_on(entries: &[Entry]) -> Vec<PathBuf> {
    let as_left = |path: &Path| {
        let stamp = FileStamp::read(path).ok();
        entries
            .iter()
            .any(|entry| entry.path == path && entry.left == stamp)
    };
    let gone_on = |transcript: &Path| {
        let id = transcript
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        let own = id
            .zip(transcript.parent())
            .map(|(id, directory)| directories(directory, &id));
        let own = own.into_iter().flatten();
        let mut extras =
            own.flat_map(|directory| walkdir::WalkDir::new(directory).into_iter().flatten());
        extras
            .by_ref()
            .filter(|e| e.file_type().is_file())
            .any(|e| !as_left(e.path()))
    };
    let created = entries
        .iter()
        .filter(|entry| matches!(entry.change, Change::Created { .. }))
        .map(|entry| &entry.path);
    created
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl") && gone_on(path))
        .cloned()
        .collect()
}

/// An error with what caused it.
fn in_words(error: &SessionError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
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
            let time =
                chrono::NaiveDateTime::parse_from_str(name.split('-').next()?, "%Y%m%dT%H%M%S%.fZ")
                    .ok()?;
            Some((entry.path(), time.and_utc()))
        })
        .collect();
    journals.sort_by_key(|(path, time)| (*time, path.clone()));
    journals
}

/// What is entered; the last change may not have been made. `None`: nothing ever was.
fn read_journal(directory: &Path) -> Result<Option<Entries>, SessionError> {
    let path = directory.join(JOURNAL);
    let text = match crate::sys::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.is_not_found() => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut entries = Entries {
        list: Vec::new(),
        tried: false,
    };
    for line in text.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let Line { change, was } = match serde_json::from_slice::<Line<Change>>(line) {
            Ok(line) => line,
            // The line being written when the machine died: its change was never made.
            Err(_) if text.last() != Some(&b'\n') => break,
            Err(source) => return Err(SessionError::Journal { path, source }),
        };
        match &change {
            Change::Created { path }
            | Change::Extended { path, .. }
            | Change::Replaced { path, .. }
            | Change::Removed { path, .. } => {
                let path = path.clone();
                entries.list.push(Entry {
                    change,
                    path,
                    was,
                    left: None,
                });
            }
            Change::Done { path, stamp } => {
                let entry = entries.list.iter_mut().rfind(|entry| entry.path == *path);
                entry
                    .into_iter()
                    .for_each(|entry| entry.left = Some(*stamp));
            }
            Change::Undone => entries.tried = true,
        }
    }
    Ok(Some(entries))
}

/// Replaces the journal by one of these entries, which an undo has left.
fn write_journal(directory: &Path, entries: &[Entry]) -> Result<(), SessionError> {
    let path = directory.join(JOURNAL);
    let fail = |source| PathError::new("write", &path, source);
    let mut text = line(&Change::Undone).map_err(fail)?;
    for entry in entries {
        text.extend(
            line(&Line {
                change: &entry.change,
                was: entry.was,
            })
            .map_err(fail)?,
        );
        if let Some(stamp) = entry.left {
            text.extend(
                line(&Change::Done {
                    path: entry.path.clone(),
                    stamp,
                })
                .map_err(fail)?,
            );
        }
    }
    Ok(write_atomic(&path, &text)?)
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// Takes one change back; `kept` is where the former contents lie.
fn take_back(
    entry: &Entry,
    kept: Option<&Path>,
    running: &dyn Fn(&Path) -> Option<u32>,
    gone_on: &[PathBuf],
) -> Result<UndoAction, SessionError> {
    let path = &entry.path;
    let now = match FileStamp::read(path) {
        Ok(stamp) => Some(stamp),
        Err(e) if e.is_not_found() => None,
        Err(e) => return Err(e.into()),
    };
    if is_as_before(entry, kept, now.as_ref()) {
        kept.map(remove_file_if_exists).transpose()?;
        return Ok(UndoAction::AsBefore);
    }
    if let Some(pid) = running(path) {
        return Ok(UndoAction::Blocked(format!("running here (process {pid})")));
    }
    if let (Change::Removed { .. }, None, Some(kept)) = (&entry.change, now, kept) {
        put_back(kept, path, entry.was)?;
        return Ok(UndoAction::Restored);
    }
    if now.is_none() || now != entry.left {
        return Ok(UndoAction::Changed);
    }
    if gone_on.contains(path) {
        return Ok(UndoAction::Blocked(
            "files beside it have changed since that pull".to_owned(),
        ));
    }
    match (&entry.change, kept) {
        (Change::Extended { from, .. }, _) => {
            let shorten = || {
                fs::OpenOptions::new()
                    .write(true)
                    .open(path)?
                    .set_len(*from)
            };
            shorten().map_err(|source| PathError::new("shorten", path, source))?;
            if let Some(was) = entry.was {
                set_modified(path, DateTime::from_timestamp_nanos(was.modified_ns))?;
            }
        }
        (_, Some(kept)) => put_back(kept, path, entry.was)?,
        (_, None) => {
            remove_file_if_exists(path)?;
            return Ok(UndoAction::Removed);
        }
    }
    Ok(UndoAction::Restored)
}

/// Whether the change was never made, or an undo that died took it back.
fn is_as_before(entry: &Entry, kept: Option<&Path>, now: Option<&FileStamp>) -> bool {
    let Some(now) = now else {
        return matches!(entry.change, Change::Created { .. });
    };
    match entry.change {
        Change::Extended { .. } => Some(now) == entry.was.as_ref(),
        // A new file may have the length and the time of the one it replaced, but not its number.
        Change::Replaced { .. } | Change::Removed { .. } if now.inode != 0 => {
            let kept = kept.and_then(|kept| FileStamp::read(kept).ok());
            [entry.was, kept].contains(&Some(*now))
        }
        _ => false,
    }
}

/// Puts former contents back in the place of the file at `path`.
fn put_back(kept: &Path, path: &Path, was: Option<FileStamp>) -> Result<(), SessionError> {
    match fs::rename(kept, path) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {}
        result => return Ok(result.map_err(|source| PathError::new("restore", path, source))?),
    }
    let fail = |source| PathError::new("restore", path, source);
    let mut file = AtomicFile::create(path)?;
    let mut former = fs::File::open(kept).map_err(fail)?;
    io::copy(&mut former, &mut file).map_err(fail)?;
    if former
        .metadata()
        .is_ok_and(|former| is_executable(&former) == Some(true))
    {
        file.make_executable()?;
    }
    if let Some(was) = was {
        file.set_modified(DateTime::from_timestamp_nanos(was.modified_ns));
    }
    file.commit()?;
    remove_file_if_exists(kept)?;
    Ok(())
}

fn size_of(directory: &Path) -> u64 {
    walkdir::WalkDir::new(directory)
        .into_iter()
        .flatten()
        .filter_map(|e| e.metadata().ok())
        .map(|m| m.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::read;

    /// A file with a past, in the journal of a pull that replaces it.
    struct Replacing {
        home: tempfile::TempDir,
        path: PathBuf,
        journal: Journal,
    }

    impl Replacing {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("f.jsonl");
            write_atomic(&path, b"old").unwrap();
            let journal = Journal::new(
                &home.path().join("undo"),
                DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            );
            Self {
                home,
                path,
                journal,
            }
        }

        fn enter(&mut self) {
            let kept = self.journal.keep(&self.path).unwrap();
            self.journal
                .enter(&Change::Replaced {
                    path: self.path.clone(),
                    kept,
                })
                .unwrap();
        }

        fn replace(&self) {
            write_atomic(&self.path, b"new").unwrap();
            let stamp = FileStamp::read(&self.path).unwrap();
            self.journal
                .enter(&Change::Done {
                    path: self.path.clone(),
                    stamp,
                })
                .unwrap();
        }

        fn undo(&self) -> Option<Undone> {
            undo(&self.home.path().join("undo"), &|_| None)
                .unwrap()
                .map(|(_, undone)| undone)
        }
    }

    #[test]
    fn undo_kept_but_unreplaced_file_is_untouched() {
        let mut pull = Replacing::new();
        pull.journal.keep(&pull.path.clone()).unwrap();
        assert_eq!(pull.undo(), None, "nothing was entered yet");
        pull.enter();
        // The client goes on with the file, which is the kept one too where that is a link.
        let mut file = Appender::open(&pull.path, 3).unwrap();
        file.put(b"er").unwrap();
        file.commit().unwrap();
        assert_eq!(pull.undo(), Some(Undone::default()));
        assert_eq!(read(&pull.path).unwrap(), b"older");
        assert_eq!(pull.undo(), None);
    }

    #[test]
    fn undo_after_crash_is_finished_by_next_undo() {
        let mut pull = Replacing::new();
        let before = FileStamp::read(&pull.path).unwrap();
        pull.enter();
        pull.replace();
        let journal = pull.journal.directory.join(JOURNAL);
        let entered = read(&journal).unwrap();
        assert_eq!(pull.undo().unwrap().restored, [pull.path.clone()]);
        assert_eq!(FileStamp::read(&pull.path).unwrap(), before);
        write_atomic(&journal, &entered).unwrap();
        assert_eq!(
            pull.undo(),
            Some(Undone::default()),
            "nothing is said to have changed"
        );
        assert_eq!(read(&pull.path).unwrap(), b"old");
    }

    #[test]
    fn undo_blocked_file_is_restored_later() {
        let mut pull = Replacing::new();
        pull.enter();
        pull.replace();
        let root = pull.home.path().join("undo");
        for _ in 0..2 {
            let (_, undone) = undo(&root, &|_| Some(7)).unwrap().unwrap();
            assert!(
                undone.kept[0]
                    .1
                    .starts_with("running here (process 7); what was there before lies in `")
            );
            assert_eq!(read(&pull.path).unwrap(), b"new");
        }
        assert_eq!(pull.undo().unwrap().restored, [pull.path.clone()]);
        assert_eq!(read(&pull.path).unwrap(), b"old");
        assert_eq!(pull.undo(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn undo_across_filesystems_restores_modification_time() {
        let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        let mut pull = Replacing::new();
        pull.journal = Journal::new(
            &elsewhere.path().join("undo"),
            DateTime::from_timestamp(0, 0).unwrap(),
        );
        let before = FileStamp::read(&pull.path).unwrap();
        pull.enter();
        pull.replace();
        let (_, undone) = undo(&elsewhere.path().join("undo"), &|_| None)
            .unwrap()
            .unwrap();
        assert_eq!(undone.restored, [pull.path.clone()]);
        let after = FileStamp::read(&pull.path).unwrap();
        assert_eq!(
            (after.len, after.modified_ns),
            (before.len, before.modified_ns)
        );
        assert_eq!(
            std::fs::read_dir(elsewhere.path().join("undo"))
                .unwrap()
                .count(),
            0
        );
    }
}
