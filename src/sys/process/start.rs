//! The start of a process, which tells it from a later one with the same id.

use std::fmt;

use chrono::{DateTime, Utc};

/// When a process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessStart {
    /// Ticks of the kernel since boot: field 22 of `/proc/<pid>/stat` (proc(5)).
    Ticks(String),
    /// Time to the second.
    Time(DateTime<Utc>),
}

impl fmt::Display for ProcessStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ticks(ticks) => f.write_str(ticks),
            Self::Time(time) => write!(f, "{}", time.timestamp()),
        }
    }
}

impl ProcessStart {
    /// Returns true if the process may be the one that wrote a file about itself: it has the start
    /// that is `recorded` there, or is older than the file.
    ///
    /// Only ticks are compared with a record: Claude Code writes times in a form of the system's.
    pub fn is_of_writer(&self, recorded: Option<&str>, written: Option<DateTime<Utc>>) -> bool {
        match (self, recorded, written) {
            (Self::Ticks(ticks), Some(recorded), _) => ticks == recorded,
            (Self::Time(start), _, Some(written)) => start.timestamp() <= written.timestamp(),
            _ => true,
        }
    }
}

/// Returns the start of a running process. `None` if the system does not tell.
#[cfg(target_os = "linux")]
pub fn process_start(pid: u32) -> Option<ProcessStart> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let ticks = start_ticks(&String::from_utf8_lossy(&stat))?.to_owned();
    Some(ProcessStart::Ticks(ticks))
}

/// Returns the start of a running process. `None` if the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn process_start(pid: u32) -> Option<ProcessStart> {
    let seconds = super::table::process_entry(pid)?.started?;
    let time = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?;
    Some(ProcessStart::Time(time))
}

/// Returns field 22 of `/proc/<pid>/stat` (proc(5)).
///
/// Field 2 is the program's name in parentheses and may hold any character, so counting begins
/// after the last parenthesis.
#[cfg(target_os = "linux")]
fn start_ticks(stat: &str) -> Option<&str> {
    const FIRST_FIELD_AFTER_NAME: usize = 3;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name
        .split_ascii_whitespace()
        .nth(22 - FIRST_FIELD_AFTER_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn process_start_ticks_parse_despite_odd_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 424242 20 21";
        assert_eq!(start_ticks(&format!("7 (a) b (c) {tail}")), Some("424242"));
        assert_eq!(start_ticks("7 (a"), None);
    }

    #[test]
    fn process_start_of_this_process_is_known_and_stays() {
        let start = process_start(std::process::id()).unwrap();
        assert_eq!(process_start(std::process::id()), Some(start));
        assert_eq!(process_start(u32::MAX), None);
    }

    #[test]
    fn process_start_tells_writer_from_later_process() {
        let time = |seconds| DateTime::from_timestamp(seconds, 500_000_000);
        let ticks = ProcessStart::Ticks("42".to_owned());
        let second = ProcessStart::Time(time(100).unwrap());
        for (start, recorded, written, expected) in [
            (&ticks, Some("42"), None, true),
            (&ticks, Some("43"), time(0), false),
            (&ticks, None, time(0), true),
            (&second, Some("Mon Nov 30 13:45:35 2026"), time(100), true),
            (&second, None, time(101), true),
            (&second, None, time(99), false),
            (&second, None, None, true),
        ] {
            let is_writer = start.is_of_writer(recorded, written);
            assert_eq!(is_writer, expected, "{start} {recorded:?} {written:?}");
        }
    }
}
