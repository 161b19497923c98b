//! Undoing a pull: the journal is read from its end, and each change is undone if it still can be.
//! The undo has a journal of its own, from which it is undone.
//!
//! Entries that cannot be undone stay in the journal, with the contents that were kept for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::super::live::ClientProcess;
use super::change::JournalChange;
use super::file::{Entries, Entry, JournalKind, journals, read_journal, write_journal};
use super::write::Journal;
use crate::domain::error::error_chain;
use crate::session::{SessionError, files::own_directories};
use crate::sys::{
    fail_point::fail_point, fs::AtomicFile, fs::FileStamp, fs::PathError,
    fs::create_private_dir_all, fs::is_executable, fs::remove_file_if_exists, fs::set_modified,
};

/// The result of an undo.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// The time at which the undone pull began.
    pub command_time: DateTime<Utc>,
    /// Files that are again as they were before.
    pub restored: Vec<PathBuf>,
    /// Removed files, which did not exist before.
    pub removed: Vec<PathBuf>,
    /// Files that were not undone.
    pub skipped: Vec<SkippedUndo>,
}

/// A file that an undo did not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedUndo {
    /// The file.
    pub path: PathBuf,
    /// The reason, unsanitised.
    pub reason: String,
}

impl Undone {
    /// Lists the files that the undo changed.
    pub fn changed_files(&self) -> impl Iterator<Item = &Path> {
        let changed = self.restored.iter().chain(&self.removed);
        changed.map(PathBuf::as_path)
    }
}

/// The request to undo a command.
pub struct UndoRequest<'a> {
    /// The kind of command to undo.
    pub kind: JournalKind,
    /// Only finds out what would be done.
    pub dry_run: bool,
    /// The present time.
    pub now: DateTime<Utc>,
    /// Returns the process of a client that has the session of a file open.
    pub running: &'a dyn Fn(&Path) -> Option<ClientProcess>,
}

/// The action that an undo takes for one journal entry.
enum UndoAction {
    /// The file is cut to this length.
    Shorten(u64),
    /// The former contents replace the file.
    Restore(PathBuf),
    /// The file is removed, because it was new.
    Remove,
    /// The file is already as it was before the pull.
    Nothing,
    /// The file is not the one that the pull left.
    Changed,
    /// The file cannot be restored now.
    Blocked(String),
}

/// The undo of one journal.
struct Undo<'a> {
    directory: &'a Path,
    request: &'a UndoRequest<'a>,
    /// Receives the changes of this undo.
    own: Journal,
    /// Transcripts that must stay, because files of their sessions have changed since.
    continued: Vec<PathBuf>,
}

/// Undoes the newest command of the requested kind below `root` that has anything left to undo, if
/// any.
///
/// A file that changed since then stays and is reported, and so does a file that a client has
/// open. The contents kept for such a file stay, too, with their journal. A later undo skips that
/// journal unless it can now restore such a file.
///
/// # Errors
/// [`SessionError::Journal`] if the journal is damaged, [`SessionError::Path`].
pub fn undo(root: &Path, request: &UndoRequest<'_>) -> Result<Option<Undone>, SessionError> {
    let own_kind = match request.kind {
        JournalKind::Change => JournalKind::Undo,
        JournalKind::Undo => JournalKind::Change,
    };
    let mut waiting = None;
    let journals = journals(root).into_iter().rev();
    for journal in journals.filter(|journal| journal.kind == request.kind) {
        let Some(entries) = read_journal(&journal.path)? else {
            continue;
        };
        let was_undone = entries.was_undone;
        let undo = Undo {
            directory: &journal.path,
            request,
            own: Journal::of(own_kind, root, request.now),
            continued: continued_transcripts(&entries.list),
        };
        let (mut undone, is_blocked) = undo.all(entries)?;
        undone.command_time = journal.time;
        if !was_undone || undone.changed_files().next().is_some() {
            return Ok(Some(undone));
        }
        if is_blocked && waiting.is_none() {
            waiting = Some(undone);
        }
    }
    Ok(waiting)
}

