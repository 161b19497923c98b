//! Locks between processes, which the kernel frees when their holder ends: one for ccsync itself,
//! one for the programs that it starts.
//!
//! Owns the lock files. They are never deleted: a process may still hold an unlinked file while
//! another one locks a new file of the same name, and then both believe that they are alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use super::clock::Clock;
use super::fs::{self, PathError};
use super::signal::Interrupted;
use crate::domain::{ErrorKind, UserError};

/// Hint for a file system without locks, as some network file systems.
const NO_FLOCK: &str = "that file system cannot lock files: set `CCSYNC_HOME` to a directory on a \
    local disk, and move what is in `~/.config/ccsync` and `~/.local` there";

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// The lock of one ccsync process. Held until dropped, or until the process ends in any way.
#[derive(Debug)]
pub struct ProcessLock {
    /// Closing the file releases the lock.
    file: File,
    was_abandoned: bool,
    /// No stale files remain for the next holder.
    is_clean: bool,
}

/// Why the lock was not acquired.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process held it during the whole wait.
    #[error("another ccsync process{} is running", pid.map(|p| format!(" ({p})")).unwrap_or_default())]
    Busy {
        /// The process id of the holder, if it could be read.
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
    /// Locks the file at `path`, which is created if it is missing. Waits up to `wait`.
    ///
    /// Calls `on_wait` once if the lock is held, with the holder's process id if it is known.
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
        let mut is_first = true;
        while !try_lock(&file, path)? {
            super::signal::check()?;
            let waited = clock.monotonic().saturating_sub(began);
            if waited >= wait {
                return Err(LockError::Busy {
                    pid: holder(&mut file),
                });
            }
            if std::mem::take(&mut is_first) {
                on_wait(holder(&mut file));
            }
            clock.sleep(pause.min(wait - waited));
            pause = (pause * 2).min(MAX_PAUSE);
        }
        let was_abandoned = holder(&mut file).is_some();
        // The lock holds even if the pid cannot be written.
        let _ = write_pid(&mut file);
        Ok(Self {
            file,
            was_abandoned,
            is_clean: !was_abandoned,
        })
    }

    /// Returns true if the previous holder crashed while holding the lock.
    pub fn was_abandoned(&self) -> bool {
        self.was_abandoned
    }

    /// Records that the stale files of the previous holder are removed. Until then, the next
    /// holder sees the lock as abandoned, too.
    pub fn mark_clean(&mut self) {
        self.is_clean = true;
    }
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        // A file without a pid tells the next holder that nothing was abandoned.
        if self.is_clean {
            let _ = self.file.set_len(0);
        }
    }
}

/// A shared lock that every program started by this process inherits. The kernel frees it when
/// the last of them has ended.
///
/// A program that outlives its ccsync may still write to the files of the next one.
#[derive(Debug)]
pub struct ChildProcessLock {
    /// Closing the file gives up this process's share.
    _file: File,
    is_alone: bool,
}

impl ChildProcessLock {
    /// Takes a share of the lock at `path`. First waits up to `wait` for programs of earlier
    /// processes to end.
    ///
    /// The caller holds a [`ProcessLock`], so that no other process competes.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn acquire(path: &Path, wait: Duration, clock: &dyn Clock) -> Result<Self, PathError> {
        let file = open(path)?;
        let began = clock.monotonic();
        let mut is_alone = try_lock(&file, path)?;
        while !is_alone
            && clock.monotonic().saturating_sub(began) < wait
            && !super::signal::interrupted()
        {
            clock.sleep(FIRST_PAUSE);
            is_alone = try_lock(&file, path)?;
        }
        let failed = |e| PathError::new("lock", path, e);
        // Shared with the programs that did not end: the next process must see ours, too.
        file.lock_shared().map_err(failed)?;
        let is_inherited = let_children_inherit(&file).map_err(failed)?;
        Ok(Self {
            _file: file,
            is_alone: is_alone && is_inherited,
        })
    }

    /// Returns true if all programs of earlier processes have ended.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }
}

/// Lets child processes inherit the open file; false if they may run on unseen.
#[cfg(unix)]
fn let_children_inherit(file: &File) -> io::Result<bool> {
    rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?;
    Ok(true)
}

/// No child outlives this process: each is in a job that ends with it (`process::job`).
#[cfg(not(unix))]
fn let_children_inherit(_: &File) -> io::Result<bool> {
    Ok(true)
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

/// Writes the pid in one step and always with the same length, so that the file is never empty
/// between the pid of a crashed holder and that of the next one.
fn write_pid(file: &mut File) -> io::Result<()> {
    file.rewind()?;
    file.write_all(format!("{:<15}\n", std::process::id()).as_bytes())
}

impl UserError for LockError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy { .. } => ErrorKind::Busy,
            Self::Interrupted(e) => e.kind(),
            Self::Path(e) => e.kind(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Busy { .. } => vec!["run the command again when it has finished".to_owned()],
            Self::Interrupted(e) => e.hints(),
            Self::Path(e) => match e.hints() {
                hints if hints.is_empty() => vec![NO_FLOCK.to_owned()],
                hints => hints,
            },
        }
    }
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
        let held =
            ProcessLock::acquire(&path, second, &clock, &mut |_| panic!("it is free")).unwrap();
        let mut waits = Vec::new();
        let error =
            ProcessLock::acquire(&path, second, &clock, &mut |pid| waits.push(pid)).unwrap_err();
        let me = Some(std::process::id());
        assert!(
            matches!(error, LockError::Busy { pid } if cfg!(windows) || pid == me),
            "{error}"
        );
        assert_eq!(waits.len(), 1);
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
        assert!(!acquire().was_abandoned(), "the first holder released it");
        fs::write_atomic(&path, b"123456\n").unwrap();
        assert!(acquire().was_abandoned());
        acquire().mark_clean();
        assert!(!acquire().was_abandoned());
    }

    #[cfg(unix)]
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "a program whose output is not read"
    )]
    fn child_lock_sees_program_of_earlier_process() {
        use std::process::{Command, Stdio};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("children");
        let clock = SystemClock::default();
        let acquire =
            |wait| ChildProcessLock::acquire(&path, Duration::from_millis(wait), &clock).unwrap();
        let first = acquire(0);
        assert!(first.is_alone());
        // Ends when its standard input is closed.
        let mut orphan = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        drop(first);
        assert!(!acquire(50).is_alone());
        drop(orphan.stdin.take());
        orphan.wait().unwrap();
        assert!(acquire(20_000).is_alone());
    }
}
