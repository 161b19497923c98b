//! Extending a file at its exact end, while another program may do the same.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::{Context, FileStamp, PathError, set_file_modified};
use crate::sys::fail_point::fail_point;

/// The file is not as long as its reader believed; another program has written to it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has {found} bytes instead of {expected}: another program wrote to it")]
pub struct LengthChanged {
    /// What the caller had seen.
    pub expected: u64,
    /// What is there.
    pub found: u64,
}

/// Adds to the end of a file that another program may also extend.
///
/// Dropped before [`Appender::commit`], it takes its bytes back, unless something was written after them.
#[derive(Debug)]
pub struct Appender {
    path: PathBuf,
    file: File,
    start: u64,
    written: u64,
    modified: Option<SystemTime>,
    committed: bool,
}

impl Appender {
    /// Opens an existing regular file of exactly `expected` bytes.
    ///
    /// # Errors
    /// [`PathError`]: missing, a symbolic link, or another length ([`PathError::is_length_changed`]).
    pub fn open(path: &Path, expected: u64) -> Result<Self, PathError> {
        let open = || {
            if fs::symlink_metadata(path)?.is_symlink() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"));
            }
            let file = OpenOptions::new().append(true).open(path)?;
            check_length(&file, expected)?;
            Ok(file)
        };
        let file = open().at("append to", path)?;
        fail_point("a file is about to be extended");
        Ok(Self { path: path.to_owned(), file, start: expected, written: 0, modified: None, committed: false })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`PathError`] that names the file.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), PathError> {
        let written = self.write_all(bytes);
        fail_point("a part is appended");
        written.at("append to", &self.path)
    }

    /// The modification time that the file will carry.
    pub fn set_modified(&mut self, time: DateTime<Utc>) {
        self.modified = Some(time.into());
    }

    /// Waits until the disk has the new end.
    ///
    /// # Errors
    /// [`PathError`], also if another program wrote in between ([`PathError::is_length_changed`]).
    pub fn commit(mut self) -> Result<FileStamp, PathError> {
        let finish = || {
            check_length(&self.file, self.start + self.written)?;
            set_file_modified(&self.file, self.modified)?;
            self.file.sync_all()?;
            // What another program appends from here on is not in the stamp's length, so nobody takes it for seen.
            let stamp = FileStamp::of(&self.file.metadata()?);
            check_length(&self.file, self.start + self.written)?;
            Ok(FileStamp { len: self.start + self.written, ..stamp })
        };
        let stamp = finish().at("append to", &self.path)?;
        self.committed = true;
        fail_point("a file is extended");
        Ok(stamp)
    }
}

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // What another program wrote after our bytes is worth more than tidiness: then everything stays.
        let ours_is_last = || check_length(&self.file, self.start + self.written).is_ok();
        if !self.committed && self.written > 0 && ours_is_last() {
            let _ = self.file.set_len(self.start);
        }
    }
}

fn check_length(file: &File, expected: u64) -> io::Result<()> {
    let found = file.metadata()?.len();
    if found == expected { Ok(()) } else { Err(io::Error::other(LengthChanged { expected, found })) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::{read, write_atomic};

    #[test]
    fn an_appender_refuses_a_file_that_grew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"abc").unwrap();
        let error = Appender::open(&path, 2).unwrap_err();
        assert!(error.is_length_changed() && !error.is_not_found());
        assert!(Appender::open(&dir.path().join("none"), 0).unwrap_err().is_not_found());
    }

    #[test]
    fn an_appender_takes_back_only_what_is_still_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"abc").unwrap();
        let mut dropped = Appender::open(&path, 3).unwrap();
        dropped.put(b"def").unwrap();
        drop(dropped);
        assert_eq!(read(&path).unwrap(), b"abc");

        let mut raced = Appender::open(&path, 3).unwrap();
        raced.put(b"def").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"theirs").unwrap();
        assert!(raced.commit().unwrap_err().is_length_changed());
        assert_eq!(read(&path).unwrap(), b"abcdeftheirs");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, link) = (dir.path().join("outside"), dir.path().join("link"));
        write_atomic(&outside, b"keep").unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        assert!(Appender::open(&link, 4).is_err());
    }
}
