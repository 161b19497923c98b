//! The sessions that running clients have open: `sessions/<pid>.json`, checked against the
//! process table.
//!
//! A killed client leaves the file behind. So the process must still run and, if the system knows
//! it, have started at the time in the file (`procStart`, field 22 of `/proc/<pid>/stat`; client
//! 2.1.329). A client in another container or on another host, which shares the directory, cannot
//! be looked up (`pidDomain`; client 2.1.329): it counts as running while it was active lately.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::files::{own_directories, projects_dir, transcript_path};
use crate::domain::id::SessionId;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::fs::{read_plain_file, real_path};
use crate::sys::process::{PidDomain, is_descendant, pid_is_alive, process_start};

/// Time after the last sign of life in its own file up to which a client that cannot be looked
/// up counts as running.
const MAX_QUIET: TimeDelta = TimeDelta::hours(6);

/// The same for its transcript, which a pull may have written, too.
const MAX_QUIET_TRANSCRIPT: TimeDelta = TimeDelta::hours(1);

/// Longest file of a process that is read, in bytes.
const MAX_PID_FILE_BYTES: u64 = 1 << 20;

/// The used part of `sessions/<pid>.json`. The file next to it with the peer's key is never read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PidFile {
    pid: u32,
    session_id: String,
    #[serde(default)]
    proc_start: Option<serde_json::Value>,
    /// `interactive` or `bg` (client 2.1.332).
    #[serde(default)]
    kind: Option<String>,
    /// `cli`, `sdk-cli`, … (client 2.1.332).
    #[serde(default)]
    entrypoint: Option<String>,
    #[serde(default)]
    pid_domain: Option<String>,
    /// In milliseconds since 1970.
    #[serde(default)]
    updated_at: Option<i64>,
    /// The working directory.
    #[serde(default)]
    cwd: Option<PathBuf>,
}

/// The process of a running client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientProcess {
    /// Its id, where it runs.
    pub pid: u32,
    /// It runs in another container or on another host.
    pub is_foreign: bool,
    /// It has no terminal: `claude attach` shows it, `claude stop` ends it.
    pub is_background: bool,
    /// No person is at it: `claude -p`, or a program that uses its SDK.
    pub is_headless: bool,
}

impl ClientProcess {
    /// Returns a client that has this process's terminal.
    pub fn in_this_terminal(pid: u32) -> Self {
        Self {
            pid,
            is_foreign: false,
            is_background: false,
            is_headless: false,
        }
    }
}

impl fmt::Display for ClientProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.pid;
        if self.is_foreign {
            write!(
                f,
                "process {pid} of another container or host, by `sessions/{pid}.json`"
            )
        } else if self.is_background {
            write!(f, "process {pid} in the background")
        } else {
            write!(f, "process {pid}")
        }
    }
}

/// Lists the sessions of running clients, with the client's process.
///
/// Unreadable files are ignored. Older clients write no file, so the list may be incomplete.
pub fn live_sessions(claude_dir: &Path) -> BTreeMap<SessionId, ClientProcess> {
    let Ok(entries) = std::fs::read_dir(claude_dir.join("sessions")) else {
        return BTreeMap::new();
    };
    let paths = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"));
    paths
        .filter_map(|path| live_session(claude_dir, &path))
        .collect()
}

/// Returns the session that a client of this system has open now; it changes with `/clear`.
///
/// The client may be a child of the process: npm's `claude.cmd` runs in a shell of its own.
pub fn session_of_client(claude_dir: &Path, pid: u32) -> Option<SessionId> {
    let path = claude_dir.join("sessions").join(format!("{pid}.json"));
    let mut found = live_session(claude_dir, &path).filter(|(_, client)| !client.is_foreign);
    if found.is_none() {
        let mut others = live_sessions(claude_dir).into_iter();
        found = others.find(|(_, client)| !client.is_foreign && is_descendant(client.pid, pid));
    }
    found.map(|(session, _)| session)
}

/// Returns the working directory of a client of this system.
pub fn directory_of_client(claude_dir: &Path, pid: u32) -> Option<PathBuf> {
    let path = claude_dir.join("sessions").join(format!("{pid}.json"));
    let file: PidFile = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    file.cwd
}

/// Returns the process of a client that has the session of the file at `path` open.
pub fn running_client(claude_dir: &Path, path: &Path) -> Option<ClientProcess> {
    live_sessions(claude_dir)
        .into_iter()
        .find(|(id, _)| belongs_to(claude_dir, path, id))
        .map(|(_, client)| client)
}

/// Returns true for a file of the session, in any project directory, also behind a link.
fn belongs_to(claude_dir: &Path, path: &Path, id: &SessionId) -> bool {
    let resolved = |path: &Path| real_path(path).unwrap_or_else(|_| path.to_owned());
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

fn live_session(claude_dir: &Path, path: &Path) -> Option<(SessionId, ClientProcess)> {
    let file: PidFile = serde_json::from_slice(&read_plain_file(path, MAX_PID_FILE_BYTES)?).ok()?;
    let id = file.session_id.parse().ok()?;
    let domain = file.pid_domain.as_deref().map(PidDomain::new);
    let is_foreign = domain.is_some_and(|domain| domain.is_foreign());
    let is_running = if is_foreign {
        is_fresh(claude_dir, path, &file, &id)
    } else {
        pid_is_alive(file.pid) && is_writer(&file, path)
    };
    let client = ClientProcess {
        pid: file.pid,
        is_foreign,
        is_background: file.kind.as_deref() == Some("bg"),
        is_headless: file
            .entrypoint
            .is_some_and(|entrypoint| entrypoint.starts_with("sdk")),
    };
    is_running.then_some((id, client))
}

/// Returns true if the client's file or its transcript was written lately.
fn is_fresh(claude_dir: &Path, path: &Path, file: &PidFile, id: &SessionId) -> bool {
    let now = SystemClock::default().now();
    let written = |path: &Path| Some(DateTime::<Utc>::from(modified(path)?));
    let updated = file.updated_at.and_then(DateTime::from_timestamp_millis);
    let is_lately = |time: DateTime<Utc>, limit| now - time < limit;
    let by_itself = updated.max(written(path));
    if by_itself.is_some_and(|time| is_lately(time, MAX_QUIET)) {
        return true;
    }
    let projects = std::fs::read_dir(projects_dir(claude_dir));
    let mut projects = projects.into_iter().flatten().flatten();
    projects.any(|project| {
        let time = written(&transcript_path(&project.path(), id));
        time.is_some_and(|time| is_lately(time, MAX_QUIET_TRANSCRIPT))
    })
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// Returns true if the process with the file's id wrote the file, as far as the system tells.
fn is_writer(file: &PidFile, path: &Path) -> bool {
    let recorded = match &file.proc_start {
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(serde_json::Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let written = modified(path).map(DateTime::<Utc>::from);
    process_start(file.pid).is_none_or(|start| start.is_of_writer(recorded.as_deref(), written))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

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
