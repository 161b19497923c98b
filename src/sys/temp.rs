//! Private directories for work in progress.
//!
//! Owns their names, so that those of a killed process are recognised and removed later.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};

use super::fs::{PathError, create_private_dir_all};

/// Prefix of the names of staging directories.
const PREFIX: &str = ".import-";

/// A private directory that is removed when it is dropped.
pub struct StagingDir(tempfile::TempDir);

impl StagingDir {
    /// Creates a directory in `parent`, which is created if it is missing.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn create_in(parent: &Path) -> Result<Self, PathError> {
        create_private_dir_all(parent)?;
        let created = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent);
        let failed = |source| PathError::new("create a directory in", parent, source);
        created.map(Self).map_err(failed)
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Removes the directories in `parent` that killed processes left.
    ///
    /// A younger one may be in use: a clone takes no lock, but no clone takes a day.
    pub fn remove_stale(parent: &Path, now: DateTime<Utc>) {
        for entry in parent.read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.to_str().is_some_and(|name| name.starts_with(PREFIX)) {
                continue;
            }
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let modified = modified.map(DateTime::<Utc>::from);
            if modified.is_ok_and(|modified| now - modified > TimeDelta::days(1)) {
                // One that cannot be removed does no harm.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}
