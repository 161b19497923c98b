//! Temporary files and staging directories: their names, and the removal of stale ones.
//!
//! A killed process leaves such files behind. Must not decide when removal is safe: the caller
//! holds the process lock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use tempfile::{NamedTempFile, TempDir};

use super::fs::{PathError, create_private_dir_all};

const PREFIX: &str = ".ccsync-";
const SUFFIX: &str = ".tmp";

/// Creates a temporary file in `directory`.
pub(super) fn create_temp_file(directory: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .tempfile_in(directory)
}

/// Returns true for the name of a temporary file, which is never part of anything.
pub fn is_temp_name(file_name: &str) -> bool {
    file_name.starts_with(PREFIX) && file_name.ends_with(SUFFIX)
}

/// Lists the temporary files in a directory and below; does not follow links.
///
/// Each is being written now, or the process that wrote it was killed.
pub fn temp_files(directory: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(directory)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .filter(|entry| entry.file_name().to_str().is_some_and(is_temp_name))
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// The staging directories of one kind, all in one directory.
#[derive(Debug, Clone, Copy)]
pub struct StagingArea<'a> {
    parent: &'a Path,
    prefix: &'static str,
}

impl<'a> StagingArea<'a> {
    /// Returns the area of imports in the state directory.
    pub fn for_imports(state: &'a Path) -> Self {
        Self {
            parent: state,
            prefix: ".import-",
        }
    }

    /// Creates a private staging directory, which is removed when it is dropped.
    ///
    /// # Errors
    /// [`PathError`] with the directory.
    pub fn create(&self) -> Result<TempDir, PathError> {
        create_private_dir_all(self.parent)?;
        tempfile::Builder::new()
            .prefix(self.prefix)
            .tempdir_in(self.parent)
            .map_err(|source| PathError::new("create a directory in", self.parent, source))
    }

    /// Removes the staging directories that were last changed before `time`.
    ///
    /// A directory that cannot be removed stays, and does no harm.
    pub fn remove_stale(&self, time: DateTime<Utc>) {
        for entry in fs::read_dir(self.parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_staging = name.to_str().is_some_and(|n| n.starts_with(self.prefix));
            let modified = || entry.metadata().and_then(|metadata| metadata.modified());
            if is_staging && modified().is_ok_and(|m| DateTime::<Utc>::from(m) < time) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn temp_stale_staging_directory_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let area = StagingArea::for_imports(dir.path());
        let staging = area.create().unwrap().keep();
        fs::create_dir(dir.path().join("other")).unwrap();
        let created = DateTime::<Utc>::from(staging.metadata().unwrap().modified().unwrap());

        area.remove_stale(created);
        assert!(staging.exists(), "another process may use it");
        area.remove_stale(created + TimeDelta::seconds(1));
        assert!(!staging.exists() && dir.path().join("other").exists());
    }
}
