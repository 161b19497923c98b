//! Removal of old journals.

use std::fs;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::file::journals;

/// Journals older than this, in days, are removed with the contents that they keep.
const MAX_AGE: i64 = 30;

/// Total size, in bytes, above which the oldest journals are removed; the newest one stays.
const MAX_BYTES: u64 = 1 << 30;

/// Removes the journals below `root` that are too old, or too large together, at `now`.
pub fn prune(root: &Path, now: DateTime<Utc>) {
    let mut bytes = 0;
    for (newer, journal) in journals(root).into_iter().rev().enumerate() {
        bytes += size_of(&journal.path);
        let is_old = (now - journal.time).num_days() > MAX_AGE;
        if newer > 0 && (bytes > MAX_BYTES || is_old) {
            // The next pull tries again if it fails.
            let _ = fs::remove_dir_all(&journal.path);
        }
    }
}

fn size_of(directory: &Path) -> u64 {
    walkdir::WalkDir::new(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}
