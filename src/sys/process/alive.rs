//! Checks of other processes by their ids.

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

/// Returns true if a process of this id runs, of any user.
#[cfg(not(unix))]
pub fn pid_is_alive(pid: u32) -> bool {
    super::table::process_entry(pid).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_of_this_test_is_alive() {
        assert!(pid_is_alive(std::process::id()));
        assert!(!pid_is_alive(u32::MAX));
    }

    #[cfg(unix)]
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a program that is not waited for"
    )]
    fn process_zombie_is_not_alive() {
        use crate::sys::process::Program;
        assert!(pid_is_alive(1));
        assert!(!pid_is_alive(0));
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
}
