//! Cheap proof that a file is still the one that was read.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::error::{PathContext as _, PathError};

/// Length, time and number of a file: equal stamps mean that the file has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileStamp {
    /// Its length.
    pub len: u64,
    /// Its modification time in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Its number on its file system; 0 if that is unknown.
    pub inode: u64,
}

impl FileStamp {
    /// Returns the stamp of the file at `path`, whose metadata is known; follows links.
    ///
    /// # Errors
    /// If the system does not tell the file's number.
    pub fn new(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self {
            inode: file_number(path, metadata)?,
            ..Self::without_number(metadata)
        })
    }

    /// Returns the stamp of an open file.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn of_file(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            inode: open_file_number(file, &metadata)?,
            ..Self::without_number(&metadata)
        })
    }

    /// Returns a stamp that says nothing of the file's number, which costs a call on Windows.
    pub fn without_number(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            modified_ns: modified_ns(metadata),
            inode: 0,
        }
    }

    /// Reads the stamp of the file at `path`; follows links.
    ///
    /// # Errors
    /// [`PathError`] with the path.
    pub fn read(path: &Path) -> Result<Self, PathError> {
        let stamp = fs::metadata(path).and_then(|metadata| Self::new(path, &metadata));
        stamp.at("read", path)
    }

    /// Reads the stamp like [`Self::read`]; `None` if there is no file.
    ///
    /// # Errors
    /// [`PathError`] with the path.
    pub fn read_if_exists(path: &Path) -> Result<Option<Self>, PathError> {
        match Self::read(path) {
            Ok(stamp) => Ok(Some(stamp)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn modified_ns(metadata: &Metadata) -> i64 {
    let Ok(modified) = metadata.modified() else {
        return 0;
    };
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// Returns the number of a file or directory on its file system; follows links.
///
/// # Errors
/// If the system does not tell.
#[cfg(unix)]
pub fn file_number(_: &Path, metadata: &Metadata) -> io::Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::ino(metadata))
}

#[cfg(unix)]
fn open_file_number(_: &File, metadata: &Metadata) -> io::Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::ino(metadata))
}

/// Returns the number of a file or directory on its file system; follows links.
///
/// # Errors
/// If it cannot be opened: only an open file has a number on Windows.
#[cfg(not(unix))]
pub fn file_number(path: &Path, _: &Metadata) -> io::Result<u64> {
    let handle = winapi_util::Handle::from_path_any(path)?;
    Ok(winapi_util::file::information(handle)?.file_index())
}

#[cfg(not(unix))]
fn open_file_number(file: &File, _: &Metadata) -> io::Result<u64> {
    Ok(winapi_util::file::information(file)?.file_index())
}

/// Returns true if a new directory may have the time of creation of a former one of its name:
/// NTFS gives it to one that is made within 15 seconds.
pub const fn reuses_creation_times() -> bool {
    cfg!(windows)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::sys::fs::{Appender, AtomicFile, set_modified};

    #[test]
    fn fs_stamp_changes_with_file_and_round_trips() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.append(b"x").unwrap();
        file.set_modified(time);
        file.commit().unwrap();
        let stamp = FileStamp::read(&path).unwrap();
        assert_eq!(
            (stamp.len, stamp.modified_ns),
            (1, 1_700_000_000_000_000_000)
        );
        let text = serde_json::to_string(&stamp).unwrap();
        assert_eq!(serde_json::from_str::<FileStamp>(&text).unwrap(), stamp);

        let mut more = Appender::open(&path, 1).unwrap();
        more.append(b"y").unwrap();
        more.set_modified(time);
        more.commit().unwrap();
        assert_ne!(FileStamp::read(&path).unwrap(), stamp);

        let file = File::open(&path).unwrap();
        assert_eq!(
            FileStamp::of_file(&file).unwrap(),
            FileStamp::read(&path).unwrap()
        );
        assert_ne!(stamp.inode, 0);

        set_modified(&path, time).unwrap();
        assert_eq!(
            FileStamp::read(&path).unwrap().modified_ns,
            stamp.modified_ns
        );
    }
}
