//! Commands that ask, in a real terminal.

use crate::harness::{CTRL_C, ENTER, ESCAPE, Machine, Terminal, TestEnv};

const QUESTION: &str = "Private git repository for your sessions";

#[test]
fn init_in_terminal_asks_for_remote() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let remote = env.bare_remote();
    let terminal = Terminal::start(a.command(["init", "--no-auto"]), 120, 20);
    terminal.wait_for(QUESTION);
    terminal.type_in(remote.to_str().unwrap());
    terminal.type_in(ENTER);
    terminal.wait_for("init: this machine is set up");
    terminal.end().assert_restored().code(0);
    assert_eq!(
        a.ccsync(["config", "get", "remote"])
            .success()
            .stdout
            .trim(),
        remote.to_str().unwrap()
    );
}

#[test]
fn init_cancelled_prompt_restores_terminal() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let terminal = Terminal::start(a.command(["init", "--no-auto"]), 120, 20);
    terminal.wait_for(QUESTION);
    terminal.wait_for_raw();
    terminal.type_in(CTRL_C);
    let ended = terminal.end().assert_restored().code(130);
    assert!(!ended.text().contains("error"), "{}", ended.text());
}

#[test]
fn init_escape_cancels_every_question() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let empty = env.root().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let init = ["init", "--no-auto", "--no-github"];
    let terminal = Terminal::start(a.command(init), 120, 20);
    terminal.wait_for(QUESTION);
    terminal.wait_for_raw();
    terminal.type_in("half an answer");
    terminal.wait_for("half an answer");
    terminal.type_in(ESCAPE);
    assert_silent(terminal, QUESTION);

    let init = ["init", "--no-auto", "--remote", empty.to_str().unwrap()];
    let terminal = Terminal::start(a.command(init), 120, 20);
    terminal.wait_for("Make it a git repository");
    terminal.wait_for_raw();
    terminal.type_in(ESCAPE);
    assert_silent(terminal, "Make it a git repository");
    assert!(empty.read_dir().unwrap().next().is_none());
    assert!(!a.data().join("remote.git").exists());
}

/// Checks that a cancelled command shows its question and nothing else.
fn assert_silent(terminal: Terminal, question: &str) {
    let ended = terminal.end().assert_restored().code(130);
    let text = ended.text();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        lines.len() == 1 && lines[0].contains(question),
        "{lines:#?}"
    );
}

#[test]
fn init_answer_of_several_rows_is_edited() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let remote = env.bare_remote();
    let terminal = Terminal::start(a.command(["init", "--no-auto"]), 40, 20);
    terminal.wait_for("on this disk)");
    terminal.wait_for_raw();
    terminal.type_in(&"x".repeat(100));
    terminal.type_in(&"\x7f".repeat(101));
    terminal.type_in(&format!("{}é\x7f{ENTER}", remote.display()));
    let ended = terminal.end().assert_restored().code(0);
    let text = ended.text().replace('\n', "");
    assert_eq!(text.matches(QUESTION).count(), 1, "{}", ended.text());
    assert!(!text.contains("xx"), "{}", ended.text());
    let config = a.ccsync(["config", "get", "remote"]).success();
    assert_eq!(config.stdout.trim(), remote.to_str().unwrap());
}

#[test]
fn init_escape_at_placeholder_keeps_set_up() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, b) = (env.machine("a"), env.machine("b"));
    a.init(&remote);
    a.add_placeholder("FAR=/far/away");
    a.ccsync(["push"]).success();
    let init = ["init", "--no-auto", "--remote", remote.to_str().unwrap()];
    let terminal = Terminal::start(b.command(init), 200, 20);
    terminal.wait_for("Directory for FAR");
    terminal.wait_for_raw();
    terminal.type_in(ESCAPE);
    terminal.wait_for("init: this machine is set up; 1 placeholder missing");
    terminal.end().assert_restored().code(0);
}

