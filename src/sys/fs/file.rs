//! Reading files, and the small changes that need no temporary file.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::error::{PathContext as _, PathError};

/// Reads a whole file.
///
/// # Errors
/// [`PathError`] with the path.
pub fn read(path: &Path) -> Result<Vec<u8>, PathError> {
    fs::read(path).at("read", path)
}

/// Reads a whole text; `None` if there is no file.
///
/// # Errors
/// [`PathError`] with the path, also if it is not UTF-8.
pub fn read_to_string_if_exists(path: &Path) -> Result<Option<String>, PathError> {
    match read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Opens a plain file, or a link to one. A named pipe is not opened: that would wait for its
/// writer.
pub fn open_plain_file(path: &Path) -> Option<File> {
    let is_plain = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_plain.then(|| File::open(path).ok()).flatten()
}

/// Reads a whole file of at most `max` bytes; `None` if it is longer, not a plain file, or
/// unreadable.
pub fn read_plain_file(path: &Path, max: u64) -> Option<Vec<u8>> {
    let file = open_plain_file(path)?;
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .ok()?;
    (bytes.len() as u64 <= max).then_some(bytes)
}

/// Reads a whole file, which must be UTF-8.
///
/// # Errors
/// [`PathError`] with the path, also for text that is not UTF-8.
pub fn read_to_string(path: &Path) -> Result<String, PathError> {
    fs::read_to_string(path).at("read", path)
}

/// Reads a file from offset `from` to its present end; nothing if the file is shorter.
///
/// # Errors
/// [`PathError`] with the path.
pub fn read_from(path: &Path, from: u64) -> Result<Vec<u8>, PathError> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().at("read", path)
}

/// Sets the modification time of a file.
///
/// # Errors
/// [`PathError`] with the path.
pub fn set_modified(path: &Path, time: DateTime<Utc>) -> Result<(), PathError> {
    let set = || {
        let file = OpenOptions::new().append(true).open(path)?;
        set_file_modified(&file, Some(time.into()))
    };
    set().at("set the time of", path)
}

pub(super) fn set_file_modified(file: &File, time: Option<SystemTime>) -> io::Result<()> {
    time.map_or(Ok(()), |time| {
        file.set_times(FileTimes::new().set_modified(time))
    })
}

/// Removes a file; returns false if there was none.
///
/// # Errors
/// [`PathError`] with the path.
pub fn remove_file_if_exists(path: &Path) -> Result<bool, PathError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(PathError::new("remove", path, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    #[test]
    fn fs_remove_missing_file_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"").unwrap();
        assert!(remove_file_if_exists(&path).unwrap());
        assert!(!remove_file_if_exists(&path).unwrap());
    }
}
