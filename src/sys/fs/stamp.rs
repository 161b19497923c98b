//! Cheap proof that a file is still the one that was read.

use std::fs::{self, Metadata};
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
    /// Its number on its file system; 0 on systems without such numbers.
    pub inode: u64,
}

impl FileStamp {
    /// Returns the stamp of a file with this metadata.
    pub fn from_metadata(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            modified_ns: modified_ns(metadata),
            inode: inode(metadata),
        }
    }

    /// Reads the stamp of the file at `path`; follows links.
    ///
    /// # Errors
    /// [`PathError`] with the path.
    pub fn read(path: &Path) -> Result<Self, PathError> {
        Ok(Self::from_metadata(&fs::metadata(path).at("read", path)?))
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

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
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

        set_modified(&path, time).unwrap();
        assert_eq!(
            FileStamp::read(&path).unwrap().modified_ns,
            stamp.modified_ns
        );
    }
}
