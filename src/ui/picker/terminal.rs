//! The terminal of the picker: takes it over, reads keys, and always restores it.
//!
//! Owns raw mode, the alternate screen and the reading of keys. Must not know what is
//! drawn or what a key means.
//!
//! * `modes`: changes the terminal and restores it
//! * `watch`: ends the process on a signal, even while it waits

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
    self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use ratatui_crossterm::crossterm::style;

use self::modes::{Modes, RestoringHook};
use self::watch::Watch;
use super::item::PickError;
use super::key::{MouseAction, MouseEvent, PickerKey};
use super::updates::{Update, Updates};
use crate::sys::signal::{self, Shield};

/// Maximum delay until a signal is noticed.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);
/// Timeout of one poll. The library polls only with a timeout; it rounds this one down to
/// zero milliseconds.
const POLL_TIMEOUT: Duration = Duration::from_micros(200);

/// One event of the terminal.
pub(super) enum Input {
    Key(PickerKey),
    Paste(String),
    Mouse(MouseEvent),
    Update(Update),
    /// An event that does not change the state, such as another window size.
    Other,
    /// The process has to end.
    Interrupted,
}

/// The terminal in raw mode. Restored when dropped.
pub(super) struct RawTerminal {
    terminal: Terminal<CrosstermBackend<BufWriter<Stderr>>>,
    modes: Arc<Modes>,
    _hook: RestoringHook,
    _watch: Watch,
    /// Prevents that a second signal ends the process before the terminal is restored.
    _shield: Shield,
    signals: usize,
}

impl RawTerminal {
    /// Switches the terminal to raw mode.
    pub(super) fn enter(colors: bool) -> Result<Self, PickError> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Err(PickError::NoTerminal);
        }
        // The program has already decided about colours; the library would check the
        // environment again.
        style::force_color_output(colors);
        let shield = signal::shield();
        let modes = Arc::new(Modes::default());
        let hook = RestoringHook::set(Arc::clone(&modes));
        let terminal = terminal().map_err(PickError::Terminal)?;
        let watch = Watch::start(Arc::clone(&modes));
        let raw = Self {
            terminal,
            modes,
            _hook: hook,
            _watch: watch,
            _shield: shield,
            signals: signal::count(),
        };
        // On failure, dropping `raw` restores the terminal.
        raw.modes.change().map_err(PickError::Terminal)?;
        Ok(raw)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), PickError> {
        self.terminal
            .draw(draw)
            .map(drop)
            .map_err(PickError::Terminal)
    }

    /// Restores the terminal for the shell. A signal ends the process from now on.
    pub(super) fn restore(&self) {
        self.modes.restore();
    }

    /// Waits for the next event, or for news.
    pub(super) fn next(&mut self, updates: &mut Updates) -> Result<Input, PickError> {
        loop {
            if let Some(update) = updates.next() {
                return Ok(Input::Update(update));
            }
            if signal::count() > self.signals
                || wait(Duration::ZERO, None).map_err(PickError::Terminal)? == Waited::HungUp
            {
                return Ok(Input::Interrupted);
            }
            if event::poll(POLL_TIMEOUT).map_err(PickError::Terminal)? {
                return event::read().map(to_input).map_err(PickError::Terminal);
            }
            wait(SIGNAL_INTERVAL, Some(updates)).map_err(PickError::Terminal)?;
        }
    }

    /// Returns true if more input is pending. The caller then reads it before it draws.
    pub(super) fn has_more(&self) -> bool {
        wait(Duration::ZERO, None).is_ok_and(|waited| waited == Waited::Other)
            && event::poll(POLL_TIMEOUT).unwrap_or(false)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.modes.restore();
    }
}

/// Opens standard error as a screen. A serial line does not report its size; 80 x 24 is
/// used then.
fn terminal() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stderr>>>> {
    let backend = CrosstermBackend::new(BufWriter::new(io::stderr()));
    if backend.size()?.area() > 0 {
        return Terminal::new(backend);
    }
    let viewport = Viewport::Fixed(Rect::new(0, 0, 80, 24));
    Terminal::with_options(backend, TerminalOptions { viewport })
}

