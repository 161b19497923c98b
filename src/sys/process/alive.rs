//! Checks of other processes by their ids.

#[cfg(not(unix))]
use super::program::Program;

/// Returns true if a process of this id runs, of any user; also if the system does not know.
///
/// A zombie does not count. In a container whose first process never waits for others, it stays
/// a zombie for ever.
#[cfg(unix)]
pub fn pid_is_alive(pid: u32) -> bool {
    let Some(process) = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    else {
        return false;
    };
    rustix::process::test_kill_process(process) != Err(rustix::io::Errno::SRCH) && !has_ended(pid)
}

/// Returns true if `/proc` shows a zombie (state `Z`, proc(5)) or a vanishing process (`X`).
#[cfg(unix)]
fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat);
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, after_name)| after_name.split_ascii_whitespace().next());
    matches!(state, Some("Z" | "X"))
}

/// Returns true if a process of this id runs, of any user; also if the system does not know.
#[cfg(not(unix))]
pub fn pid_is_alive(pid: u32) -> bool {
    let filter = format!("PID eq {pid}");
    let listing = Program::new("tasklist")
        .args(["/FI", &filter, "/NH", "/FO", "CSV"])
        .run();
    listing.map_or(true, |out| {
        !out.status.success()
            || String::from_utf8_lossy(&out.stdout).contains(&format!("\"{pid}\""))
    })
}

/// Returns the start of a process in the kernel's ticks since boot. Together with the pid it
/// identifies one process for ever.
///
/// `None` without `/proc` or without such a process.
pub fn process_start_ticks(pid: u32) -> Option<String> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    start_ticks(&String::from_utf8_lossy(&stat)).map(str::to_owned)
}

/// Returns field 22 of `/proc/<pid>/stat` (proc(5)).
///
/// Field 2 is the program's name in parentheses and may hold any character, so counting begins
/// after the last parenthesis.
fn start_ticks(stat: &str) -> Option<&str> {
    const FIRST_FIELD_AFTER_NAME: usize = 3;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name
        .split_ascii_whitespace()
        .nth(22 - FIRST_FIELD_AFTER_NAME)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::sys::process::Program;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a program that is not waited for"
    )]
    fn process_zombie_is_not_alive() {
        assert!(pid_is_alive(std::process::id()));
        assert!(pid_is_alive(1));
        assert!(!pid_is_alive(0) && !pid_is_alive(u32::MAX));
        let mut zombie = std::process::Command::new("true").spawn().unwrap();
        while cfg!(target_os = "linux") && pid_is_alive(zombie.id()) {
            std::thread::yield_now();
        }
        zombie.wait().unwrap();
        let child = Program::new("sh").args(["-c", "echo $$"]).run().unwrap();
        let pid: u32 = String::from_utf8(child.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(!pid_is_alive(pid));
    }

    #[test]
    fn process_start_ticks_parse_despite_odd_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 424242 20 21";
        assert_eq!(start_ticks(&format!("7 (a) b (c) {tail}")), Some("424242"));
        assert_eq!(start_ticks("7 (a"), None);
        assert_eq!(
            process_start_ticks(std::process::id()).is_some(),
            cfg!(target_os = "linux")
        );
    }
}
