//! Times at which this machine first saw each lock commit. Expiry is counted from then.
//!
//! Owns one file, a cache: without it, every lock counts as new and expires later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::domain::CommitId;
use crate::sys::{fs::PathError, fs::write_cache};

/// First observation of each lock commit.
#[derive(Debug)]
pub struct LockObservations {
    path: PathBuf,
    first_seen: BTreeMap<CommitId, DateTime<Utc>>,
    changed: bool,
}

impl LockObservations {
    /// Reads the file at `path`; a missing or damaged one is empty.
    pub fn load(path: &Path) -> Self {
        let read = std::fs::read(path)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok());
        Self {
            path: path.to_owned(),
            first_seen: read.unwrap_or_default(),
            changed: false,
        }
    }

    /// Records all locks that exist at `now`, and drops the others.
    pub fn record<'c>(
        &mut self,
        commits: impl IntoIterator<Item = &'c CommitId>,
        now: DateTime<Utc>,
    ) {
        // A time in the future was written before the clock was set back.
        let seen = |commit: &CommitId| {
            self.first_seen
                .get(commit)
                .map_or(now, |time| (*time).min(now))
        };
        let noted: BTreeMap<_, _> = commits
            .into_iter()
            .map(|commit| (commit.clone(), seen(commit)))
            .collect();
        self.changed |= noted != self.first_seen;
        self.first_seen = noted;
    }

    /// Returns the time at which the commit was first seen, or `now`.
    pub fn first_seen(&self, commit: &CommitId, now: DateTime<Utc>) -> DateTime<Utc> {
        self.first_seen.get(commit).copied().unwrap_or(now)
    }

    /// Writes the file if it changed.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn save(&mut self) -> Result<(), PathError> {
        if self.changed {
            let json =
                serde_json::to_vec(&self.first_seen).expect("maps with text keys always serialise");
            write_cache(&self.path, &json)?;
            self.changed = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn lock_observation_keeps_first_seen_while_lock_exists() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("observations.json");
        let [one, two]: [CommitId; 2] = ["1", "2"].map(|n| n.repeat(40).parse().unwrap());
        let at = |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let note = |commits: &[&CommitId], now| {
            let mut observations = LockObservations::load(&path);
            observations.record(commits.iter().copied(), at(now));
            observations.save().unwrap();
            LockObservations::load(&path)
        };
        assert_eq!(note(&[&one], 5).first_seen(&one, at(9)), at(5));
        assert_eq!(note(&[&one, &two], 6).first_seen(&one, at(9)), at(5));
        assert_eq!(note(&[&two], 7).first_seen(&two, at(9)), at(6));
        assert_eq!(
            note(&[&one, &two], 8).first_seen(&one, at(9)),
            at(8),
            "it had gone"
        );
        assert_eq!(
            note(&[&one], 1).first_seen(&one, at(9)),
            at(1),
            "the clock was set back"
        );
        write_cache(&path, b"{").unwrap();
        assert_eq!(note(&[&one], 3).first_seen(&one, at(9)), at(3));
    }
}
