//! Rules of the remote that were found out by trying: what it refuses, and since when.
//!
//! Owns one file, a cache: without it, everything is tried again. Must not contact the remote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::sys::fs::write_cache;

/// Time after which a refused step is tried again: rules change.
const MAX_AGE: TimeDelta = TimeDelta::days(1);

/// A step that a remote may refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteStep {
    /// Create the branch of a lock.
    CreateLock,
    /// Move it, to renew or take over.
    MoveLock,
    /// Delete it.
    DeleteLock,
    /// Change several branches at once.
    Together,
    /// Accept a commit with two parents.
    Merge,
}

/// Steps that a remote refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteRules {
    /// Its address, without secrets.
    remote: String,
    /// True if the steps of a lock were tried.
    #[serde(default)]
    tried: bool,
    #[serde(default)]
    refused: BTreeMap<RemoteStep, Refusal>,
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Refusal {
    /// The server's words. Untrusted text.
    reason: String,
    since: DateTime<Utc>,
}

impl RemoteRules {
    /// Reads the rules of a remote. Those of another remote, and old ones, are forgotten.
    pub fn load(path: &Path, remote: &str, now: DateTime<Utc>) -> Self {
        let read = std::fs::read(path)
            .ok()
            .and_then(|json| serde_json::from_slice::<Self>(&json).ok())
            .filter(|rules| rules.remote == remote)
            .unwrap_or_default();
        let mut rules = Self {
            remote: remote.to_owned(),
            path: path.to_owned(),
            ..read
        };
        let before = rules.refused.len();
        let is_recent = |refusal: &Refusal| (now - refusal.since).abs() < MAX_AGE;
        rules.refused.retain(|_, refusal| is_recent(refusal));
        rules.tried &= rules.refused.len() == before;
        rules
    }

    /// Returns the server's words if the remote refuses a step.
    pub fn refusal(&self, step: RemoteStep) -> Option<&str> {
        self.refused
            .get(&step)
            .map(|refusal| refusal.reason.as_str())
    }

    /// Returns true if the remote refuses a step.
    pub fn refuses(&self, step: RemoteStep) -> bool {
        self.refused.contains_key(&step)
    }

    /// Returns the server's words if locks are useless there: none can be created, or none can be
    /// released.
    pub fn refusal_of_locks(&self) -> Option<&str> {
        let keeps_all = || {
            let moved = self.refusal(RemoteStep::MoveLock);
            moved.filter(|_| self.refuses(RemoteStep::DeleteLock))
        };
        self.refusal(RemoteStep::CreateLock).or_else(keeps_all)
    }

    /// Returns true if the steps of a lock were tried.
    pub fn were_tried(&self) -> bool {
        self.tried
    }

    /// Records that the remote refuses a step.
    pub fn record(&mut self, step: RemoteStep, reason: &str, now: DateTime<Utc>) {
        let refusal = Refusal {
            reason: reason.to_owned(),
            since: now,
        };
        self.refused.insert(step, refusal);
        self.save();
    }

    /// Records that the steps of a lock were tried.
    pub fn record_trial(&mut self) {
        self.tried = true;
        self.save();
    }

    /// A cache that cannot be written is found out again.
    fn save(&self) {
        let json = serde_json::to_vec(self).expect("maps with text keys always serialise");
        let _ = write_cache(&self.path, &json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_rules_last_a_day_and_belong_to_one_remote() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules.json");
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(9);
        let mut rules = RemoteRules::load(&path, "r", now);
        rules.record_trial();
        rules.record(RemoteStep::DeleteLock, "no", now);
        let load = |remote, hours| RemoteRules::load(&path, remote, now + TimeDelta::hours(hours));
        assert_eq!(load("r", 23), rules);
        assert_eq!(rules.refusal_of_locks(), None);
        for other in [load("r", 25), load("s", 1)] {
            assert!(!other.were_tried() && !other.refuses(RemoteStep::DeleteLock));
        }
        rules.record(RemoteStep::MoveLock, "not moved", now);
        assert_eq!(rules.refusal_of_locks(), Some("not moved"));
        rules.record(RemoteStep::CreateLock, "not created", now);
        assert_eq!(rules.refusal_of_locks(), Some("not created"));
    }
}
