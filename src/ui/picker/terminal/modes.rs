//! What is changed about the terminal, and put back: when the picker is done, when it
//! panics, when the process must end.

use std::io;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ratatui_crossterm::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui_crossterm::crossterm::{cursor, execute};

/// True if the terminal is changed. Put back once: a second time would move the cursor
/// back over what was written since.
#[derive(Default)]
pub(super) struct Modes(AtomicBool);

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// While it lives, a panic first gives the terminal back, so that its message stays on the screen.
pub(super) struct RestoringHook(Arc<Hook>);

impl Modes {
    /// Each key counts at once, nothing typed is shown, and the screen is another one.
    pub(super) fn change(&self) -> io::Result<()> {
        self.0.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(io::stderr(), EnterAlternateScreen, EnableBracketedPaste)
    }

    /// If the terminal is gone there is nobody to give it back to.
    pub(super) fn put_back(&self) {
        if self.0.swap(false, Ordering::SeqCst) {
            let _ = execute!(
                io::stderr(),
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
            modes.put_back();
            then(info);
        }));
        Self(before)
    }
}

impl Drop for RestoringHook {
    fn drop(&mut self) {
        // A panicking thread may not change the hook.
        if !thread::panicking() {
            let before = Arc::clone(&self.0);
            panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}
