//! The table of processes: `/proc` on Linux, calls of the system elsewhere.

#[cfg(not(target_os = "linux"))]
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

/// Longest chain of parents that is followed; the table may change while it is read.
const MAX_PARENTS: usize = 64;

/// Returns true if the process `ancestor` started the process, directly or not.
pub fn is_descendant(pid: u32, ancestor: u32) -> bool {
    is_below(pid, ancestor, &parents())
}

fn is_below(pid: u32, ancestor: u32, parents: &[(u32, u32)]) -> bool {
    let parent_of = |pid: &u32| {
        let found = parents.iter().find(|(child, _)| child == pid);
        found.map(|(_, parent)| *parent)
    };
    std::iter::successors(parent_of(&pid), parent_of)
        .take(MAX_PARENTS)
        .any(|parent| parent == ancestor)
}

/// Lists all processes with their parents, without those that have ended (`Z`, proc(5)).
#[cfg(target_os = "linux")]
pub(super) fn parents() -> Vec<(u32, u32)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read(entry.path().join("stat")).ok()?;
            let stat = String::from_utf8_lossy(&stat);
            let (_, after_name) = stat.rsplit_once(')')?;
            let mut fields = after_name.split_ascii_whitespace();
            let state = fields.next()?;
            let parent = fields.next()?.parse().ok()?;
            (state != "Z").then_some((pid, parent))
        })
        .collect()
}

/// Lists all processes with their parents.
#[cfg(not(target_os = "linux"))]
pub(super) fn parents() -> Vec<(u32, u32)> {
    let system = read_table(ProcessesToUpdate::All);
    let entries = system.processes().iter();
    entries
        .filter_map(|(pid, process)| Some((pid.as_u32(), process.parent()?.as_u32())))
        .collect()
}

/// The entry of a running process.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessEntry {
    /// Start in seconds since 1970, if this user may know it.
    pub(super) started: Option<u64>,
}

/// Returns the entry of a process that has not ended.
#[cfg(not(target_os = "linux"))]
pub(super) fn process_entry(pid: u32) -> Option<ProcessEntry> {
    let pid = Pid::from_u32(pid);
    let system = read_table(ProcessesToUpdate::Some(&[pid]));
    let process = system.process(pid)?;
    let has_ended = matches!(
        process.status(),
        ProcessStatus::Zombie | ProcessStatus::Dead
    );
    let started = Some(process.start_time()).filter(|seconds| *seconds > 0);
    (!has_ended).then_some(ProcessEntry { started })
}

#[cfg(not(target_os = "linux"))]
fn read_table(wanted: ProcessesToUpdate<'_>) -> System {
    let mut system = System::new();
    system.refresh_processes_specifics(wanted, true, ProcessRefreshKind::nothing());
    system
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_descends_from_parents_of_parents() {
        let parents = [(4, 3), (3, 2), (2, 1), (8, 9), (9, 8)];
        for (pid, ancestor, expected) in [
            (4, 3, true),
            (4, 1, true),
            (4, 4, false),
            (3, 4, false),
            (8, 1, false),
            (7, 1, false),
        ] {
            assert_eq!(is_below(pid, ancestor, &parents), expected, "{pid}");
        }
    }

    #[test]
    fn process_table_has_this_process() {
        let me = std::process::id();
        assert!(parents().iter().any(|(pid, _)| *pid == me));
        assert!(!is_descendant(me, u32::MAX));
    }
}
