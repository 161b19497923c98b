//! The memory that a running process and the git processes below it have needed so far,
//! from `/proc`. Without `/proc`, nothing is known.

use std::fs;

/// Bytes at the highest point.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident, the mapped parts of files included (`VmHWM`).
    pub(crate) resident: u64,
    /// The part of it that no file backs (`RssAnon`), at the moments of reading.
    pub(crate) anonymous: u64,
}

impl Memory {
    pub(crate) fn or_more(self, other: Self) -> Self {
        Self {
            resident: self.resident.max(other.resident),
            anonymous: self.anonymous.max(other.anonymous),
        }
    }
}

/// The process itself, and the largest `git` below it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) own: Memory,
    pub(crate) git: Memory,
}

impl Usage {
    pub(crate) fn or_more(self, other: Self) -> Self {
        Self {
            own: self.own.or_more(other.own),
            git: self.git.or_more(other.git),
        }
    }

    /// Returns the present memory of the process `pid` and its descendants.
    pub(crate) fn of_process(pid: u32) -> Self {
        let mut usage = Self::default();
        if let Some((_, memory)) = status(pid) {
            usage.own = memory;
        }
        let mut below = children(pid);
        while let Some(pid) = below.pop() {
            // Until it runs its own program, a child shares the memory and the name of its parent.
            if let Some((name, memory)) = status(pid)
                && name.starts_with("git")
            {
                usage.git = usage.git.or_more(memory);
            }
            below.extend(children(pid));
        }
        usage
    }
}

/// Returns the resident memory of a process as it is now, the mapped parts of files included.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

fn status(pid: u32) -> Option<(String, Memory)> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let bytes = |name: &str| {
        field(name)?
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
            .map(|kib| kib * 1024)
    };
    let memory = Memory {
        resident: bytes("VmHWM:")?,
        anonymous: bytes("RssAnon:")?,
    };
    Some((field("Name:")?.to_owned(), memory))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}
