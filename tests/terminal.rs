//! Commands that ask, in a real terminal.

use crate::harness::{CTRL_C, ENTER, Terminal, TestEnv};

const QUESTION: &str = "Private git repository for your sessions";

#[test]
fn init_asks_for_the_remote() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let remote = env.bare_remote();
    let terminal = Terminal::start(a.command(["init"]), 120, 20);
    terminal.wait_for(QUESTION);
    terminal.type_in(remote.to_str().unwrap());
    terminal.type_in(ENTER);
    terminal.wait_for("init: this machine is set up");
    terminal.end().given_back().code(0);
    assert_eq!(a.ccsync(["config", "get", "remote"]).success().stdout.trim(), remote.to_str().unwrap());
}

#[test]
fn a_question_that_is_not_answered_leaves_the_terminal_as_it_was() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let terminal = Terminal::start(a.command(["init"]), 120, 20);
    terminal.wait_for(QUESTION);
    terminal.wait_for_raw();
    terminal.type_in(CTRL_C);
    let ended = terminal.end().given_back().code(130);
    assert!(ended.text().contains("cancelled"), "{}", ended.text());
}
