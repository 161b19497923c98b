//! The journal of one pull: each change is entered, made, and entered as done.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::change::{JournalChange, JournalLine, to_line};
use super::file::{JournalKind, journal_path, next_directory};
use crate::session::SessionError;
use crate::sys::{
    fail_point::fail_point, fs::Appender, fs::AtomicFile, fs::FileStamp, fs::PathError,
    fs::create_private_dir_all, fs::cut_file, fs::remove_file_if_exists, fs::set_modified,
    fs::sync_with_directory,
};

/// Receives the next bytes of the file that is being written.
pub type WriteBytes<'a> = dyn FnMut(&[u8]) -> Result<(), SessionError> + 'a;

/// The journal of one pull. Several threads may use it, each for files of its own.
pub struct Journal {
    directory: PathBuf,
    kept: AtomicU32,
    writing: Mutex<()>,
}

impl Journal {
    /// Creates a journal below `root` for a pull that begins at `now`.
    ///
    /// Nothing is written before the first change.
    pub fn new(root: &Path, now: DateTime<Utc>) -> Self {
        Self::of(JournalKind::Change, root, now)
    }

    /// Creates a journal of a command of this kind, like [`Self::new`].
    pub(super) fn of(kind: JournalKind, root: &Path, now: DateTime<Utc>) -> Self {
        Self {
            directory: next_directory(root, kind, now),
            kept: AtomicU32::new(0),
            writing: Mutex::new(()),
        }
    }

    /// Replaces `path` and keeps its former contents. Returns the stamp of the new file.
    ///
    /// `expected` is the file that the caller has seen there; `modified` becomes its time.
    ///
    /// # Errors
    /// [`SessionError::Changed`] if the file is another one by now, [`SessionError::Path`], or an
    /// error of `write`; then `path` is unchanged.
    pub fn write<E: From<SessionError>>(
        &self,
        path: &Path,
        expected: Option<&FileStamp>,
        modified: Option<DateTime<Utc>>,
        write: impl FnOnce(&mut WriteBytes<'_>) -> Result<(), E>,
    ) -> Result<FileStamp, E> {
        let mut file = AtomicFile::create(path).map_err(SessionError::from)?;
        write(&mut |bytes| Ok(file.append(bytes)?))?;
        if let Some(modified) = modified {
            file.set_modified(modified);
        }
        Ok(self.replace(file, path, expected)?)
    }

    /// Replaces `path` by a text, like [`Self::write`]. Its owner may run an `executable` file.
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
        file.append(text.as_bytes())?;
        if executable {
            file.make_executable()?;
        }
        self.replace(file, path, expected)
    }

    /// Moves a written file to its path.
    fn replace(
        &self,
        mut file: AtomicFile,
        path: &Path,
        expected: Option<&FileStamp>,
    ) -> Result<FileStamp, SessionError> {
        // The check comes as late as possible: a client may have written since the plan was made.
        // An undo recognises by the stamp that an entered change was not made.
        let stamp = match expected {
            None => {
                self.enter(&JournalChange::Created {
                    path: path.to_owned(),
                })?;
                check_unchanged(path, None)?;
                // A crash may cost a new file, which the store has.
                file.commit_without_sync()?
            }
            Some(expected) => {
                let kept = self.keep(path)?;
                self.enter(&JournalChange::Replaced {
                    path: path.to_owned(),
                    kept: kept.clone(),
                })?;
                file.sync()?;
                check_unchanged(path, Some(expected))?;
                let stamp = file.commit()?;
                self.check_replaced(path, &kept, expected, &stamp)?;
                stamp
            }
        };
        self.enter_done(path, stamp)
    }

    /// Appends to `path`, which must be the file that the caller has seen. Returns its new stamp.
    ///
    /// # Errors
    /// As for [`Self::write`]. After a failure half-way the file may hold a part of the new text,
    /// which the next pull completes.
    pub fn extend<E: From<SessionError>>(
        &self,
        path: &Path,
        expected: &FileStamp,
        modified: Option<DateTime<Utc>>,
        write: impl FnOnce(&mut WriteBytes<'_>) -> Result<(), E>,
    ) -> Result<FileStamp, E> {
        check_unchanged(path, Some(expected))?;
        let from = expected.len;
        self.enter(&JournalChange::Extended {
            path: path.to_owned(),
            from,
        })?;
        let mut file = Appender::open(path, from).map_err(SessionError::from)?;
        write(&mut |bytes| Ok(file.append(bytes)?))?;
        if let Some(modified) = modified {
            file.set_modified(modified);
        }
        let stamp = file.commit().map_err(SessionError::from)?;
        Ok(self.enter_done(path, stamp)?)
    }

    /// Removes `path`, which must be the file that the caller has seen, and keeps its contents.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn remove(&self, path: &Path, expected: &FileStamp) -> Result<(), SessionError> {
        check_unchanged(path, Some(expected))?;
        self.enter(&JournalChange::Removed {
            path: path.to_owned(),
            kept: self.keep(path)?,
        })?;
        check_unchanged(path, Some(expected))?;
        remove_file_if_exists(path)?;
        fail_point("a file is removed");
        Ok(())
    }

