//! The terminal: taken over, asked for keys, and given back as it was, whatever happens.
//!
//! Owns raw mode, the alternate screen and the reading of keys. Must not know what is drawn or what a key means.
//!
//! * `modes`: what is changed about the terminal and put back
//! * `watch`: that the process ends when it is to end, whatever it waits for

mod modes;
#[cfg(all(test, unix))]
mod tests;
mod watch;

use std::io::{self, BufWriter, IsTerminal, Stderr};
use std::sync::Arc;
use std::time::Duration;

use ratatui_core::backend::Backend;
use ratatui_core::layout::Rect;
use ratatui_core::terminal::{Frame, Terminal, TerminalOptions, Viewport};
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::event::{
    self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use ratatui_crossterm::crossterm::style;

use self::modes::{Modes, RestoringHook};
use self::watch::Watch;
use super::item::PickError;
use super::key::Key;
use crate::sys::signal::{self, Shield};

/// A signal that arrives while nobody types is noticed this soon.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);
/// The library looks only if it may wait. It waits whole milliseconds, so this is none.
const A_LOOK: Duration = Duration::from_micros(200);

/// What arrived.
pub(super) enum Input {
    Key(Key),
    Paste(String),
    /// Nothing that changes the state; the window may have another size.
    Other,
    /// The process is to end.
    Interrupted,
}

/// The terminal in our hands. Given back when dropped.
pub(super) struct RawTerminal {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
    modes: Arc<Modes>,
    _hook: RestoringHook,
    _watch: Watch,
    /// A second signal must not end the process before the terminal is given back.
    _shield: Shield,
    signals: usize,
}

impl RawTerminal {
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
        let terminal = terminal().map_err(PickError::Terminal)?;
        let watch = Watch::start(Arc::clone(&modes));
        let taken = Self {
            terminal,
            modes,
            _hook: hook,
            _watch: watch,
            _shield: shield,
            signals: signal::count(),
        };
        // If it fails half-way, dropping gives back what was taken so far.
        taken.modes.change().map_err(PickError::Terminal)?;
        Ok(taken)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), PickError> {
        self.terminal
            .draw(draw)
            .map(drop)
            .map_err(PickError::Terminal)
    }

    /// Waits for the next input.
    pub(super) fn next(&mut self) -> Result<Input, PickError> {
        loop {
            if signal::count() > self.signals
                || wait(Duration::ZERO).map_err(PickError::Terminal)? == Waited::HungUp
            {
                return Ok(Input::Interrupted);
            }
            if event::poll(A_LOOK).map_err(PickError::Terminal)? {
                return event::read().map(input).map_err(PickError::Terminal);
            }
            wait(SIGNALS_EVERY).map_err(PickError::Terminal)?;
        }
    }

    /// Whether more input waits already, so that drawing can wait, too.
    pub(super) fn has_more(&self) -> bool {
        wait(Duration::ZERO).is_ok_and(|waited| waited == Waited::Other)
            && event::poll(A_LOOK).unwrap_or(false)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.modes.put_back();
    }
}

/// Standard error as a screen. A serial line does not say how large it is; then it is as large as such screens always were.
fn terminal() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stderr>>>> {
    let backend = CrosstermBackend::new(BufWriter::new(io::stderr()));
    if backend.size()?.area() > 0 {
        return Terminal::new(backend);
    }
    let viewport = Viewport::Fixed(Rect::new(0, 0, 80, 24));
    Terminal::with_options(backend, TerminalOptions { viewport })
}

/// What waiting for input came to.
#[derive(PartialEq, Eq)]
enum Waited {
    HungUp,
    Other,
}

/// Waits until something is typed, at most for so long. The library, if it were to wait, would not return from a terminal that
/// hangs up.
#[cfg(unix)]
fn wait(at_most: Duration) -> io::Result<Waited> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    let stdin = io::stdin();
    let mut keyboard = [PollFd::new(&stdin, PollFlags::IN)];
    let timeout = Timespec::try_from(at_most).expect("a fraction of a second");
    match poll(&mut keyboard, Some(&timeout)) {
        // Another size of the window comes as a signal.
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    let found = keyboard[0].revents();
    if found.contains(PollFlags::NVAL) {
        // A system that cannot be asked this way about a terminal.
        event::poll(at_most)?;
    }
    Ok(if found.intersects(PollFlags::HUP | PollFlags::ERR) {
        Waited::HungUp
    } else {
        Waited::Other
    })
}

#[cfg(not(unix))]
fn wait(at_most: Duration) -> io::Result<Waited> {
    event::poll(at_most)?;
    Ok(Waited::Other)
}

fn input(event: Event) -> Input {
    match event {
        Event::Key(event) if event.kind != KeyEventKind::Release => {
            key(event).map_or(Input::Other, Input::Key)
        }
        Event::Paste(text) => Input::Paste(text),
        _ => Input::Other,
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
