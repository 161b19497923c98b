//! Interruption: the first Ctrl-C (or termination, or a closed terminal) sets a flag, the second ends the process.
//!
//! Owns the signal handlers. Must not clean up: the code that notices the flag finishes or abandons its step and
//! returns, so that guards run.
//!
//! While another program has the terminal ([`lend_terminal`]), Ctrl-C is that program's business and counts for nothing here; being told
//! to end is noted for whoever lent it.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static ANSWERED: AtomicUsize = AtomicUsize::new(0);
static SHIELDS: AtomicUsize = AtomicUsize::new(0);
static LENT: AtomicUsize = AtomicUsize::new(0);
static TOLD_TO_END: AtomicI32 = AtomicI32::new(0);

/// The exit code of an interrupted run: 128 + SIGINT.
pub const EXIT_INTERRUPTED: i32 = 130;

/// The handlers could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for signals")]
pub struct SignalError(#[source] std::io::Error);

/// Installs the handlers. Call once, at the start of the process.
///
/// # Errors
/// [`SignalError`] if the system refuses.
pub fn install() -> Result<(), SignalError> {
    listen().map_err(SignalError)
}

/// The user interrupted. Everything done before is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Stops the caller before its next step if a signal has arrived.
///
/// # Errors
/// [`Interrupted`]
pub fn check() -> Result<(), Interrupted> {
    if interrupted() {
        Err(Interrupted)
    } else {
        Ok(())
    }
}

/// Whether a signal has arrived: stop before the next step.
pub fn interrupted() -> bool {
    count() > ANSWERED.load(Ordering::SeqCst)
}

/// What was interrupted has stopped. What begins now, to leave things in order after it, is stopped by later signals only.
pub fn answer_interruption() {
    ANSWERED.store(count(), Ordering::SeqCst);
}

/// How many signals have arrived. A step begun after an interruption (giving a lock back) compares against its own
/// start.
pub fn count() -> usize {
    ARRIVED.load(Ordering::SeqCst)
}

/// While one of these lives, no number of signals ends the process: for the time in which the terminal is in a state that only this
/// process can end, and for the last steps that must not be cut.
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

/// While this lives, another program has the terminal, and no number of signals ends this process.
#[derive(Debug)]
pub struct LentTerminal(());

/// Lends the terminal to another program, which is about to be started.
pub fn lend_terminal() -> LentTerminal {
    LENT.fetch_add(1, Ordering::SeqCst);
    LentTerminal(())
}

/// Whether another program has the terminal.
pub fn terminal_is_lent() -> bool {
    LENT.load(Ordering::SeqCst) > 0
}

impl LentTerminal {
    /// The signal (SIGTERM, or SIGHUP for a terminal that is gone) by which this process was told to end since the terminal was lent.
    pub fn asked_to_end(&self) -> Option<i32> {
        Some(TOLD_TO_END.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }
}

impl Drop for LentTerminal {
    fn drop(&mut self) {
        LENT.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One thread waits for signals, so that what is done about them is ordinary code.
#[cfg(unix)]
fn listen() -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let wait = move || {
        signals
            .forever()
            .for_each(|signal| on_signal(signal, signal != SIGINT));
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .map(drop)
}

#[cfg(not(unix))]
fn listen() -> std::io::Result<()> {
    ctrlc::set_handler(|| on_signal(EXIT_INTERRUPTED - 128, false)).map_err(std::io::Error::other)
}

fn on_signal(signal: i32, asked_to_end: bool) {
    if terminal_is_lent() {
        if asked_to_end {
            TOLD_TO_END.store(signal, Ordering::SeqCst);
        }
        return;
    }
    let before = ARRIVED.fetch_add(1, Ordering::SeqCst);
    if before > 0 && SHIELDS.load(Ordering::SeqCst) == 0 {
        std::process::exit(EXIT_INTERRUPTED);
    }
}