impl Undo<'_> {
    /// Undoes all entries that it can. Returns also whether another attempt may restore more.
    fn all(&self, entries: Entries) -> Result<(Undone, bool), SessionError> {
        let mut undone = Undone::default();
        let (mut left, mut is_blocked) = (Vec::new(), false);
        for entry in entries.list.into_iter().rev() {
            let action = self
                .one(&entry)
                .unwrap_or_else(|e| UndoAction::Blocked(error_chain(&e)));
            fail_point("a change is undone");
            let reason = match action {
                UndoAction::Nothing => continue,
                UndoAction::Restore(_) | UndoAction::Shorten(_) => {
                    undone.restored.push(entry.path);
                    continue;
                }
                UndoAction::Remove => {
                    undone.removed.push(entry.path);
                    continue;
                }
                UndoAction::Changed => "it changed since that pull".to_owned(),
                UndoAction::Blocked(reason) => {
                    is_blocked = true;
                    reason
                }
            };
            undone.skipped.push(self.skipped(&entry, reason));
            left.push(entry);
        }
        if self.request.dry_run {
            return Ok((undone, is_blocked));
        }
        left.reverse();
        fail_point("before a journal is replaced");
        self.finish(&left, is_blocked)?;
        Ok((undone, is_blocked))
    }

    /// Keeps the entries that were not undone, if anything can be restored from them.
    fn finish(&self, left: &[Entry], is_blocked: bool) -> Result<(), SessionError> {
        if is_blocked || left.iter().any(|entry| entry.change.kept().is_some()) {
            return write_journal(self.directory, left);
        }
        let removed = fs::remove_dir_all(self.directory);
        Ok(removed.map_err(|source| PathError::new("remove", self.directory, source))?)
    }

    fn skipped(&self, entry: &Entry, mut reason: String) -> SkippedUndo {
        if let Some(kept) = self.kept_path(entry) {
            reason += &format!("; the former file is kept in `{}`", kept.display());
        }
        SkippedUndo {
            path: entry.path.clone(),
            reason,
        }
    }

    /// Returns the path of the former contents.
    fn kept_path(&self, entry: &Entry) -> Option<PathBuf> {
        entry.change.kept().map(|kept| self.directory.join(kept))
    }

    /// Undoes one change. Returns what it did.
    fn one(&self, entry: &Entry) -> Result<UndoAction, SessionError> {
        let action = self.action(entry)?;
        if !self.request.dry_run {
            self.perform(entry, &action)?;
        }
        Ok(action)
    }

    /// Returns the action for one change.
    fn action(&self, entry: &Entry) -> Result<UndoAction, SessionError> {
        let path = &entry.path;
        let kept = self.kept_path(entry);
        let now = FileStamp::read_if_exists(path)?;
        if is_as_before(entry, kept.as_deref(), now.as_ref()) {
            return Ok(UndoAction::Nothing);
        }
        if let Some(client) = (self.request.running)(path) {
            return Ok(UndoAction::Blocked(format!("running here ({client})")));
        }
        if let (JournalChange::Removed { .. }, None, Some(kept)) = (&entry.change, now, &kept) {
            return Ok(UndoAction::Restore(kept.clone()));
        }
        if now.is_none() || now != entry.left {
            return Ok(UndoAction::Changed);
        }
        if self.continued.contains(path) {
            let reason = "other files of the session have changed since that pull";
            return Ok(UndoAction::Blocked(reason.to_owned()));
        }
        Ok(match (&entry.change, kept) {
            (JournalChange::Extended { from, .. }, _) => UndoAction::Shorten(*from),
            (_, Some(kept)) => UndoAction::Restore(kept),
            (_, None) => UndoAction::Remove,
        })
    }

    /// Makes the change, after its entry in the journal of this undo.
    fn perform(&self, entry: &Entry, action: &UndoAction) -> Result<(), SessionError> {
        let path = entry.path.clone();
        match action {
            UndoAction::Shorten(len) => {
                let kept = self.own.keep_copy(&path)?;
                self.own.enter(&JournalChange::Replaced { path, kept })?;
                shorten(&entry.path, *len, entry.was)?;
            }
            UndoAction::Restore(former) => {
                let change = if FileStamp::read_if_exists(&path)?.is_some() {
                    let kept = self.own.keep(&path)?;
                    JournalChange::Replaced { path, kept }
                } else {
                    JournalChange::Created { path }
                };
                self.own.enter(&change)?;
                restore(former, &entry.path, entry.was)?;
            }
            UndoAction::Remove => {
                let kept = self.own.keep(&path)?;
                self.own.enter(&JournalChange::Removed { path, kept })?;
                remove_file_if_exists(&entry.path)?;
                return Ok(());
            }
            UndoAction::Nothing => {
                let kept = self.kept_path(entry);
                kept.as_deref().map(remove_file_if_exists).transpose()?;
                return Ok(());
            }
            UndoAction::Changed | UndoAction::Blocked(_) => return Ok(()),
        }
        self.own
            .enter_done(&entry.path, FileStamp::read(&entry.path)?)?;
        Ok(())
    }
}

