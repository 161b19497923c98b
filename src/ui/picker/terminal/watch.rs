//! Ends the process after a signal if it does not end itself: because it waits for the
//! rest of a key sequence, or because a preview is blocked by a slow disk.

use std::process;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::modes::Modes;
use crate::sys::signal;

/// Interval between two checks of the signal count.
const INTERVAL: Duration = Duration::from_millis(100);
/// Number of checks after a signal before the process is ended.
const MAX_WAITS: u32 = 10;

/// Watches until it is dropped.
pub(super) struct Watch(#[expect(dead_code, reason = "dropping it ends the thread")] Sender<()>);

impl Watch {
    /// Watches for signals that arrive from now on.
    pub(super) fn start(modes: Arc<Modes>) -> Self {
        let (alive, watched) = mpsc::channel();
        let before = signal::count();
        thread::spawn(move || {
            let mut waited = 0;
            while watched.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                waited += u32::from(signal::count() > before);
                if waited > MAX_WAITS {
                    modes.restore();
                    process::exit(signal::EXIT_INTERRUPTED);
                }
            }
        });
        Self(alive)
    }
}
