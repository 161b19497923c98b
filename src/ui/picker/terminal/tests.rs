//! The picker in a real terminal. A second process runs it; a variable selects its
//! behaviour.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(
    clippy::disallowed_methods,
    reason = "that variable, and the deadlines of the typing user"
)]

use std::ffi::OsString;
use std::io::Write;

use rustix::process::Signal;

use super::super::tests::{many, now, turns};
use super::super::{PickerOptions, SessionSource, Surroundings, pick};
use super::*;
use crate::domain::{SessionId, Turn};

#[path = "../../../../tests/harness/terminal.rs"]
#[allow(dead_code, reason = "other tests use it, too, and need other keys")]
mod person;
use person::{CTRL_C, DOWN, ENTER, ESCAPE, Terminal as Person};

/// Behaviour of the program below: `screen`, `lines`, `panic` or `slow`. Without it, the
/// program does nothing.
const BEHAVIOUR: &str = "CCSYNC_TEST_PICKER";
const PROGRAM: &str = "ui::picker::terminal::tests::picker_program_under_test";

struct Turns(OsString);

impl SessionSource for Turns {
    fn turns(&self, _: &SessionId) -> Result<Vec<Turn>, String> {
        assert_ne!(self.0, "panic", "on purpose");
        if self.0 == "slow" {
            let _ = write!(io::stderr(), "a disk that never answers");
            loop {
                std::thread::park();
            }
        }
        Ok(turns())
    }

    fn rename(&self, _: &SessionId, _: &str) -> Result<String, String> {
        Err("it is open elsewhere".to_owned())
    }
}

#[test]
fn picker_program_under_test() {
    let Some(behaviour) = std::env::var_os(BEHAVIOUR) else {
        return;
    };
    signal::install().unwrap();
    let options = PickerOptions {
        colors: true,
        only_lines: behaviour == "lines",
        columns: 80,
        all_projects: true,
    };
    let (updates, here) = (Updates::new(now()).unwrap(), Surroundings::default());
    let picked = pick(many(1000), updates, here, options, &Turns(behaviour));
    // The terminal may be closed.
    let _ = writeln!(io::stdout(), "\npicked: {picked:?}");
    std::process::exit(0);
}

fn program(behaviour: &str) -> person::Command {
    let mut command = person::this_program();
    command
        .args(["--exact", PROGRAM, "--nocapture"])
        .env(BEHAVIOUR, behaviour)
        .env("RUST_BACKTRACE", "0");
    command
}

fn start(behaviour: &str) -> Person {
    Person::start(program(behaviour), 80, 24)
}

/// Starts a picker and waits until it is drawn.
fn started() -> Person {
    let person = start("screen");
    person.wait_for("1000 sessions  type to filter");
    assert!(!person.is_cooked(), "each key counts at once");
    person
}

#[test]
fn picker_session_is_filtered_previewed_and_chosen() {
    let person = started();
    person.type_in("parser 77");
    person.wait_for("1 of 1000 sessions");
    person.type_in("x\x7f");
    person.wait_for("> 3 days ago  ~/work/app  a parser, number 770");
    person.type_in(person::TAB);
    let preview = person.wait_for("thank you");
    assert!(
        preview.contains("assistant, 59 min ago") && preview.contains("- Bash: cargo test"),
        "{preview}"
    );
    person.type_in(ENTER);
    let ended = person.end().assert_restored().code(0);
    assert!(
        ended
            .text()
            .contains("picked: Ok(Chosen(SessionId(\"00000302-"),
        "{}",
        ended.text()
    );
}

#[test]
fn picker_follows_window_size() {
    let person = started();
    assert!(person.screen().contains("project"));
    person.resize(40, 10);
    person.wait_until("only age and title are left", |screen| {
        screen
            .lines()
            .nth(1)
            .is_some_and(|heading| heading.split_whitespace().eq(["active", "title"]))
    });
    person.resize(120, 30);
    person.wait_until("list and preview are there", |screen| {
        screen
            .lines()
            .nth(1)
            .is_some_and(|heading| heading.contains("project"))
    });
    person.wait_for("thank you");
    person.type_in(&DOWN.repeat(28));
    person.wait_for("> 3 h ago");
    person.type_in(CTRL_C);
    person.end().assert_restored().code(0);
}

#[test]
fn picker_mouse_and_rename_reach_the_picker() {
    let person = started();
    person.type_in("\x1b[<0;10;6M\x1b[<0;10;6m");
    person.wait_for("> 28 min ago");
    person.type_in("\x12x\r");
    person.wait_for("not renamed: it is open elsewhere");
    person.type_in("\x1b[<0;10;8M\x1b[<0;10;8m\x1b[<0;10;8M");
    let ended = person.end().assert_restored().code(0);
    let text = ended.text();
    assert!(
        text.contains("picked: Ok(Chosen(SessionId(\"00000006-"),
        "{text}"
    );
}

#[test]
fn picker_every_exit_restores_terminal() {
    for key in [ESCAPE, CTRL_C] {
        let person = started();
        person.type_in(key);
        let ended = person.end().assert_restored().code(0);
        assert!(
            ended.text().contains("picked: Ok(Cancelled)"),
            "{}",
            ended.text()
        );
    }
    let person = started();
    person.signal(Signal::TERM);
    person.signal(Signal::TERM);
    let ended = person.end().assert_restored().code(0);
    assert!(
        ended.text().contains("picked: Ok(Cancelled)"),
        "{}",
        ended.text()
    );
}

#[test]
fn picker_pending_read_does_not_delay_exit() {
    let person = start("slow");
    person.wait_for("1000 sessions  type to filter");
    person.type_in(person::TAB);
    person.wait_for("a disk that never answers");
    person.signal(Signal::TERM);
    person
        .end()
        .assert_restored()
        .code(signal::EXIT_INTERRUPTED);
    let person = started();
    // The beginning of an arrow key.
    person.type_in("\x1b[");
    person.signal(Signal::TERM);
    person.end().assert_restored();
}

#[test]
fn picker_ends_when_terminal_closes() {
    let person = started();
    assert_eq!(person.hang_up(), Some(0));
}

#[test]
fn picker_panic_restores_terminal_before_message() {
    let person = start("panic");
    person.wait_for("1000 sessions  type to filter");
    person.type_in(person::TAB);
    let ended = person.end().assert_restored().code(101);
    assert!(ended.text().contains("on purpose"), "{}", ended.text());
}

#[test]
fn picker_draws_without_known_terminal_size() {
    let person = Person::start_without_size(program("screen"));
    person.wait_for("1000 sessions  type to filter");
    person.type_in(ESCAPE);
    person.end().assert_restored().code(0);
}

#[test]
fn picker_line_terminal_gets_line_prompt() {
    let person = start("lines");
    person.wait_for("number = open");
    assert!(person.is_cooked());
    person.type_in("parser 770\r");
    person.wait_for("1 of 1000 sessions");
    person.type_in("1\r");
    let ended = person.end().assert_restored().code(0);
    assert!(
        ended
            .text()
            .contains("picked: Ok(Chosen(SessionId(\"00000302-"),
        "{}",
        ended.text()
    );
}
