//! One process at a time: a lock that the kernel frees when its holder dies; and whether programs that the dead holder
//! started live on.
//!
//! Owns the lock files. They are never deleted: a process may still hold an unlinked file while another locks a new one of
//! the same name, and then both believe that they are alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use super::clock::Clock;
use super::fs::{self, PathError};
use super::signal::Interrupted;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Held until dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub struct ProcessLock {
    /// Closing the file frees the lock.
    file: File,
    was_abandoned: bool,
    /// The next holder finds all in order.
    in_order: bool,
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
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
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
            super::signal::check()?;
            let waited = clock.monotonic().saturating_sub(began);
            if waited >= wait {
                return Err(LockError::Busy {
                    pid: holder(&mut file),
                });
            }
            if !told {
                on_wait(holder(&mut file));
                told = true;
            }
            clock.sleep(pause.min(wait - waited));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        let was_abandoned = holder(&mut file).is_some();
        // If the pid cannot be written, the lock holds all the same.
        let _ = write_pid(&mut file);
        Ok(Self {
            file,
            was_abandoned,
            in_order: !was_abandoned,
        })
    }

    /// Whether the holder before this one never came to give the lock back, so that it may have left things behind.
    pub fn was_abandoned(&self) -> bool {
        self.was_abandoned
    }

    /// What the dead predecessor left is cleared away; until this is said, the next holder is told of it too.
    pub fn mark_clean(&mut self) {
        self.in_order = true;
    }
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        // Whoever finds no pid in the file knows that all is in order.
        if self.in_order {
            let _ = self.file.set_len(0);
        }
    }
}

/// A lock that passes on to every program that this process starts, and that the kernel frees when the last of them has ended.
///
/// A program that outlives the process which started it may still write where the next process is at work.
#[derive(Debug)]
pub struct ChildProcessLock {
    /// Closing the file gives up this process's share.
    _file: File,
    alone: bool,
}

impl ChildProcessLock {
    /// Takes a share of the lock at `path`, after waiting up to `wait` for what programs of earlier processes still hold of it.
    /// Held under a [`ProcessLock`], so that nobody else competes.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn acquire(path: &Path, wait: Duration, clock: &dyn Clock) -> Result<Self, PathError> {
        let file = open(path)?;
        let began = clock.monotonic();
        let mut alone = try_lock(&file, path)?;
        while !alone
            && clock.monotonic().saturating_sub(began) < wait
            && !super::signal::interrupted()
        {
            clock.sleep(FIRST_PAUSE);
            alone = try_lock(&file, path)?;
        }
        let failed = |e| PathError::new("lock", path, e);
        // Together with those who would not end: whoever comes next must hear of ours too.
        file.lock_shared().map_err(failed)?;
        let passed_on = pass_on(&file).map_err(failed)?;
        Ok(Self {
            _file: file,
            alone: alone && passed_on,
        })
    }

    /// Whether no program of an earlier process is alive any more.
    pub fn is_alone(&self) -> bool {
        self.alone
    }
}

/// Lets programs inherit the open file; false where the system has no such thing.
#[cfg(unix)]
fn pass_on(file: &File) -> io::Result<bool> {
    rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?;
    Ok(true)
}

#[cfg(not(unix))]
fn pass_on(_: &File) -> io::Result<bool> {
    Ok(false)
}

fn open(path: &Path) -> Result<File, PathError> {
    if let Some(directory) = path.parent() {
        fs::create_private_dir_all(directory)?;
    }
    let open = || {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
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

/// In one step and always of the same length: the file is never empty between the pid of a dead holder and that of the next.
fn write_pid(file: &mut File) -> io::Result<()> {
    file.rewind()?;
    file.write_all(format!("{:<15}\n", std::process::id()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::{ManualClock, SystemClock};

    #[test]
    fn process_lock_waits_and_names_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/lock");
        let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let second = Duration::from_secs(1);
        let held = ProcessLock::acquire(&path, second, &clock, &mut |_| panic!("nobody holds it"))
            .unwrap();
        let mut told = Vec::new();
        let error =
            ProcessLock::acquire(&path, second, &clock, &mut |pid| told.push(pid)).unwrap_err();
        let me = Some(std::process::id());
        assert!(
            matches!(error, LockError::Busy { pid } if cfg!(windows) || pid == me),
            "{error}"
        );
        assert_eq!(told.len(), 1);
        assert_eq!(clock.monotonic(), second);
        drop(held);
        ProcessLock::acquire(&path, Duration::ZERO, &clock, &mut |_| ()).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn process_lock_is_acquired_after_release() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let clock = SystemClock::default();
        let held = ProcessLock::acquire(&path, Duration::ZERO, &clock, &mut |_| ()).unwrap();
        let mut held = Some(held);
        ProcessLock::acquire(&path, Duration::from_secs(20), &clock, &mut |_| held = None).unwrap();
    }

    #[test]
    fn process_lock_reports_abandoned_holder_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let clock = SystemClock::default();
        let acquire = || ProcessLock::acquire(&path, Duration::ZERO, &clock, &mut |_| ()).unwrap();
        assert!(!acquire().was_abandoned());
        assert!(!acquire().was_abandoned(), "the first one gave it back");
        fs::write_atomic(&path, b"123456\n").unwrap();
        assert!(acquire().was_abandoned());
        acquire().mark_clean();
        assert!(!acquire().was_abandoned());
    }

    #[cfg(unix)]
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a program that nobody listens to"
    )]
    fn a_program_that_outlives_its_process_is_known() {
        use std::process::{Command, Stdio};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("family");
        let clock = SystemClock::default();
        let acquire =
            |wait| ChildProcessLock::acquire(&path, Duration::from_millis(wait), &clock).unwrap();
        let first = acquire(0);
        assert!(first.is_alone());
        // Ends when this process lets go of its standard input.
        let mut orphan = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        drop(first);
        assert!(!acquire(50).is_alone());
        drop(orphan.stdin.take());
        orphan.wait().unwrap();
        assert!(acquire(20_000).is_alone());
    }
}
