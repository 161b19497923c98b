//! A real terminal with a user: a program runs in a pseudo-terminal, and its output is
//! kept as the screen that the user would see.
//!
//! ```text
//! let terminal = Terminal::start(machine.command(["init"]), 80, 24);
//! terminal.wait_for("Private git repository");
//! terminal.type_in("\r");
//! terminal.end().assert_restored().code(0);
//! ```

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::process::Child;
pub(crate) use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pty_process::blocking::Pty;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::termios::{LocalModes, tcgetattr};

/// As keyboards send them.
pub(crate) const ENTER: &str = "\r";
pub(crate) const ESCAPE: &str = "\x1b";
pub(crate) const TAB: &str = "\t";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const UP: &str = "\x1b[A";
pub(crate) const DOWN: &str = "\x1b[B";

/// Time limit of anything on a screen, also on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Returns the running test program as a command.
pub(crate) fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// A program in a terminal. Killed when dropped.
pub(crate) struct Terminal {
    /// `None` once the window is closed.
    pty: Option<Pty>,
    /// Tells the reader to stop.
    gone: Arc<AtomicBool>,
    screen: Arc<Mutex<vt100::Parser>>,
    reader: Option<JoinHandle<()>>,
    child: Child,
}

/// The end of a program and the state of its terminal.
pub(crate) struct Ended {
    /// `None`: killed by a signal.
    code: Option<i32>,
    screen: vt100::Screen,
    /// True if the terminal shows typed text and waits for a line, as a shell wants it.
    is_cooked: bool,
}

impl Terminal {
    /// Starts `command` in a terminal of this many columns and rows.
    pub(crate) fn start(command: Command, columns: u16, rows: u16) -> Self {
        Self::start_sized(command, (columns, rows), (columns, rows))
    }

    /// Starts `command` in a terminal of 80 columns and 24 rows that does not report its
    /// size, like a serial line.
    pub(crate) fn start_without_size(command: Command) -> Self {
        Self::start_sized(command, (80, 24), (0, 0))
    }

    fn start_sized(
        mut command: Command,
        (columns, rows): (u16, u16),
        reported: (u16, u16),
    ) -> Self {
        command.env_remove("COLUMNS");
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm-256color");
        }
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(reported.1, reported.0))
            .unwrap();
        let child = pty_process::blocking::Command::from(command)
            .spawn(pts)
            .unwrap();
        let mut output = File::from(pty.as_fd().try_clone_to_owned().unwrap());
        let (new_rows, new_columns) = size(columns, rows);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(new_rows, new_columns, 0)));
        let gone = Arc::new(AtomicBool::new(false));
        let (drawn, is_gone) = (Arc::clone(&screen), Arc::clone(&gone));
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !is_gone.load(Ordering::SeqCst) {
                let mut waiting = [PollFd::new(&output, PollFlags::IN)];
                let pause = Timespec {
                    tv_sec: 0,
                    tv_nsec: 20_000_000,
                };
                if poll(&mut waiting, Some(&pause)) == Ok(0) {
                    continue;
                }
                // Linux returns "input/output error" when no process has the other side
                // open.
                let Ok(read @ 1..) = output.read(&mut bytes) else {
                    break;
                };
                drawn.lock().unwrap().process(&bytes[..read]);
            }
        });
        Self {
            pty: Some(pty),
            gone,
            screen,
            reader: Some(reader),
            child,
        }
    }

    /// Presses keys.
    pub(crate) fn type_in(&self, keys: &str) {
        self.pty().write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the window another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (new_rows, new_columns) = size(columns, rows);
        self.screen.lock().unwrap().set_size(new_rows, new_columns);
        self.pty()
            .resize(pty_process::Size::new(rows, columns))
            .unwrap();
    }

    fn pty(&self) -> &Pty {
        self.pty.as_ref().expect("it has not hung up")
    }

    /// Closes the window; the program must end. Returns its exit code, `None` if a signal
    /// ended it.
    #[track_caller]
    pub(crate) fn hang_up(mut self) -> Option<i32> {
        self.gone.store(true, Ordering::SeqCst);
        self.reader.take().unwrap().join().unwrap();
        self.pty = None;
        self.wait()
    }

    /// Returns the id of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills the program and every process it has started in its terminal.
    pub(crate) fn kill_all(&self) {
        kill_process_group(Pid::from_child(&self.child), Signal::KILL).unwrap();
    }

    /// Returns the present text on the screen.
    pub(crate) fn screen(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Returns true if the terminal shows typed text and waits for a line, as a shell
    /// wants it.
    pub(crate) fn is_cooked(&self) -> bool {
        let modes = tcgetattr(self.pty()).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Waits until the program reads single keys. Before that, the terminal treats a key
    /// as in a shell.
    #[track_caller]
    pub(crate) fn wait_for_raw(&self) {
        self.wait_until("each key counts at once", |_| !self.is_cooked());
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("`{text}` is shown"), |screen| {
            screen.contains(text)
        })
    }

    /// Waits until the screen meets a condition; `what` describes it.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "not so: {what}\n{screen}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "it does not end\n{}",
                self.screen()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end of the program.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let code = self.wait();
        self.reader.take().unwrap().join().unwrap();
        let screen = self.screen.lock().unwrap().screen().clone();
        Ended {
            code,
            screen,
            is_cooked: self.is_cooked(),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The program may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Asserts that the program ended with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{}", self.text());
        self
    }

    /// Asserts that the terminal is as a shell wants it: its own screen, a cursor, typing
    /// that is shown.
    #[track_caller]
    pub(crate) fn assert_restored(self) -> Self {
        assert!(self.is_cooked, "the terminal is still raw\n{}", self.text());
        assert!(
            !self.screen.alternate_screen(),
            "the other screen is still shown\n{}",
            self.text()
        );
        assert!(
            !self.screen.hide_cursor(),
            "the cursor is still hidden\n{}",
            self.text()
        );
        assert!(
            !self.screen.bracketed_paste(),
            "what is pasted would still be wrapped\n{}",
            self.text()
        );
        assert_eq!(
            self.screen.mouse_protocol_mode(),
            vt100::MouseProtocolMode::None,
            "the mouse is still reported\n{}",
            self.text()
        );
        self
    }

    /// Returns the text that stays on the screen.
    pub(crate) fn text(&self) -> String {
        self.screen.contents()
    }
}

fn size(columns: u16, rows: u16) -> (NonZeroU16, NonZeroU16) {
    let some = |n| NonZeroU16::new(n).expect("a terminal has rows and columns");
    (some(rows), some(columns))
}
