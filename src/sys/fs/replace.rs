//! Giving a file its name while other programs have the former one open.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use crate::sys::clock::{Clock, SystemClock};

/// Pauses between attempts, in milliseconds; together one second.
const PAUSES_MS: [u64; 5] = [20, 60, 180, 320, 420];

/// Codes of Windows for a file that another program has open: `ERROR_ACCESS_DENIED`,
/// `ERROR_SHARING_VIOLATION`, `ERROR_LOCK_VIOLATION`.
const HELD: [i32; 3] = [5, 32, 33];

/// Renames a file, and replaces what is at `to`.
///
/// On Windows a virus scanner or an indexer keeps a new file open for a moment, which fails the
/// first attempts.
pub(in crate::sys) fn replace_file(from: &Path, to: &Path) -> io::Result<()> {
    let is_held =
        |e: &io::Error| cfg!(windows) && e.raw_os_error().is_some_and(|e| HELD.contains(&e));
    let clock = SystemClock::default();
    retry(|| fs::rename(from, to), is_held, &clock)
}

fn retry(
    attempt: impl Fn() -> io::Result<()>,
    is_held: impl Fn(&io::Error) -> bool,
    clock: &dyn Clock,
) -> io::Result<()> {
    for pause in PAUSES_MS {
        match attempt() {
            Err(e) if is_held(&e) => clock.sleep(Duration::from_millis(pause)),
            result => return result,
        }
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::sys::clock::ManualClock;

    #[test]
    fn replace_waits_for_program_that_has_file_open() {
        let is_held = |e: &io::Error| e.raw_os_error() == Some(32);
        for (held_for, code, expected, waited) in [
            (0, 32, Ok(()), 0),
            (2, 32, Ok(()), 80),
            (9, 32, Err(32), 1000),
            (9, 2, Err(2), 0),
        ] {
            let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
            let left = Cell::new(held_for);
            let attempt = || match left.get() {
                0 => Ok(()),
                n => {
                    left.set(n - 1);
                    Err(io::Error::from_raw_os_error(code))
                }
            };
            let result = retry(attempt, is_held, &clock).map_err(|e| e.raw_os_error().unwrap());
            assert_eq!(result, expected);
            assert_eq!(clock.monotonic(), Duration::from_millis(waited));
        }
    }
}