#[test]
fn init_in_terminal_suggests_placeholder_directories() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let (a, b) = (env.machine("a"), env.machine("b"));
    a.init(&remote);
    for placeholder in ["FAR=/far/away", "NONE=/no/where", "WORK=~/my/work"] {
        a.add_placeholder(placeholder);
    }
    a.ccsync(["push"]).success();
    std::fs::create_dir_all(b.home.join("my/work")).unwrap();
    let terminal = Terminal::start(
        b.command(["init", "--no-auto", "--remote", remote.to_str().unwrap()]),
        200,
        20,
    );
    terminal.wait_for("Directory for FAR, on a /far/away (empty: no directory)");
    terminal.wait_for_raw();
    terminal.type_in(&format!("~/near{ENTER}"));
    terminal.wait_for("Use it as the directory of the placeholder?");
    terminal.wait_for_raw();
    terminal.type_in("y");
    terminal.wait_for("Directory for NONE, on a /no/where (empty: no directory)");
    terminal.wait_for_raw();
    terminal.type_in(ENTER);
    terminal.wait_for("(-: no directory) [");
    terminal.wait_for_raw();
    terminal.type_in(ENTER);
    terminal.wait_for("init: this machine is set up; 2 placeholders added; 1 missing");
    terminal.end().assert_restored().code(0);
    let placeholders =
        b.ccsync(["config", "show", "--json"]).success().json()["placeholders"].clone();
    let here = |below: &str| b.home.join(below).to_str().unwrap().to_owned();
    assert_eq!(
        placeholders,
        serde_json::json!({"FAR": here("near"), "WORK": here("my/work")})
    );
    // The second `init` does not ask.
    let again = Terminal::start(b.command(["init", "--no-auto"]), 200, 20);
    again.wait_for("init: this machine is up to date; 1 placeholder missing");
    again.end().assert_restored().code(0);
}

#[test]
fn init_repeated_in_terminal_asks_nothing() {
    let env = TestEnv::new();
    let a = env.machine("a");
    let remote = env.root().join("late.git");
    let first = Terminal::start(a.command(["init", "--no-auto"]), 120, 20);
    first.wait_for(QUESTION);
    first.type_in(remote.to_str().unwrap());
    first.type_in(ENTER);
    first.wait_for("to try again: `ccsync init`");
    first.end().assert_restored().code(1);
    a.ccsync(["push"]).code(1);
    std::fs::rename(env.bare_remote(), &remote).unwrap();
    let again = Terminal::start(a.command(["init", "--no-auto"]), 120, 20);
    again.wait_for("init: this machine is set up");
    let ended = again.end().assert_restored().code(0);
    assert!(!ended.text().contains(QUESTION), "{}", ended.text());
}

#[test]
fn init_in_terminal_with_lost_configuration_asks_twice() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let remote = env.remote_of_pair();
    std::fs::remove_file(a.home.join(".config/ccsync/config.toml")).unwrap();
    let terminal = Terminal::start(a.command(["init", "--no-auto"]), 160, 20);
    terminal.wait_for(QUESTION);
    terminal.wait_for_raw();
    terminal.type_in(ENTER);
    terminal.wait_for("Keep its sessions on this disk only?");
    terminal.wait_for_raw();
    terminal.type_in("n");
    let ended = terminal.end().assert_restored().code(0);
    let text = ended.text();
    assert!(text.contains(remote.to_str().unwrap()), "{text}");
    assert!(text.contains("nothing was set up"), "{text}");
    assert!(!text.contains("error"), "{text}");
    assert!(!a.data().join("remote.git").exists());
}

#[test]
fn config_missing_placeholder_directory_needs_confirmation() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let placeholders = |machine: &Machine| {
        machine.ccsync(["config", "show", "--json"]).json()["placeholders"].clone()
    };
    let none = serde_json::json!({});
    let answer = |args: &[&str], key: &str| {
        let terminal = Terminal::start(a.command(args), 120, 20);
        terminal.wait_for("Use it as the directory of the placeholder?");
        terminal.wait_for_raw();
        terminal.type_in(key);
        terminal.end().assert_restored()
    };
    for args in [
        &["config", "add-placeholder", "WORK=~/wrok"] as &[_],
        &["config", "set-path", "WORK", "this", "~/wrok"],
    ] {
        let no = answer(args, "n").code(0);
        assert!(
            no.text().contains("the placeholder was not changed"),
            "{}",
            no.text()
        );
        answer(args, ESCAPE).code(130);
        assert_eq!(placeholders(&a), none);
    }
    answer(&["config", "add-placeholder", "WORK=~/wrok"], "y").code(0);
    let wrok = a.home.join("wrok");
    assert_eq!(placeholders(&a), serde_json::json!({"WORK": wrok}));
    let elsewhere = b.home.join("elsewhere");
    b.ccsync(["push"]);
    a.ccsync([
        "config",
        "set-path",
        "WORK",
        "b",
        elsewhere.to_str().unwrap(),
    ])
    .success();
    b.ccsync(["pull"]).success();
    let shown = b.ccsync(["apply"]).success();
    let warning = "this directory does not exist on this machine";
    assert!(shown.stdout.contains(warning), "{shown}");
    std::fs::create_dir_all(elsewhere).unwrap();
    let shown = b.ccsync(["apply"]).success();
    assert!(!shown.stdout.contains(warning), "{shown}");
}
