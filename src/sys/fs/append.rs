//! Extending a file at its exact end while another program may do the same.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::error::{LengthChanged, PathContext as _, PathError};
use super::file::{read_from, set_file_modified};
use super::stamp::FileStamp;
use crate::sys::fail_point::fail_point;

/// Size of one write call, in bytes, about.
const WRITE_SIZE: usize = 1 << 20;

/// Adds lines to the end of a file that another program may also extend.
///
/// The new lines follow directly after the end that the caller has seen, as whole lines, or
/// they are removed again: a line of another program is never before or within them. Dropped
/// before [`Appender::commit`], it removes its bytes, unless something was written after them.
#[derive(Debug)]
pub struct Appender {
    path: PathBuf,
    file: File,
    waiting: Vec<u8>,
    start: u64,
    written: u64,
    modified: Option<SystemTime>,
    committed: bool,
}

impl Appender {
    /// Opens an existing regular file of exactly `expected` bytes.
    ///
    /// # Errors
    /// [`PathError`] if it is missing, a symbolic link, or has another length
    /// ([`LengthChanged`]).
    pub fn open(path: &Path, expected: u64) -> Result<Self, PathError> {
        let open = || {
            if fs::symlink_metadata(path)?.is_symlink() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is a symbolic link",
                ));
            }
            let file = OpenOptions::new().append(true).open(path)?;
            check_length(&file, expected)?;
            Ok(file)
        };
        let file = open().at("append to", path)?;
        fail_point("before a file is extended");
        Ok(Self {
            path: path.to_owned(),
            file,
            waiting: Vec::new(),
            start: expected,
            written: 0,
            modified: None,
            committed: false,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`PathError`] that names the file.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), PathError> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < WRITE_SIZE {
            return Ok(());
        }
        let lines = self
            .waiting
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |end| end + 1);
        self.write_waiting(lines).at("append to", &self.path)
    }

    /// Writes the first `len` waiting bytes.
    fn write_waiting(&mut self, len: usize) -> io::Result<()> {
        let bytes: Vec<u8> = self.waiting.drain(..len).collect();
        let at = self.start + self.written;
        self.written += len as u64;
        // The system carries out one call whole before or after that of another program.
        self.file.write_all(&bytes)?;
        fail_point("a part is appended");
        check_length(&self.file, at + len as u64).inspect_err(|_| self.yield_to_other(at, &bytes))
    }

    /// Keeps the bytes written at `at` if those of another program follow them; removes them
    /// if the other ones came first.
    fn yield_to_other(&mut self, at: u64, bytes: &[u8]) {
        self.committed = true;
        let len = bytes.len() as u64;
        let text = read_from(&self.path, at).unwrap_or_default();
        if !text.starts_with(bytes) && text.ends_with(bytes) {
            let _ = cut_file(&self.file, &self.path, at + text.len() as u64 - len);
        }
    }

    /// Sets the modification time that the file gets on commit.
    pub fn set_modified(&mut self, time: DateTime<Utc>) {
        self.modified = Some(time.into());
    }

    /// Waits until the new end is on the disk. Returns the stamp of the extended file.
    ///
    /// # Errors
    /// [`PathError`], also if another program wrote in between ([`LengthChanged`]).
    pub fn commit(mut self) -> Result<FileStamp, PathError> {
        let finish = |this: &mut Self| {
            this.write_waiting(this.waiting.len())?;
            check_length(&this.file, this.start + this.written)?;
            set_file_modified(&this.file, this.modified)?;
            this.file.sync_all()?;
            // Later appends of another program are not in the length, so they do not count as seen.
            let stamp = FileStamp::of_file(&this.file)?;
            check_length(&this.file, this.start + this.written)?;
            Ok(FileStamp {
                len: this.start + this.written,
                ..stamp
            })
        };
        let stamp = finish(&mut self);
        let stamp = stamp.at("append to", &self.path)?;
        self.committed = true;
        fail_point("a file is extended");
        Ok(stamp)
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // Removing our bytes would also remove those that another program wrote after them.
        let ours_is_last = || check_length(&self.file, self.start + self.written).is_ok();
        if !self.committed && self.written > 0 && ours_is_last() {
            let _ = cut_file(&self.file, &self.path, self.start);
        }
    }
}

/// Cuts a file that is open for appending.
///
/// On Windows such a handle has no right to that, and the file is opened once more.
///
/// # Errors
/// If that fails, or another file has the path now.
pub fn cut_file(file: &File, path: &Path, len: u64) -> io::Result<()> {
    if !cfg!(windows) {
        return file.set_len(len);
    }
    let writable = OpenOptions::new().write(true).open(path)?;
    if FileStamp::of_file(&writable)?.inode != FileStamp::of_file(file)?.inode {
        return Err(io::Error::other("it was replaced"));
    }
    writable.set_len(len)
}

fn check_length(file: &File, expected: u64) -> io::Result<()> {
    let found = file.metadata()?.len();
    if found == expected {
        Ok(())
    } else {
        Err(io::Error::other(LengthChanged { expected, found }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::{read, write_atomic};

    fn is_length_changed(error: &PathError) -> bool {
        error
            .source
            .get_ref()
            .is_some_and(|e| e.is::<LengthChanged>())
    }

    #[test]
    fn append_to_grown_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"abc").unwrap();
        let error = Appender::open(&path, 2).unwrap_err();
        assert!(is_length_changed(&error) && !error.is_not_found());
        assert!(
            Appender::open(&dir.path().join("none"), 0)
                .unwrap_err()
                .is_not_found()
        );
    }

    #[test]
    fn append_dropped_appender_truncates_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"abc").unwrap();
        let mut dropped = Appender::open(&path, 3).unwrap();
        dropped.append(&[b'\n'; WRITE_SIZE]).unwrap();
        drop(dropped);
        assert_eq!(read(&path).unwrap(), b"abc");
    }

    #[test]
    fn append_never_mixes_with_lines_of_other_program() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let theirs = || {
            OpenOptions::new()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(b"theirs\n")
                .unwrap();
        };
        let line = [vec![b'x'; WRITE_SIZE], b"\n".to_vec()].concat();
        // Our bytes before theirs, our bytes after theirs, the resulting file.
        let cases = [
            (b"".to_vec(), b"ours\n".to_vec(), b"abc\ntheirs\n".to_vec()),
            (
                b"ours\n".to_vec(),
                b"more\n".to_vec(),
                b"abc\ntheirs\n".to_vec(),
            ),
            (
                line.clone(),
                b"more\n".to_vec(),
                [b"abc\n", line.as_slice(), b"theirs\n"].concat(),
            ),
            (b"ours\n".to_vec(), line.clone(), b"abc\ntheirs\n".to_vec()),
        ];
        for (before, after, expected) in cases {
            write_atomic(&path, b"abc\n").unwrap();
            let mut raced = Appender::open(&path, 4).unwrap();
            raced.append(&before).unwrap();
            theirs();
            let error = raced
                .append(&after)
                .and_then(|()| raced.commit().map(drop))
                .unwrap_err();
            assert!(is_length_changed(&error), "{error}");
            assert!(read(&path).unwrap() == expected);
        }
    }

    #[cfg(unix)]
    #[test]
    fn append_through_symlink_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, link) = (dir.path().join("outside"), dir.path().join("link"));
        write_atomic(&outside, b"keep").unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        assert!(Appender::open(&link, 4).is_err());
    }
}
