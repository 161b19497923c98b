//! One process at a time: a lock that the kernel frees when its holder dies.
//!
//! Owns the lock file. It is never deleted: a process may still hold an unlinked file while another locks a new one of
//! the same name, and then both believe that they are alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use super::clock::Clock;
use super::fs::{self, PathError};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Held until dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub struct ProcessLock {
    /// Closing the file frees the lock.
    _file: File,
}

/// Why the lock was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process held it all the time.
    #[error("another ccsync process{} is still working", pid.map(|p| format!(" ({p})")).unwrap_or_default())]
    Busy {
        /// The holder, if it could be read.
        pid: Option<u32>,
    },
    /// An interruption arrived while waiting.
    #[error("interrupted while waiting for another ccsync process")]
    Interrupted,
    /// The lock file could not be opened or locked.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl ProcessLock {
    /// Locks the file at `path` (created if missing), waiting up to `wait` for its holder.
    ///
    /// `on_wait` is called once, when the lock turns out to be held, with the holder's process id where it is known.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn acquire(
        path: &Path,
        wait: Duration,
        clock: &dyn Clock,
        on_wait: &mut dyn FnMut(Option<u32>),
    ) -> Result<Self, LockError> {
        let mut file = open(path)?;
        let began = clock.monotonic();
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        while !try_lock(&file, path)? {
            if super::signal::interrupted() {
                return Err(LockError::Interrupted);
            }
            let waited = clock.monotonic().saturating_sub(began);
            if waited >= wait {
                return Err(LockError::Busy { pid: holder(&mut file) });
            }
            if !told {
                on_wait(holder(&mut file));
                told = true;
            }
            clock.sleep(pause.min(wait - waited));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        // The pid is for people only: if it cannot be written, the lock holds all the same.
        let _ = write_pid(&mut file);
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File, PathError> {
    if let Some(directory) = path.parent() {
        fs::create_private_dir_all(directory)?;
    }
    let open = || {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        fs::make_private(&file)?;
        Ok(file)
    };
    open().map_err(|e| PathError::new("lock", path, e))
}

fn try_lock(file: &File, path: &Path) -> Result<bool, PathError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(PathError::new("lock", path, e)),
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::{ManualClock, SystemClock};

    #[test]
    fn the_second_waits_and_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/lock");
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let second = Duration::from_secs(1);
        let held = ProcessLock::acquire(&path, second, &clock, &mut |_| panic!("nobody holds it")).unwrap();
        let mut told = Vec::new();
        let error = ProcessLock::acquire(&path, second, &clock, &mut |pid| told.push(pid)).unwrap_err();
        let me = Some(std::process::id());
        assert!(matches!(error, LockError::Busy { pid } if cfg!(windows) || pid == me), "{error}");
        assert_eq!(told.len(), 1);
        assert_eq!(clock.monotonic(), second);
        drop(held);
        ProcessLock::acquire(&path, Duration::ZERO, &clock, &mut |_| ()).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn the_second_gets_in_when_the_first_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let clock = SystemClock::default();
        let held = ProcessLock::acquire(&path, Duration::ZERO, &clock, &mut |_| ()).unwrap();
        let mut held = Some(held);
        ProcessLock::acquire(&path, Duration::from_secs(20), &clock, &mut |_| held = None).unwrap();
    }
}
