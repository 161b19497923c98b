//! The session list of `ccsync resume` at a terminal: the time until its first frame, and from a
//! key to the frame that shows it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::AsFd as _;
use std::process::Child;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::machine::Machine;
use super::os;
use super::place::Place;
use super::table::{Results, milliseconds};
use super::transport::Transport;

/// Size of the terminal: one with a preview beside the list.
const COLUMNS: u16 = 160;
const ROWS: u16 = 50;

/// Maximum time until the first frame, in seconds.
const FIRST_FRAME: f64 = 0.050;
/// Maximum time from a key to its frame, in seconds.
const KEY: f64 = 0.016;

/// Time in which everything is drawn that a key has caused.
const QUIET: Duration = Duration::from_millis(200);

/// Text typed into the filter, letter by letter.
const TYPED: &str = "parse client core";

/// Lists of so many sessions.
pub(crate) struct Picking {
    /// Measured until the first frame.
    pub(crate) first_frame: usize,
    /// Measured while typing.
    pub(crate) typing: usize,
    /// How often each is repeated; the median counts.
    pub(crate) repeat: usize,
}

impl Picking {
    pub(crate) fn measure(&self, place: &Place, transport: &Rc<Transport>, results: &mut Results) {
        println!("\n| session list | sessions | bound ms | ms |\n|---|---|---|---|");
        let scene =
            |sessions| place.pushed_scene(&format!("picker-{sessions}"), transport, sessions);
        let (_scene, desk) = scene(self.first_frame);
        let frames = (0..=self.repeat).map(|_| Picker::open(&desk, self.first_frame).first_frame);
        let found = median(frames.skip(1).collect());
        report("first frame", self.first_frame, FIRST_FRAME, found, results);

        let (_scene, desk) = scene(self.typing);
        let mut picker = Picker::open(&desk, self.typing);
        let keys = picker.type_in(TYPED);
        let slowest = keys.iter().copied().fold(0.0, f64::max);
        report("key, median", self.typing, KEY, median(keys), results);
        report("key, slowest", self.typing, KEY, slowest, results);
        let moves = (0..20).map(|_| picker.press("\x1b[B", |_| true)).collect();
        report(
            "arrow key, median",
            self.typing,
            KEY,
            median(moves),
            results,
        );
    }
}

fn report(what: &str, sessions: usize, bound: f64, found: f64, results: &mut Results) {
    println!(
        "| {what} | {sessions} | {} | {} |",
        milliseconds(bound),
        milliseconds(found)
    );
    results.check(
        format!(
            "session list of {sessions}: {what} in {} ms",
            milliseconds(bound)
        ),
        milliseconds(found),
        found <= bound,
    );
}

/// An open list at a terminal. Killed when dropped.
struct Picker {
    terminal: File,
    screen: vt100::Parser,
    child: Child,
    first_frame: f64,
}

impl Picker {
    /// Starts the program, and waits until the list is drawn.
    fn open(desk: &Machine, sessions: usize) -> Self {
        let (pty, pts) = pty_process::blocking::open().expect("a terminal can be opened");
        let size = pty_process::Size::new(ROWS, COLUMNS);
        pty.resize(size).expect("a terminal has a size");
        let mut command = desk.command(env!("CARGO_BIN_EXE_ccsync"));
        command.arg("resume").env("TERM", "xterm-256color");
        let begin = Instant::now();
        let child = pty_process::blocking::Command::from(command).spawn(pts);
        let terminal = pty.as_fd().try_clone_to_owned();
        let mut picker = Self {
            terminal: terminal.expect("a terminal can be opened twice").into(),
            screen: screen(),
            child: child.expect("the program can be started"),
            first_frame: 0.0,
        };
        picker.wait(|screen| screen.contains(&format!("{sessions} sessions")));
        picker.first_frame = begin.elapsed().as_secs_f64();
        // The rest of the frame, and a fetch beside it.
        picker.wait(|screen| !screen.contains("fetching"));
        picker
    }

    /// Returns the time of each letter.
    fn type_in(&mut self, text: &str) -> Vec<f64> {
        let ends = (1..=text.len()).map(|end| &text[..end]);
        let times = ends.map(|typed| {
            let key = &typed[typed.len() - 1..];
            let line = format!("filter: {typed}");
            self.press(key, |screen| {
                let first = screen.lines().next().unwrap_or_default();
                first.trim_end() == line.trim_end()
            })
        });
        times.collect()
    }

    /// Presses a key, and returns the time until the screen shows it.
    fn press(&mut self, key: &str, is_shown: impl Fn(&str) -> bool) -> f64 {
        // The preview of the former row may still be drawn.
        std::thread::sleep(QUIET);
        self.drain();
        let begin = Instant::now();
        self.terminal
            .write_all(key.as_bytes())
            .expect("the program reads its terminal");
        self.wait(is_shown);
        begin.elapsed().as_secs_f64()
    }

    /// Reads what was drawn until now.
    fn drain(&mut self) {
        while os::can_read(&self.terminal) {
            self.read();
        }
    }

    fn wait(&mut self, is_so: impl Fn(&str) -> bool) {
        loop {
            self.read();
            if is_so(&self.screen.screen().contents()) {
                return;
            }
        }
    }

    fn read(&mut self) {
        let mut bytes = [0; 1 << 16];
        let read = self.terminal.read(&mut bytes);
        let read = read.expect("the program runs until the list is closed");
        self.screen.process(&bytes[..read]);
    }
}

impl Drop for Picker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn screen() -> vt100::Parser {
    let some = |n| NonZeroU16::new(n).expect("a terminal has rows and columns");
    vt100::Parser::new(some(ROWS), some(COLUMNS), 0)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
