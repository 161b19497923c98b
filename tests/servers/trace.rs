//! The git processes of a command, from the trace that git itself writes
//! (`GIT_TRACE2_EVENT`).

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The processes and connections of one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Started {
    /// The git commands that the command started itself, by name.
    pub(crate) commands: Vec<String>,
    /// All git processes, including those that git starts.
    pub(crate) processes: usize,
    /// Connections that reached the server.
    pub(crate) connections: usize,
}

impl Started {
    /// Runs `command` by `run`, with traces in the new directory `traces`; `connections`
    /// counts those of the server.
    pub(crate) fn from_run(
        command: &mut Command,
        traces: &Path,
        connections: impl Fn() -> usize,
        run: impl FnOnce(&mut Command),
    ) -> Self {
        let _ = fs::remove_dir_all(traces);
        fs::create_dir_all(traces).expect("a directory can be made");
        let before = connections();
        run(command.env("GIT_TRACE2_EVENT", traces));
        Self::read(traces, connections() - before)
    }

    /// Reads the traces in a directory, one file a process.
    fn read(traces: &Path, connections: usize) -> Self {
        let files = fs::read_dir(traces)
            .expect("the directory of traces is there")
            .map(|entry| entry.expect("a directory can be listed").path());
        let mut processes: Vec<Process> = files.filter_map(|path| Process::read(&path)).collect();
        processes.sort_by(|a, b| a.id.cmp(&b.id));
        let own = processes.iter().filter(|process| !process.id.contains('/'));
        Self {
            commands: own.map(|process| process.name.clone()).collect(),
            processes: processes.len(),
            connections,
        }
    }
}

struct Process {
    /// Begins with the time of the start; the id of a child is its parent's with `/` and
    /// its own.
    id: String,
    name: String,
}

impl Process {
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let events: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let named = events.iter().find(|event| event["event"] == "cmd_name");
        let name = named.and_then(|event| event["name"].as_str());
        Some(Self {
            id: events.first()?["sid"].as_str()?.to_owned(),
            name: name.unwrap_or("?").to_owned(),
        })
    }
}
