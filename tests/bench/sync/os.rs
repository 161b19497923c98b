//! Differences between systems.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes the command the head of a new process group, which can be ended together.
#[cfg(unix)]
pub(crate) fn in_own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
pub(crate) fn in_own_group(_: &mut Command) {}

/// Ends a command that was started with [`in_own_group`], and all its processes.
#[cfg(unix)]
pub(crate) fn kill_group(pid: u32) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let _ = pid.map(|pid| rustix::process::kill_process_group(pid, rustix::process::Signal::KILL));
}

#[cfg(not(unix))]
pub(crate) fn kill_group(_: u32) {}

/// Returns true if a file has something to read now.
#[cfg(unix)]
pub(crate) fn can_read(file: &std::fs::File) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut waiting = [PollFd::new(file, PollFlags::IN)];
    poll(&mut waiting, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Finds a program on the PATH.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} is not on the PATH"))
}

/// Waits until earlier work is on the disk, so that it does not slow the next.
pub(crate) fn settle() {
    #[cfg(unix)]
    rustix::fs::sync();
}

/// Returns the space that a file takes on the disk.
#[cfg(unix)]
pub(crate) fn disk_usage(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
pub(crate) fn disk_usage(metadata: &Metadata) -> u64 {
    metadata.len()
}

/// Returns a number that a replaced file changes and an extended one keeps.
#[cfg(unix)]
pub(crate) fn identity(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
pub(crate) fn identity(_: &Metadata) -> u64 {
    0
}

#[cfg(unix)]
pub(crate) fn make_executable(path: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("the benchmark's own file");
}

#[cfg(not(unix))]
pub(crate) fn make_executable(_: &Path) {}