    /// Restores the former file if a client wrote to it at the moment of the replacement.
    fn check_replaced(
        &self,
        path: &Path,
        kept: &str,
        expected: &FileStamp,
        written: &FileStamp,
    ) -> Result<(), SessionError> {
        let kept = self.directory.join(kept);
        let former = FileStamp::read(&kept)?;
        let was_written = former.inode == expected.inode && former.len != expected.len;
        if !was_written || FileStamp::read(path)? != *written {
            return Ok(());
        }
        // The kept file stays for an undo, so a second link to it is moved.
        let link = kept.with_extension("restored");
        fs::hard_link(&kept, &link)
            .and_then(|()| fs::rename(&link, path))
            .map_err(|source| PathError::new("restore", path, source))?;
        Err(changed(path))
    }

    /// Keeps the present contents of `path`. Returns the name of the kept file.
    pub(super) fn keep(&self, path: &Path) -> Result<String, SessionError> {
        let (name, kept) = self.next_kept()?;
        // A rename is about to replace the file, so a second link to it keeps the contents.
        if fs::hard_link(path, &kept).is_err() {
            copy(path, &kept)?;
        }
        self.sync_kept(name, &kept)
    }

    /// Keeps a copy of `path`, which is about to be changed in place.
    pub(super) fn keep_copy(&self, path: &Path) -> Result<String, SessionError> {
        let (name, kept) = self.next_kept()?;
        copy(path, &kept)?;
        let stamp = FileStamp::read(path)?;
        set_modified(&kept, DateTime::from_timestamp_nanos(stamp.modified_ns))?;
        self.sync_kept(name, &kept)
    }

    fn next_kept(&self) -> Result<(String, PathBuf), SessionError> {
        create_private_dir_all(&self.directory)?;
        let name = format!("{:06}", self.kept.fetch_add(1, Ordering::Relaxed) + 1);
        let kept = self.directory.join(&name);
        Ok((name, kept))
    }

    fn sync_kept(&self, name: String, kept: &Path) -> Result<String, SessionError> {
        // The program that wrote it may not have waited for the disk, as the replacement will.
        sync_with_directory(kept)?;
        fail_point("a former file is kept");
        Ok(name)
    }

    pub(super) fn enter_done(
        &self,
        path: &Path,
        stamp: FileStamp,
    ) -> Result<FileStamp, SessionError> {
        self.enter(&JournalChange::Done {
            path: path.to_owned(),
            stamp,
        })?;
        Ok(stamp)
    }

    pub(super) fn enter(&self, change: &JournalChange) -> Result<(), SessionError> {
        create_private_dir_all(&self.directory)?;
        let path = journal_path(&self.directory);
        let former = change.changed_path().filter(|_| change.has_former_file());
        let was = former.and_then(|path| FileStamp::read(path).ok());

        self.append_line(&path, &JournalLine { change, was })
            .map_err(|source| PathError::new("write", &path, source))?;
        if change.kept().is_some() {
            // The former contents exist nowhere else: their entry must be on the disk before the
            // replacement is.
            sync_with_directory(&path)?;
        }
        Ok(())
    }

    fn append_line(&self, path: &Path, line: &JournalLine<&JournalChange>) -> std::io::Result<()> {
        let line = to_line(line)?;
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        fail_point("before a journal entry");
        // One line at a time, and no incomplete line before another one.
        let turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let len = file.metadata()?.len();
        file.write_all(&line)
            .or_else(|e| cut_file(&file, path, len).and(Err(e)))?;
        drop(turn);
        fail_point("a journal entry is written");
        Ok(())
    }
}

fn copy(path: &Path, kept: &Path) -> Result<(), SessionError> {
    let copied = fs::copy(path, kept);
    copied.map_err(|source| PathError::new("keep a copy of", path, source))?;
    Ok(())
}

fn check_unchanged(path: &Path, expected: Option<&FileStamp>) -> Result<(), SessionError> {
    if FileStamp::read_if_exists(path)?.as_ref() == expected {
        Ok(())
    } else {
        Err(changed(path))
    }
}

fn changed(path: &Path) -> SessionError {
    SessionError::Changed {
        path: path.to_owned(),
    }
}

#[cfg(test)]
impl Journal {
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}
