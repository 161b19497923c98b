//! Notices of the last report of each command: one that has not changed is not repeated.
//!
//! Owns one file, a cache: without it, all are repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::sys::{Env, fs::write_cache};

/// Fingerprints of notices, by command.
type Notices = BTreeMap<String, BTreeSet<u64>>;

/// Returns the notices of the last report of `command`.
pub(crate) fn shown_notices(env: &Env, command: &str) -> BTreeSet<u64> {
    read(env).remove(command).unwrap_or_default()
}

/// Records the notices of a report of `command`, in place of those of the last one.
pub(crate) fn record_shown_notices(env: &Env, command: &str, notices: BTreeSet<u64>) {
    let mut all = read(env);
    let former = all.insert(command.to_owned(), notices);
    if former.as_ref() != all.get(command) && (former.is_some() || !all[command].is_empty()) {
        let json = serde_json::to_vec(&all).expect("maps with text keys always serialise");
        let _ = write_cache(&path(env), &json);
    }
}

fn read(env: &Env) -> Notices {
    let json = std::fs::read(path(env)).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

fn path(env: &Env) -> PathBuf {
    env.dirs.state.join("shown-notices.json")
}
