//! The sessions that running clients have open: `sessions/<pid>.json`, checked against the
//! process table.
//!
//! A killed client leaves the file behind. So the process must still run and, if the system knows
//! it, have started at the time in the file (`procStart`, field 22 of `/proc/<pid>/stat`; client
//! 2.1.329).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::files::{own_directories, projects_dir, transcript_path};
use crate::domain::SessionId;
use crate::sys::{process::pid_is_alive, process::process_start_ticks};

/// The used part of `sessions/<pid>.json`. The file next to it with the peer's key is never read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PidFile {
    pid: u32,
    session_id: String,
    #[serde(default)]
    proc_start: Option<serde_json::Value>,
}

/// Lists the sessions of running clients, with the client's process id.
///
/// Unreadable files are ignored. Older clients write no file, so the list may be incomplete.
pub fn live_sessions(claude_dir: &Path) -> BTreeMap<SessionId, u32> {
    let Ok(entries) = std::fs::read_dir(claude_dir.join("sessions")) else {
        return BTreeMap::new();
    };
    let paths = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"));
    paths.filter_map(|path| live_session(&path)).collect()
}

/// Returns the session that a client has open now; it changes with `/clear`.
pub fn session_of_client(claude_dir: &Path, pid: u32) -> Option<SessionId> {
    live_session(&claude_dir.join("sessions").join(format!("{pid}.json")))
        .map(|(session, _)| session)
}

/// Returns the process of a client that has the session of the file at `path` open.
pub fn running_client(claude_dir: &Path, path: &Path) -> Option<u32> {
    live_sessions(claude_dir)
        .into_iter()
        .find(|(id, _)| belongs_to(claude_dir, path, id))
        .map(|(_, pid)| pid)
}

/// Returns true for a file of the session, in any project directory, also behind a link.
fn belongs_to(claude_dir: &Path, path: &Path, id: &SessionId) -> bool {
    let resolved = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let is_in = |own: PathBuf| path.starts_with(&own) || resolved(path).starts_with(resolved(&own));
    let projects = std::fs::read_dir(projects_dir(claude_dir))
        .into_iter()
        .flatten()
        .flatten();
    projects.map(|entry| entry.path()).any(|directory| {
        // No path is below a transcript, so the same check serves a file and a directory.
        is_in(transcript_path(&directory, id)) || own_directories(&directory, id).any(is_in)
    })
}

fn live_session(path: &Path) -> Option<(SessionId, u32)> {
    let file: PidFile = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let id = file.session_id.parse().ok()?;
    (pid_is_alive(file.pid) && started_as_recorded(&file)).then_some((id, file.pid))
}

fn started_as_recorded(file: &PidFile) -> bool {
    let recorded = match &file.proc_start {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        _ => return true,
    };
    // On systems without start times, any live process with that id counts as the client.
    process_start_ticks(file.pid).is_none_or(|actual| actual == recorded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    #[cfg(unix)]
    #[test]
    fn live_open_file_is_matched_to_session_by_path() {
        let home = tempfile::tempdir().unwrap();
        let id: SessionId = "11111111-0000-4000-8000-000000000001".parse().unwrap();
        let project = projects_dir(home.path()).join("-work-app");
        let extras = project.join(id.as_str());
        let elsewhere = home.path().join("elsewhere");
        write_atomic(&elsewhere, b"").unwrap();
        write_atomic(&extras.join("subagents/agent-1.jsonl"), b"").unwrap();
        std::os::unix::fs::symlink(&elsewhere, transcript_path(&project, &id)).unwrap();
        let belongs = |path: &Path| belongs_to(home.path(), path, &id);
        assert!(belongs(&transcript_path(&project, &id)));
        assert!(belongs(&elsewhere), "a transcript may be a link");
        assert!(belongs(&extras.join("subagents/agent-1.jsonl")));
        assert!(belongs(&extras.join("not/there")));
        assert!(belongs(
            &home
                .path()
                .join("file-history")
                .join(id.as_str())
                .join("0123456789abcdef@v1")
        ));
        assert!(!belongs(
            &home
                .path()
                .join("tasks/22222222-0000-4000-8000-000000000002/1.json")
        ));
        assert!(!belongs(
            &project.join("22222222-0000-4000-8000-000000000002.jsonl")
        ));
        assert!(!belongs(&project.join("other").join(format!("{id}.jsonl"))));
    }
}