/// Lists the new transcripts of sessions whose other files have changed or appeared since.
///
/// Without the transcript, those files would belong to no session.
fn continued_transcripts(entries: &[Entry]) -> Vec<PathBuf> {
    let is_as_left = |path: &Path| {
        let stamp = FileStamp::read(path).ok();
        entries
            .iter()
            .any(|entry| entry.path == path && entry.left == stamp)
    };
    let is_continued = |transcript: &Path| {
        let id = transcript
            .file_stem()
            .and_then(|s| s.to_str()?.parse().ok());
        let Some((id, directory)) = id.zip(transcript.parent()) else {
            return false;
        };
        own_directories(directory, &id)
            .flat_map(|own| walkdir::WalkDir::new(own).into_iter().flatten())
            .any(|file| file.file_type().is_file() && !is_as_left(file.path()))
    };
    entries
        .iter()
        .filter(|entry| matches!(entry.change, JournalChange::Created { .. }))
        .map(|entry| &entry.path)
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl") && is_continued(path))
        .cloned()
        .collect()
}

/// Returns true if the change was never made, or an undo that crashed has undone it.
fn is_as_before(entry: &Entry, kept: Option<&Path>, now: Option<&FileStamp>) -> bool {
    let Some(now) = now else {
        return matches!(entry.change, JournalChange::Created { .. });
    };
    match entry.change {
        JournalChange::Extended { .. } => Some(now) == entry.was.as_ref(),
        // A new file may have the length and the time of the former one, but not its number.
        JournalChange::Replaced { .. } | JournalChange::Removed { .. } if now.inode != 0 => {
            let kept = kept.and_then(|kept| FileStamp::read(kept).ok());
            [entry.was, kept].contains(&Some(*now))
        }
        _ => false,
    }
}

/// Cuts an extended file to its former length and sets its former time.
fn shorten(path: &Path, len: u64, was: Option<FileStamp>) -> Result<(), SessionError> {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(len))
        .map_err(|source| PathError::new("shorten", path, source))?;
    if let Some(was) = was {
        set_modified(path, DateTime::from_timestamp_nanos(was.modified_ns))?;
    }
    Ok(())
}

