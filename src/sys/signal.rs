//! Interruption: the first Ctrl-C (or termination, or a closed terminal) sets a flag, the second
//! one ends the process.
//!
//! Owns the signal handlers. Must not clean up: the code that sees the flag finishes or abandons
//! its step and returns, so that guards run.
//!
//! While another program has the terminal ([`lend_terminal`]), Ctrl-C is meant for that program
//! and does not count here; a request to terminate is recorded for the lender.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use crate::domain::{ErrorKind, UserError, error::please_report};

static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static ANSWERED: AtomicUsize = AtomicUsize::new(0);
static SHIELDS: AtomicUsize = AtomicUsize::new(0);
static LENT: AtomicUsize = AtomicUsize::new(0);
static END_SIGNAL: AtomicI32 = AtomicI32::new(0);

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

/// Returns true if a signal has arrived: stop before the next step.
pub fn interrupted() -> bool {
    count() > ANSWERED.load(Ordering::SeqCst)
}

/// Stops the steps that other threads have begun, for a command that is about to end.
pub fn interrupt() {
    ARRIVED.fetch_add(1, Ordering::SeqCst);
}

/// Marks the interruption as handled: the cleanup that begins now is stopped by later signals only.
pub fn answer_interruption() {
    ANSWERED.store(count(), Ordering::SeqCst);
}

/// Returns the number of signals that have arrived.
///
/// A step begun after an interruption (releasing a lock) compares it with the number at its start.
pub fn count() -> usize {
    ARRIVED.load(Ordering::SeqCst)
}

/// While a shield lives, no number of signals ends the process.
///
/// For the time in which only this process can restore the terminal, and for the last steps of a
/// command.
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

/// While this lives, another program has the terminal, and no signal ends this process.
#[derive(Debug)]
pub struct LentTerminal(());

/// Lends the terminal to another program, which is about to be started.
pub fn lend_terminal() -> LentTerminal {
    LENT.fetch_add(1, Ordering::SeqCst);
    LentTerminal(())
}

/// Returns true if another program has the terminal.
pub fn terminal_is_lent() -> bool {
    LENT.load(Ordering::SeqCst) > 0
}

impl LentTerminal {
    /// Returns the signal that asked this process to end since the terminal was lent: SIGTERM,
    /// or SIGHUP for a closed terminal.
    pub fn end_signal(&self) -> Option<i32> {
        Some(END_SIGNAL.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }
}

impl Drop for LentTerminal {
    fn drop(&mut self) {
        LENT.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for signals in a thread, so that ordinary code can handle them.
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
            END_SIGNAL.store(signal, Ordering::SeqCst);
        }
        return;
    }
    let before = ARRIVED.fetch_add(1, Ordering::SeqCst);
    if before > 0 && SHIELDS.load(Ordering::SeqCst) == 0 {
        std::process::exit(EXIT_INTERRUPTED);
    }
}

impl UserError for Interrupted {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Interrupted
    }

    fn hints(&self) -> Vec<String> {
        vec!["nothing is lost; to continue, run the command again".to_owned()]
    }
}

impl UserError for SignalError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }

    fn hints(&self) -> Vec<String> {
        vec![please_report()]
    }
}
