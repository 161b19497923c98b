//! Which sessions a running client has open: `sessions/<pid>.json`, checked against the process table.
//!
//! The client leaves the file behind when it is killed, so the process must still run and, where the system tells, have
//! started when the file says (`procStart`, field 22 of `/proc/<pid>/stat`; client 2.1.329).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::domain::id::SessionId;
use crate::sys::process::{pid_is_alive, process_start_ticks};

/// What is read of `sessions/<pid>.json`. The file beside it with the peer's key is never touched.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PidFile {
    pid: u32,
    session_id: String,
    #[serde(default)]
    proc_start: Option<serde_json::Value>,
}

/// The sessions of running clients, with the client's process id.
///
/// Files that cannot be read are passed over: older clients write none, so this can never be a guarantee.
pub fn live_sessions(claude_dir: &Path) -> BTreeMap<SessionId, u32> {
    let Ok(entries) = std::fs::read_dir(claude_dir.join("sessions")) else { return BTreeMap::new() };
    let paths = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json"));
    paths.filter_map(|path| live_session(&path)).collect()
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
    // Where the system does not tell, a live process of that number is taken for the client.
    process_start_ticks(file.pid).is_none_or(|actual| actual == recorded)
}
