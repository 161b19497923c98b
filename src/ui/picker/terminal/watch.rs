//! Ends the process when it was told to end and does not: because half of a key was typed and the rest is waited for, or because
//! a look into a session does not come back from a slow disk.

use std::process;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::modes::Modes;
use crate::sys::signal;

/// How often the signals are counted.
const EVERY: Duration = Duration::from_millis(100);
/// So often in vain, and nothing else will happen.
const TIMEOUT: u32 = 10;

/// Watches while it lives.
pub(super) struct Watch(#[expect(dead_code, reason = "dropping it ends the thread")] Sender<()>);

impl Watch {
    /// Watches for signals that arrive from now on.
    pub(super) fn start(modes: Arc<Modes>) -> Self {
        let (alive, watched) = mpsc::channel();
        let before = signal::count();
        thread::spawn(move || {
            let mut waited = 0;
            while watched.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                waited += u32::from(signal::count() > before);
                if waited > TIMEOUT {
                    modes.put_back();
                    process::exit(signal::EXIT_INTERRUPTED);
                }
            }
        });
        Self(alive)
    }
}
