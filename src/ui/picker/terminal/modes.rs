//! Changes the modes of the terminal, and restores them: when the picker ends, when it
//! panics, when the process has to end.

use std::io;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ratatui_crossterm::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui_crossterm::crossterm::{cursor, execute};

/// True while the terminal is changed. It is restored once: a second time would move the
/// cursor over later output.
#[derive(Default)]
pub(super) struct Modes(AtomicBool);

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// While it lives, a panic restores the terminal first, so that its message stays
/// visible.
pub(super) struct RestoringHook(Arc<Hook>);

impl Modes {
    /// Switches to raw mode and to the alternate screen.
    pub(super) fn change(&self) -> io::Result<()> {
        self.0.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(
            io::stderr(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableMouseCapture
        )
    }

    /// Restores the terminal. Ignores failures: the terminal may be closed.
    pub(super) fn restore(&self) {
        if self.0.swap(false, Ordering::SeqCst) {
            let _ = execute!(
                io::stderr(),
                DisableMouseCapture,
                DisableBracketedPaste,
                LeaveAlternateScreen,
                cursor::Show
            );
            let _ = disable_raw_mode();
        }
    }
}

impl RestoringHook {
    pub(super) fn set(modes: Arc<Modes>) -> Self {
        let before: Arc<Hook> = panic::take_hook().into();
        let then = Arc::clone(&before);
        panic::set_hook(Box::new(move |info| {
            modes.restore();
            then(info);
        }));
        Self(before)
    }
}

impl Drop for RestoringHook {
    fn drop(&mut self) {
        // A panicking thread cannot change the hook.
        if !thread::panicking() {
            let before = Arc::clone(&self.0);
            panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}
