//! The terminal: taken over, asked for keys, and given back as it was, whatever happens.
//!
//! Owns raw mode, the alternate screen and the reading of keys. Must not know what is drawn or what a key means.

use std::io::{self, BufWriter, IsTerminal, Stderr};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ratatui_core::terminal::{Frame, Terminal};
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui_crossterm::crossterm::{cursor, execute, style};

use super::PickError;
use super::state::Key;
use crate::sys::signal::{self, Shield};

/// A signal that arrives while nobody types is noticed this soon.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);

/// What arrived.
pub(super) enum Input {
    Key(Key),
    Paste(String),
    /// Draw again: the window has another size.
    Resized,
    /// The process is to end.
    Interrupted,
}

/// The terminal in our hands. Given back when dropped.
pub(super) struct Taken {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
    modes: Arc<Modes>,
    _hook: RestoringHook,
    /// A second signal must not end the process before the terminal is given back.
    _shield: Shield,
    signals: usize,
}

type Hook = dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync;

/// What was changed about the terminal. Put back once: a second time would move the cursor back over what was written since.
#[derive(Default)]
struct Modes(AtomicBool);

/// While it lives, a panic first gives the terminal back, so that its message stays on the screen.
struct RestoringHook(Arc<Hook>);

impl Taken {
    /// Takes the terminal over.
    pub(super) fn take(colors: bool) -> Result<Self, PickError> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(PickError::NoTerminal);
        }
        // Whether there are colours is decided already; the library would ask the environment once more.
        style::force_color_output(colors);
        let shield = signal::shield();
        let modes = Arc::new(Modes::default());
        let hook = RestoringHook::set(Arc::clone(&modes));
        let backend = CrosstermBackend::new(BufWriter::new(io::stderr()));
        let terminal = Terminal::new(backend).map_err(PickError::Terminal)?;
        let taken = Self { terminal, modes, _hook: hook, _shield: shield, signals: signal::count() };
        // If it fails half-way, dropping gives back what was taken so far.
        taken.modes.change().map_err(PickError::Terminal)?;
        Ok(taken)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), PickError> {
        self.terminal.draw(draw).map(drop).map_err(PickError::Terminal)
    }

    /// Waits for the next input that means something.
    pub(super) fn next(&mut self) -> Result<Input, PickError> {
        loop {
            if signal::count() > self.signals {
                return Ok(Input::Interrupted);
            }
            if event::poll(SIGNALS_EVERY).map_err(PickError::Terminal)?
                && let Some(input) = input(event::read().map_err(PickError::Terminal)?)
            {
                return Ok(input);
            }
        }
    }

    /// Whether more input waits already, so that drawing can wait, too.
    pub(super) fn has_more(&self) -> bool {
        event::poll(Duration::ZERO).unwrap_or(false)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.modes.put_back();
    }
}

impl Modes {
    fn change(&self) -> io::Result<()> {
        self.0.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(io::stderr(), EnterAlternateScreen, EnableBracketedPaste)
    }

    /// If the terminal is gone there is nobody to give it back to.
    fn put_back(&self) {
        if self.0.swap(false, Ordering::SeqCst) {
            let _ = execute!(io::stderr(), DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
            let _ = disable_raw_mode();
        }
    }
}

impl RestoringHook {
    fn set(modes: Arc<Modes>) -> Self {
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

fn input(event: Event) -> Option<Input> {
    match event {
        Event::Key(event) if event.kind != KeyEventKind::Release => key(event).map(Input::Key),
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Resize(..) => Some(Input::Resized),
        _ => None,
    }
}

/// The keys that mean something.
fn key(event: KeyEvent) -> Option<Key> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    Some(match event.code {
        // AltGr is both.
        KeyCode::Char(c) if control == alt => Key::Char(c),
        KeyCode::Char('c') if control => Key::Cancel,
        KeyCode::Char('u') if control => Key::Clear,
        KeyCode::Char('p') if control => Key::Up,
        KeyCode::Char('n') if control => Key::Down,
        // What some terminals send for backspace, enter and tab.
        KeyCode::Char('h') if control => Key::Backspace,
        KeyCode::Char('j' | 'm') if control => Key::Enter,
        KeyCode::Char('i') if control => Key::Tab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Tab => Key::Tab,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        _ => return None,
    })
}

#[cfg(all(test, unix))]
mod tests;