/// Result of waiting for input.
#[derive(PartialEq, Eq)]
enum Waited {
    HungUp,
    Other,
}

/// Waits for input or news, at most `timeout`. The library's own wait does not return when the
/// terminal hangs up.
#[cfg(unix)]
fn wait(timeout: Duration, updates: Option<&Updates>) -> io::Result<Waited> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    let stdin = io::stdin();
    let news = updates.map(|updates| PollFd::new(&updates.wake, PollFlags::IN));
    let mut awaited: Vec<PollFd<'_>> = [PollFd::new(&stdin, PollFlags::IN)]
        .into_iter()
        .chain(news)
        .collect();
    let limit = Timespec::try_from(timeout).expect("a fraction of a second");
    match poll(&mut awaited, Some(&limit)) {
        // A signal interrupts the wait when the window changes its size.
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    let found = awaited[0].revents();
    if found.contains(PollFlags::NVAL) {
        // This system cannot poll a terminal like that.
        event::poll(timeout)?;
    }
    Ok(if found.intersects(PollFlags::HUP | PollFlags::ERR) {
        Waited::HungUp
    } else {
        Waited::Other
    })
}

#[cfg(not(unix))]
fn wait(timeout: Duration, _updates: Option<&Updates>) -> io::Result<Waited> {
    event::poll(timeout)?;
    Ok(Waited::Other)
}

fn to_input(event: Event) -> Input {
    match event {
        Event::Key(event) if event.kind != KeyEventKind::Release => {
            to_key(event).map_or(Input::Other, Input::Key)
        }
        Event::Paste(text) => Input::Paste(text),
        Event::Mouse(event) => to_mouse(event).map_or(Input::Other, Input::Mouse),
        _ => Input::Other,
    }
}

fn to_mouse(event: event::MouseEvent) -> Option<MouseEvent> {
    let action = match event.kind {
        MouseEventKind::Down(MouseButton::Left) => MouseAction::Click,
        MouseEventKind::ScrollUp => MouseAction::WheelUp,
        MouseEventKind::ScrollDown => MouseAction::WheelDown,
        _ => return None,
    };
    Some(MouseEvent {
        column: event.column,
        row: event.row,
        action,
    })
}

/// Translates a key; `None` for one that the picker does not know.
fn to_key(event: KeyEvent) -> Option<PickerKey> {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    Some(match event.code {
        // Some terminals send these for backspace, Enter and Tab.
        KeyCode::Char('h') if control && !alt => PickerKey::Backspace,
        KeyCode::Char('j' | 'm') if control && !alt => PickerKey::Enter,
        KeyCode::Char('i') if control && !alt => PickerKey::Tab,
        // AltGr arrives as Ctrl and Alt.
        KeyCode::Char(c) if control == alt => PickerKey::Char(c),
        KeyCode::Char(c) if control => PickerKey::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => PickerKey::Alt(c.to_ascii_lowercase()),
        KeyCode::Backspace if alt => PickerKey::WordBackspace,
        KeyCode::Backspace => PickerKey::Backspace,
        KeyCode::Delete => PickerKey::Delete,
        KeyCode::Up => PickerKey::Up,
        KeyCode::Down => PickerKey::Down,
        KeyCode::PageUp => PickerKey::PageUp,
        KeyCode::PageDown => PickerKey::PageDown,
        KeyCode::Home => PickerKey::Home,
        KeyCode::End => PickerKey::End,
        KeyCode::Left if control || alt => PickerKey::WordLeft,
        KeyCode::Right if control || alt => PickerKey::WordRight,
        KeyCode::Left => PickerKey::Left,
        KeyCode::Right => PickerKey::Right,
        KeyCode::Tab => PickerKey::Tab,
        KeyCode::Enter => PickerKey::Enter,
        KeyCode::Esc => PickerKey::Escape,
        KeyCode::F(1) => PickerKey::F1,
        _ => return None,
    })
}
