//! The processes below a child: whether they ask the user, what they still send, and
//! their end.
//!
//! Only `/proc` shows what a process waits for; without it, the callers wait longer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::table::parents;

/// A process and all those that it started, directly or not.
pub(super) struct Descendants {
    pids: Vec<u32>,
}

/// Bytes that a connection moves without any progress: `ssh` and its server tell each
/// other that they are there.
const MAX_KEEPALIVE: u64 = 1024;

/// The observed activity of a silent child.
#[derive(Debug)]
pub(super) enum Activity {
    /// It waits for an answer of the user.
    Asks,
    /// It waits, or works.
    Works(Traffic),
    /// The system does not show it.
    Unknown,
}

/// The bytes that some processes have moved.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Bytes read and written, by process, and whether it has a connection.
    moved: BTreeMap<u32, (u64, bool)>,
    /// Bytes sent and not yet confirmed, by connection.
    waiting: BTreeMap<String, u64>,
}

impl Traffic {
    /// Returns true if bytes moved since `earlier`.
    pub(super) fn has_moved_since(&self, earlier: &Self) -> bool {
        let read_or_written = self.moved.iter().any(|(pid, (bytes, is_connected))| {
            let limit = if *is_connected { MAX_KEEPALIVE } else { 0 };
            let before = earlier.moved.get(pid);
            before.is_some_and(|(before, _)| bytes.saturating_sub(*before) > limit)
        });
        let left = |(socket, bytes): (&String, &u64)| {
            let before = earlier.waiting.get(socket);
            before.is_some_and(|before| before != bytes)
        };
        read_or_written || self.waiting.iter().any(left)
    }
}

impl Descendants {
    /// Finds the process and its descendants.
    pub(super) fn of(pid: u32) -> Self {
        let parents = parents();
        let mut pids = vec![pid];
        let mut next = 0;
        while let Some(parent) = pids.get(next).copied() {
            let children = parents.iter().filter(|(_, of)| *of == parent);
            let new = children.map(|(child, _)| *child);
            let new: Vec<_> = new.filter(|child| !pids.contains(child)).collect();
            pids.extend(new);
            next += 1;
        }
        Self { pids }
    }

    /// Returns what they do at this moment.
    pub(super) fn activity(&self) -> Activity {
        let Some(own) = open_files(std::process::id()) else {
            return Activity::Unknown;
        };
        let mut traffic = Traffic::default();
        let mut sockets = BTreeSet::new();
        for pid in &self.pids {
            let files = open_files(*pid).unwrap_or_default();
            // Inherited files say nothing about them.
            let opened = || files.iter().filter(|file| !own.contains(file));
            if is_helper_that_asks(*pid) || opened().any(|(_, path)| is_terminal(path)) {
                return Activity::Asks;
            }
            let numbers: Vec<_> = opened()
                .filter_map(|(_, path)| socket_number(path))
                .collect();
            if let Some(bytes) = moved_bytes(*pid) {
                traffic.moved.insert(*pid, (bytes, !numbers.is_empty()));
            }
            sockets.extend(numbers);
        }
        traffic.waiting = waiting_bytes(&sockets);
        Activity::Works(traffic)
    }

    /// Sends a signal to all but the first one, for which its parent waits.
    #[cfg(unix)]
    pub(super) fn signal_others(&self, signal: rustix::process::Signal) {
        use rustix::process::{Pid, kill_process};
        for pid in self.others() {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // It may have ended by itself.
            let _ = pid.map(|pid| kill_process(pid, signal));
        }
    }

    /// Returns true if one of them runs, other than the first one.
    #[cfg(unix)]
    pub(super) fn others_are_alive(&self) -> bool {
        let alive = parents();
        self.others()
            .any(|pid| alive.iter().any(|(alive, _)| *alive == pid))
    }

    #[cfg(unix)]
    fn others(&self) -> impl Iterator<Item = u32> {
        self.pids.iter().skip(1).copied()
    }
}

/// Returns the open files of a process, with their numbers; `None` if the system does not
/// show them.
fn open_files(pid: u32) -> Option<Vec<(String, PathBuf)>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let file = |entry: fs::DirEntry| {
        let number = entry.file_name().into_string().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?))
    };
    Some(entries.filter_map(file).collect())
}

fn is_terminal(path: &Path) -> bool {
    path == Path::new("/dev/tty") || path.starts_with("/dev/pts")
}

/// Returns true for a program that opens a window or a browser to ask for a password.
fn is_helper_that_asks(pid: u32) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = command.split(|byte| *byte == 0).take(2);
    let mut names = words.filter_map(|word| {
        let name = Path::new(std::str::from_utf8(word).ok()?).file_name()?;
        Some(name.to_string_lossy().into_owned())
    });
    names.any(|name| {
        ["askpass", "git-credential", "pinentry"]
            .iter()
            .any(|helper| name.contains(helper))
    })
}

fn socket_number(path: &Path) -> Option<String> {
    let number = path.to_str()?.strip_prefix("socket:[")?;
    Some(number.strip_suffix(']')?.to_owned())
}

/// Returns the bytes that a process has read and written, by `/proc/<pid>/io` (proc(5)).
fn moved_bytes(pid: u32) -> Option<u64> {
    let counts = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let count = |line: &str| {
        let (name, bytes) = line.split_once(": ")?;
        matches!(name, "rchar" | "wchar").then(|| bytes.parse::<u64>().ok())?
    };
    Some(counts.lines().filter_map(count).sum())
}

/// Returns the bytes that wait in the send buffers of these connections, by the rows of
/// `/proc/net/tcp` (proc(5)).
fn waiting_bytes(sockets: &BTreeSet<String>) -> BTreeMap<String, u64> {
    const QUEUES: usize = 4;
    const NUMBER: usize = 9;
    let mut waiting = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        for row in table.lines().filter(|_| !sockets.is_empty()) {
            let columns: Vec<_> = row.split_ascii_whitespace().collect();
            let number = columns.get(NUMBER).filter(|n| sockets.contains(**n));
            let queues = columns.get(QUEUES).and_then(|both| both.split_once(':'));
            let bytes = queues.and_then(|(sent, _)| u64::from_str_radix(sent, 16).ok());
            if let Some((number, bytes)) = number.zip(bytes) {
                waiting.insert((*number).to_owned(), bytes);
            }
        }
    }
    waiting
}
