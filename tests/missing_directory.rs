//! `ccsync resume` of a session whose directory is not on this machine.

use std::fs;
use std::path::Path;

use crate::harness::client::Client;
use crate::harness::{DOWN, ENTER, ESCAPE, Machine, ONE, Run, Terminal, TestEnv, questions};
use crate::project_repository::repository;

/// The second machine has the directory above that of the session.
fn pair_with_missing_directory(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).project("code/app").turn("hello").write();
    a.ccsync(["push"]).success();
    fs::create_dir_all(b.home.join("code")).unwrap();
    b.ccsync(["pull"]).success();
    (a, b)
}

/// The working directory of the last record.
fn last_directory(machine: &Machine) -> String {
    let text = machine.text(ONE);
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    last["cwd"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_continued_in(machine: &Machine, directory: &Path) {
    assert_eq!(questions(&machine.text(ONE)), ["hello", "from b"]);
    assert_eq!(Path::new(&last_directory(machine)), directory);
}

fn what_to_do(client: &Client<'_>, choice: &str) -> Terminal {
    let terminal = Terminal::start(client.command(&["resume", ONE], "from b"), 110, 16);
    terminal.wait_for("What to do:");
    terminal.wait_for("stop");
    terminal.wait_for_raw();
    while !terminal.screen().contains(&format!("> {choice}")) {
        let before = terminal.screen();
        terminal.type_in(DOWN);
        terminal.wait_until("the next choice is selected", |screen| screen != before);
    }
    terminal.type_in(ENTER);
    terminal
}

#[test]
fn resume_missing_directory_is_created_on_request() {
    let env = TestEnv::new();
    let (_a, b) = pair_with_missing_directory(&env);
    let at_b = Client::install(&b);
    what_to_do(&at_b, "create ").end().assert_restored().code(0);
    assert_continued_in(&b, &b.home.join("code/app"));
}

#[test]
fn resume_missing_directory_continues_in_nearest() {
    let env = TestEnv::new();
    let (a, b) = pair_with_missing_directory(&env);
    let at_b = Client::install(&b);
    let nearest = format!("continue in {}", b.home.join("code").display());
    what_to_do(&at_b, &nearest).end().assert_restored().code(0);
    assert_continued_in(&b, &b.home.join("code"));
    assert!(!b.home.join("code/app").exists());
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(ONE)), ["hello", "from b"]);
}

#[test]
fn resume_missing_directory_continues_in_another() {
    let env = TestEnv::new();
    let (_a, b) = pair_with_missing_directory(&env);
    fs::create_dir_all(b.home.join("elsewhere")).unwrap();
    let at_b = Client::install(&b);
    let terminal = what_to_do(&at_b, "continue in another directory");
    terminal.wait_for("Directory to continue in");
    terminal.wait_for_raw();
    terminal.type_in(&format!("~/no-such{ENTER}"));
    terminal.wait_for("no directory");
    terminal.wait_for_raw();
    terminal.type_in(&format!("~/elsewhere{ENTER}"));
    terminal.end().assert_restored().code(0);
    assert_continued_in(&b, &b.home.join("elsewhere"));
}

#[test]
fn resume_escape_at_directory_is_silent() {
    let env = TestEnv::new();
    let (_a, b) = pair_with_missing_directory(&env);
    let at_b = Client::install(&b);
    let terminal = what_to_do(&at_b, "continue in another directory");
    terminal.wait_for("Directory to continue in");
    terminal.wait_for_raw();
    terminal.type_in(ESCAPE);
    let ended = terminal.end().assert_restored().code(130);
    assert!(!ended.text().contains("error"), "{}", ended.text());
}

#[test]
fn resume_missing_directory_without_terminal_names_options() {
    let env = TestEnv::new();
    let (_a, b) = pair_with_missing_directory(&env);
    let at_b = Client::install(&b);
    let refused = at_b.run(&["resume", ONE], "never said").code(1);
    for option in ["--missing create", "--missing nearest", "--directory DIR"] {
        let command = format!("`ccsync resume {ONE} {option}`");
        assert!(refused.stderr.contains(&command), "{refused}");
    }
    assert!(!refused.stderr.contains("--missing clone"), "{refused}");
    at_b.run(&["resume", ONE, "--missing", "clone"], "never said")
        .code(1);
    at_b.run(&["resume", ONE, "--missing", "nearest"], "from b")
        .success();
    assert_continued_in(&b, &b.home.join("code"));
}

#[test]
fn resume_missing_directory_is_created_without_terminal() {
    let env = TestEnv::new();
    let (_a, b) = pair_with_missing_directory(&env);
    let at_b = Client::install(&b);
    let options = ["resume", ONE, "--missing", "create"];
    at_b.run(&options, "from b").success();
    assert_continued_in(&b, &b.home.join("code/app"));
    at_b.run(&options, "again").success();
}

#[test]
fn resume_directory_option_places_unmapped_session() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    fs::create_dir_all(a.home.join("my/work/app")).unwrap();
    let root = format!("WORK={}", a.home.join("my/work").display());
    a.add_placeholder(&root);
    a.session(ONE).project("my/work/app").turn("hello").write();
    a.ccsync(["push"]).success();
    let elsewhere = b.home.join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    let at_b = Client::install(&b);
    let resume = |directory: &Path, says: &str| -> Run {
        let directory = directory.to_str().unwrap();
        at_b.run(&["resume", ONE, "--directory", directory], says)
    };
    resume(&b.home.join("no-such"), "never said").code(2);
    resume(&elsewhere, "from b").success();
    assert_continued_in(&b, &elsewhere);
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(ONE)), ["hello", "from b"]);
}

#[test]
fn resume_directory_missing_in_clone_continues_in_clone() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = "https://example.invalid/al/lib.git";
    repository(&a, "lib", remote);
    fs::create_dir_all(a.home.join("lib/crates/new")).unwrap();
    a.session(ONE)
        .project("lib/crates/new")
        .turn("hello")
        .write();
    a.ccsync(["push"]).success();
    repository(&b, "code", remote);
    fs::create_dir_all(b.home.join("code/crates")).unwrap();
    let at_b = Client::install(&b);
    let mut resume = at_b.command(&["resume", ONE, "--missing", "nearest"], "from b");
    let run = b.run(resume.current_dir(b.home.join("code")));
    run.success();
    assert_continued_in(&b, &b.home.join("code/crates"));
    assert!(!b.home.join("lib").exists(), "nothing was cloned");
}

#[test]
fn resume_excluded_other_directory_is_refused() {
    let env = TestEnv::new();
    let (_a, b) = pair_with_missing_directory(&env);
    fs::create_dir_all(b.home.join("private")).unwrap();
    b.ccsync(["config", "exclude", "~/private"]).success();
    let at_b = Client::install(&b);
    let private = b.home.join("private");
    let options = ["resume", ONE, "--directory", private.to_str().unwrap()];
    let refused = at_b.run(&options, "never said").code(1);
    assert!(
        refused.stderr.contains("are excluded by the settings"),
        "{refused}"
    );
}
