//! Works by itself: hooks of the client tell what happens, one process per machine takes locks,
//! pushes, pulls and releases.
//!
//! ```text
//! hook of the client     hook.rs    writes one file (spool.rs), starts the daemon (start.rs)
//! daemon                 run.rs     its keeper pushes and has the locks; it pulls
//! changes of files       watch.rs   wake the daemon
//! status file            status.rs  knowledge of the daemon, for hooks, status line and user
//! service                service.rs the same process, run by the system all the time
//! prompt of the user     guard.rs   refused once if another machine continues the session
//! ```
//!
//! Owns `daemon/` in the state directory. The hook and the status line read the status file only:
//! they neither open the store nor use the network. Must not print.

pub mod guard;
pub mod hook;
pub mod run;
pub mod service;
pub mod start;
pub mod status;
pub mod watch;

mod log;
mod spool;

use std::path::PathBuf;

use crate::sys::Env;
use crate::sys::fs::PathError;

/// Returns the directory of the daemon's files.
fn directory(env: &Env) -> PathBuf {
    env.dirs.state.join("daemon")
}

/// Removes every file of the daemon. No daemon may run.
///
/// # Errors
/// [`PathError`]
pub fn remove_files(env: &Env) -> Result<(), PathError> {
    let directory = directory(env);
    match std::fs::remove_dir_all(&directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|e| PathError::new("remove", &directory, e)),
    }
}
