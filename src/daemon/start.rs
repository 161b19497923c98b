//! Starts and stops the one daemon of this machine.

use std::path::PathBuf;
use std::time::Duration;

use super::status::DaemonStatus;
use crate::domain::{ErrorKind, UserError};
use crate::sys::fs::{PathError, remove_file_if_exists, write_cache};
use crate::sys::process::{ProcessError, Program};
use crate::sys::process_lock::{LockError, ProcessLock};
use crate::sys::signal::interrupted;
use crate::sys::{Clock, Env};

/// Time that a daemon gets to end in order: it sends what is queued.
const STOP_WAIT: Duration = Duration::from_secs(60);

/// Time that a hook may need to look for a daemon.
const HOOK_WAIT: Duration = Duration::from_secs(1);

/// Time between two looks whether a pull is done.
const CATCH_UP_POLL: Duration = Duration::from_millis(20);

/// Error: the daemon cannot be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The lock of the daemon cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The request cannot be written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It cannot be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The system does not tell where this program is.
    #[error("the path of this program is unknown")]
    NoProgram,
}

fn lock_path(env: &Env) -> PathBuf {
    super::directory(env).join("lock")
}

fn pull_path(env: &Env) -> PathBuf {
    super::directory(env).join("pull")
}

/// Returns the file that asks the daemon to end.
pub fn stop_path(env: &Env) -> PathBuf {
    super::directory(env).join("stop")
}

/// Locks the daemon's place; `None` if a daemon has it during the whole wait.
fn lock(env: &Env, wait: Duration, clock: &dyn Clock) -> Result<Option<ProcessLock>, DaemonError> {
    match ProcessLock::acquire(&lock_path(env), wait, clock, &mut |_| ()) {
        Ok(mut lock) => {
            lock.mark_clean();
            Ok(Some(lock))
        }
        Err(LockError::Busy { .. }) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Makes this process the daemon; `None` if another one runs.
pub(super) fn become_daemon(
    env: &Env,
    clock: &dyn Clock,
) -> Result<Option<ProcessLock>, DaemonError> {
    let lock = lock(env, HOOK_WAIT, clock)?;
    if lock.is_some() {
        remove_file_if_exists(&stop_path(env))?;
    }
    Ok(lock)
}

/// Returns true if a daemon runs.
///
/// # Errors
/// [`DaemonError`]
pub fn is_running(env: &Env, clock: &dyn Clock) -> Result<bool, DaemonError> {
    Ok(lock_path(env).exists() && lock(env, Duration::ZERO, clock)?.is_none())
}

/// Starts the daemon in the background if none runs. Returns true if one ran already.
///
/// # Errors
/// [`DaemonError`]
pub fn ensure_running(env: &Env, clock: &dyn Clock) -> Result<bool, DaemonError> {
    if is_running(env, clock)? {
        return Ok(true);
    }
    let program = env.program.as_ref().ok_or(DaemonError::NoProgram)?;
    // The directory of the session may be removed while the daemon runs.
    let daemon = Program::new(program).args(["daemon", "--on-demand"]);
    let daemon = daemon.current_dir(&env.home).with_store_key();
    daemon.start_in_background()?;
    Ok(false)
}

/// Asks the daemon to end and waits for it. Returns false if none runs.
///
/// # Errors
/// [`DaemonError`]; [`LockError::Busy`] if it still runs after a minute.
pub fn stop(env: &Env, clock: &dyn Clock) -> Result<bool, DaemonError> {
    if !is_running(env, clock)? {
        return Ok(false);
    }
    ask_to_end(env)?;
    // If it takes longer, the request stays: the daemon ends when its step has ended.
    let mut lock = ProcessLock::acquire(&lock_path(env), STOP_WAIT, clock, &mut |_| ())?;
    // A request without a daemon would end the next one.
    remove_file_if_exists(&stop_path(env))?;
    lock.mark_clean();
    Ok(true)
}

/// Asks the daemon, which is this process, to end soon: the remote gets little time.
pub(super) fn ask_to_end(env: &Env) -> Result<(), PathError> {
    write_cache(&stop_path(env), b"")
}

/// Returns true if the daemon is asked to end.
pub(super) fn is_asked_to_end(env: &Env) -> bool {
    stop_path(env).exists()
}

/// Asks the daemon for a pull, and waits for it up to `limit`. Does not wait if the last attempt to
/// reach the remote failed.
///
/// # Errors
/// [`DaemonError`]
pub fn catch_up(env: &Env, clock: &dyn Clock, limit: Duration) -> Result<(), DaemonError> {
    write_cache(&pull_path(env), b"")?;
    let was_running = ensure_running(env, clock)?;
    let has_failed = was_running
        && DaemonStatus::read(env)
            .and_then(|status| status.failure)
            .is_some_and(|failure| !failure.is_refusal);
    let began = clock.monotonic();
    while !has_failed
        && pull_path(env).exists()
        && clock.monotonic().saturating_sub(began) < limit
        && !interrupted()
    {
        clock.sleep(CATCH_UP_POLL);
    }
    Ok(())
}

/// Returns true if a pull is asked for.
pub(super) fn is_asked_to_pull(env: &Env) -> bool {
    pull_path(env).exists()
}

/// Records that the pull was made.
pub(super) fn answer_pull(env: &Env) {
    // If the request stays, the next round pulls again.
    let _ = remove_file_if_exists(&pull_path(env));
}

impl UserError for DaemonError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Lock(e) => e.kind(),
            Self::Path(e) => e.kind(),
            Self::Process(e) => e.kind(),
            Self::NoProgram => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Lock(e) => e.hints(),
            Self::Path(e) => e.hints(),
            Self::Process(e) => e.hints(),
            Self::NoProgram => Vec::new(),
        }
    }
}
