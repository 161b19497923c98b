//! Temporary files and staging directories: their names, and the removal of stale ones.
//!
//! A killed process leaves such files behind. Must not decide when removal is safe: the caller
//! holds the process lock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::fs::{PathError, create_private_dir_all};
use super::temp_file::TempFile;

const PREFIX: &str = ".ccsync-";
const SUFFIX: &str = ".tmp";

/// Prefix of the names of staging directories.
const STAGING_PREFIX: &str = ".import-";

/// Creates a temporary file in `directory`.
pub(super) fn create_temp_file(directory: &Path) -> io::Result<TempFile> {
    TempFile::create_in(directory, PREFIX, SUFFIX)
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

/// A private directory that is removed when it is dropped.
pub struct StagingDir(TempDir);

impl StagingDir {
    /// Creates a directory in `parent`, which is created if it is missing.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn create_in(parent: &Path) -> Result<Self, PathError> {
        create_private_dir_all(parent)?;
        let created = tempfile::Builder::new()
            .prefix(STAGING_PREFIX)
            .tempdir_in(parent);
        let failed = |source| PathError::new("create a directory in", parent, source);
        created.map(Self).map_err(failed)
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Removes the directories in `parent` that killed processes left.
    ///
    /// A younger one may be in use: a clone takes no lock, but no clone takes a day. One that
    /// cannot be removed does no harm.
    pub fn remove_stale(parent: &Path, now: DateTime<Utc>) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_staging = name.to_str().is_some_and(|n| n.starts_with(STAGING_PREFIX));
            let modified = || entry.metadata().and_then(|metadata| metadata.modified());
            let is_old = |modified| now - DateTime::<Utc>::from(modified) > TimeDelta::days(1);
            if is_staging && modified().is_ok_and(is_old) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temp_stale_staging_directory_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let StagingDir(staging) = StagingDir::create_in(dir.path()).unwrap();
        let staging = staging.keep();
        fs::create_dir(dir.path().join("other")).unwrap();
        let created = DateTime::<Utc>::from(staging.metadata().unwrap().modified().unwrap());

        StagingDir::remove_stale(dir.path(), created + TimeDelta::days(1));
        assert!(staging.exists(), "another process may use it");
        StagingDir::remove_stale(dir.path(), created + TimeDelta::days(2));
        assert!(!staging.exists() && dir.path().join("other").exists());
    }
}
