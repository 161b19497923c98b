//! The events that hooks left for the daemon: one small file for each session and event, so that
//! their number is bounded however long no daemon runs.

use std::fs;
use std::path::PathBuf;

use crate::keeper::client_event::ClientEvent;
use crate::sys::Env;
use crate::sys::fs::{PathError, read_plain_file, write_cache};

/// Longest event that is read.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn directory(env: &Env) -> PathBuf {
    super::directory(env).join("spool")
}

/// Leaves an event for the daemon. Replaces one of the same kind.
///
/// # Errors
/// [`PathError`]
pub(super) fn leave(env: &Env, entry: &ClientEvent) -> Result<(), PathError> {
    let name = format!("{}.{}.json", entry.session, entry.event);
    let json = serde_json::to_vec(entry).expect("an event is JSON");
    write_cache(&directory(env).join(name), &json)
}

/// Takes all events, in the order of their times. Files that are no events are removed.
pub(super) fn take(env: &Env) -> Vec<ClientEvent> {
    let mut entries: Vec<ClientEvent> = files(env)
        .filter_map(|path| {
            let bytes = read_plain_file(&path, MAX_BYTES);
            // One that stays is read again: events may come twice.
            let _ = fs::remove_file(&path);
            serde_json::from_slice(&bytes?).ok()
        })
        .collect();
    entries.sort_by_key(|entry| entry.time);
    entries
}

/// Returns true if no event waits.
pub(super) fn is_empty(env: &Env) -> bool {
    files(env).next().is_none()
}

/// Returns the files of whole events; one of another name is still being written.
fn files(env: &Env) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory(env)).into_iter().flatten().flatten();
    // A directory could not be removed.
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()));
    let is_json = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    };
    files.map(|file| file.path()).filter(is_json)
}