/// Moves the former contents to `path`; copies them from another file system.
fn restore(kept: &Path, path: &Path, was: Option<FileStamp>) -> Result<(), SessionError> {
    let fail = |source| PathError::new("restore", path, source);
    if let Some(directory) = path.parent() {
        // A session that was moved has left no empty directory.
        create_private_dir_all(directory)?;
    }
    match fs::rename(kept, path) {
        Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {}
        result => return Ok(result.map_err(fail)?),
    }
    let mut file = AtomicFile::create(path)?;
    let mut former = fs::File::open(kept).map_err(fail)?;
    io::copy(&mut former, &mut file).map_err(fail)?;
    let metadata = former.metadata();
    if metadata.is_ok_and(|metadata| is_executable(&metadata) == Some(true)) {
        file.make_executable()?;
    }
    if let Some(was) = was {
        file.set_modified(DateTime::from_timestamp_nanos(was.modified_ns));
    }
    file.commit()?;
    remove_file_if_exists(kept)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::journal::Journal;
    use crate::session::journal::file::journal_path;
    use crate::sys::fs::{Appender, read, write_atomic};

    fn undo_at(root: &Path, running: &dyn Fn(&Path) -> Option<ClientProcess>) -> Option<Undone> {
        let request = UndoRequest {
            kind: JournalKind::Change,
            dry_run: false,
            now: DateTime::default(),
            running,
        };
        undo(root, &request).unwrap()
    }

    /// The journal of a pull that replaces one file.
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
            let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
            let journal = Journal::new(&home.path().join("undo"), time);
            Self {
                home,
                path,
                journal,
            }
        }

        fn enter(&mut self) {
            let kept = self.journal.keep(&self.path).unwrap();
            let path = self.path.clone();
            let change = JournalChange::Replaced { path, kept };
            self.journal.enter(&change).unwrap();
        }

        fn replace(&self) {
            write_atomic(&self.path, b"new").unwrap();
            let stamp = FileStamp::read(&self.path).unwrap();
            self.journal.enter_done(&self.path, stamp).unwrap();
        }

        fn undo(&self) -> Option<Undone> {
            let undone = undo_at(&self.home.path().join("undo"), &|_| None);
            undone.map(|undone| Undone {
                command_time: DateTime::default(),
                ..undone
            })
        }
    }

    #[test]
    fn undo_kept_but_unreplaced_file_is_untouched() {
        let mut pull = Replacing::new();
        pull.journal.keep(&pull.path).unwrap();
        assert_eq!(pull.undo(), None, "nothing was entered yet");
        pull.enter();
        // The client continues with the file, which is the kept one, too, if that is a link.
        let mut file = Appender::open(&pull.path, 3).unwrap();
        file.append(b"er").unwrap();
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
        let journal = journal_path(pull.journal.directory());
        let entered = read(&journal).unwrap();
        assert_eq!(pull.undo().unwrap().restored, [pull.path.clone()]);
        assert_eq!(FileStamp::read(&pull.path).unwrap(), before);
        write_atomic(&journal, &entered).unwrap();
        assert_eq!(
            pull.undo(),
            Some(Undone::default()),
            "no file is reported as changed"
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
            let undone = undo_at(&root, &|_| {
                Some(ClientProcess {
                    pid: 7,
                    is_foreign: false,
                    is_background: false,
                    is_headless: false,
                })
            })
            .unwrap();
            let reason = &undone.skipped[0].reason;
            let expected = "running here (process 7); the former file is kept in `";
            assert!(reason.starts_with(expected), "{reason}");
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
        let root = elsewhere.path().join("undo");
        let mut pull = Replacing::new();
        pull.journal = Journal::new(&root, DateTime::from_timestamp(0, 0).unwrap());
        let before = FileStamp::read(&pull.path).unwrap();
        pull.enter();
        pull.replace();
        let undone = undo_at(&root, &|_| None).unwrap();
        assert_eq!(undone.restored, [pull.path.clone()]);
        let after = FileStamp::read(&pull.path).unwrap();
        assert_eq!(
            (after.len, after.modified_ns),
            (before.len, before.modified_ns)
        );
        let left = std::fs::read_dir(root).unwrap().count();
        assert_eq!(left, 1, "the journal of the undo");
    }
}
