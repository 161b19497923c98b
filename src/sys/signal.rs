//! Interruption: the first Ctrl-C (or termination, or a closed terminal) sets a flag, the second ends the process.
//!
//! Owns the signal handler. Must not clean up: the code that notices the flag finishes or abandons its step and
//! returns, so that guards run.

use std::sync::atomic::{AtomicUsize, Ordering};

static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static SHIELDS: AtomicUsize = AtomicUsize::new(0);

/// The exit code of an interrupted run: 128 + SIGINT.
pub const EXIT_INTERRUPTED: i32 = 130;

/// The handler could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for signals")]
pub struct SignalError(#[source] ctrlc::Error);

/// Installs the handler. Call once, at the start of the process.
///
/// # Errors
/// [`SignalError`] if a handler is already installed or the system refuses.
pub fn install() -> Result<(), SignalError> {
    ctrlc::set_handler(on_signal).map_err(SignalError)
}

/// Whether a signal has arrived: stop before the next step.
pub fn interrupted() -> bool {
    count() > 0
}

/// How many signals have arrived. A step begun after an interruption (giving a lock back) compares against its own
/// start.
pub fn count() -> usize {
    ARRIVED.load(Ordering::SeqCst)
}

/// While one of these lives, no number of signals ends the process: for the time another program owns the terminal, and
/// for the last steps that must not be cut.
#[derive(Debug)]
pub struct Shield(());

/// Raises a [`Shield`].
pub fn shield() -> Shield {
    SHIELDS.fetch_add(1, Ordering::SeqCst);
    Shield(())
}

impl Drop for Shield {
    fn drop(&mut self) {
        SHIELDS.fetch_sub(1, Ordering::SeqCst);
    }
}

fn on_signal() {
    let before = ARRIVED.fetch_add(1, Ordering::SeqCst);
    if before > 0 && SHIELDS.load(Ordering::SeqCst) == 0 {
        std::process::exit(EXIT_INTERRUPTED);
    }
}
