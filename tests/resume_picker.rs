//! `ccsync resume` in a real terminal: the picker, its preview, cancelling, and the
//! prompts that follow.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::harness::client::Client;
use crate::harness::{
    CTRL_C, DOWN, ENTER, ESCAPE, Ended, Machine, ONE, TAB, TWO, Terminal, TestEnv, UP, questions,
};
use crate::project_repository::{git, project_remote};

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// Two machines with two sessions; the second one is newer.
fn two_sessions(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).days_old(1).turn("repair the roof").write();
    a.session(TWO).turn("paint the fence").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    (a, b)
}

fn resume(client: &Client<'_>, args: &[&str], says: &str) -> Terminal {
    resume_sized(client, args, says, 110)
}

fn resume_sized(client: &Client<'_>, args: &[&str], says: &str, columns: u16) -> Terminal {
    let args: Vec<&str> = std::iter::once("resume")
        .chain(args.iter().copied())
        .collect();
    Terminal::start(client.command(&args, says), columns, 16)
}

/// Waits until the picker is open and reads keys.
fn opened(client: &Client<'_>, says: &str) -> Terminal {
    let terminal = resume(client, &[], says);
    terminal.wait_for("paint the fence");
    terminal.wait_for_raw();
    terminal
}

/// Waits until a prompt is open and reads keys.
fn asked(terminal: &Terminal, question: &str) {
    terminal.wait_for(question);
    terminal.wait_for_raw();
}

/// A "no" is confirmed in a sentence, a cancelled question without a word.
#[track_caller]
fn assert_answered(ended: &Ended, code: i32, sentence: &str) {
    let text = ended.text();
    assert_eq!(text.contains(sentence), code == 0, "{text}");
    assert!(!text.contains("error"), "{text}");
}

#[track_caller]
fn assert_no_locks(env: &TestEnv) {
    assert_eq!(lock(&env.remote_of_pair(), ONE), None);
    assert_eq!(lock(&env.remote_of_pair(), TWO), None);
}

fn lock(remote: &Path, session: &str) -> Option<String> {
    let remote = git2::Repository::open(remote).unwrap();
    remote
        .refname_to_id(&format!("refs/heads/ccsync/lock/{session}"))
        .ok()
        .map(|commit| commit.to_string())
}

fn ran(machine: &Machine) -> bool {
    machine.home.join(".stand-in/arguments").exists()
}

#[test]
fn picker_filtered_session_is_resumed() {
    let env = TestEnv::new();
    let (_a, b) = two_sessions(&env);
    let at_b = Client::install(&b);
    let terminal = opened(&at_b, "with tar");
    terminal.type_in("roo");
    terminal.wait_for("1 of 2 sessions");
    terminal.type_in(ENTER);
    let ended = terminal.end().assert_restored().code(0);
    assert!(ended.text().contains("; lock released"), "{}", ended.text());
    assert_eq!(at_b.arguments(), [format!("--resume {ONE}")]);
    assert_eq!(questions(&b.text(ONE)), ["repair the roof", "with tar"]);
    assert_no_locks(&env);
}

#[test]
fn picker_preview_and_cancel_starts_nothing() {
    let env = TestEnv::new();
    let (_a, b) = two_sessions(&env);
    let at_b = Client::install(&b);
    for last in [ESCAPE, CTRL_C] {
        let terminal = opened(&at_b, "never said");
        terminal.type_in(TAB);
        terminal.wait_for("Answer to: paint the fence");
        terminal.type_in(TAB);
        terminal.wait_for("repair the roof");
        terminal.type_in(last);
        terminal.end().assert_restored().code(130);
        // In the preview, Ctrl-C means the same.
        let terminal = opened(&at_b, "never said");
        terminal.type_in(TAB);
        terminal.wait_for("Answer to: paint the fence");
        terminal.type_in(CTRL_C);
        terminal.end().assert_restored().code(130);
    }
    assert!(!ran(&b), "no client ran");
    assert_no_locks(&env);
}

#[test]
fn picker_works_in_narrow_terminal() {
    let env = TestEnv::new();
    let (_a, b) = two_sessions(&env);
    let at_b = Client::install(&b);
    let terminal = resume_sized(&at_b, &[], "in green", 30);
    terminal.wait_for("repair the roof");
    terminal.wait_for_raw();
    terminal.resize(18, 8);
    terminal.wait_until("it fits", |screen| {
        screen.contains("paint") && screen.lines().all(|line| line.len() < 24)
    });
    terminal.type_in(ENTER);
    terminal.end().assert_restored().code(0);
    assert_eq!(questions(&b.text(TWO)), ["paint the fence", "in green"]);
    assert_no_locks(&env);
}

#[test]
fn picker_resize_loses_no_key() {
    let env = TestEnv::new();
    let (_a, b) = two_sessions(&env);
    let at_b = Client::install(&b);
    let terminal = opened(&at_b, "never said");
    let typed = "roof ".repeat(8);
    for (columns, key) in (70..).zip(typed.chars()) {
        terminal.resize(columns, 16);
        terminal.type_in(key.encode_utf8(&mut [0; 4]));
    }
    terminal.wait_until("every key has arrived", |screen| {
        screen.contains(typed.trim_end())
    });
    terminal.type_in(CTRL_C);
    terminal.end().assert_restored().code(130);
}

#[test]
fn picker_locked_session_needs_confirmation() {
    let env = TestEnv::new();
    let (a, b) = two_sessions(&env);
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start_late(&["resume", TWO], "from a");
    let held = lock(&env.remote_of_pair(), TWO);
    assert!(held.is_some());
    for (no, code) in [("n", 0), (ESCAPE, 130), (CTRL_C, 130)] {
        let terminal = opened(&at_b, "never said");
        terminal.wait_for("a, just now");
        terminal.type_in(ENTER);
        asked(&terminal, "Take it over?");
        terminal.type_in(no);
        let ended = terminal.end().assert_restored();
        assert!(
            ended
                .text()
                .contains("this session is open on a (seen just now)"),
            "{}",
            ended.text()
        );
        assert_answered(&ended.code(code), code, "the session stays with a");
    }
    assert_eq!(
        lock(&env.remote_of_pair(), TWO),
        held,
        "a no leaves the lock alone"
    );
    assert!(!ran(&b), "no client ran");
    let terminal = resume(&at_b, &[TWO], "from b");
    asked(&terminal, "Take it over?");
    terminal.type_in("y");
    terminal.end().assert_restored().code(0);
    at_a.finish();
    a.ended(child).success();
    assert_eq!(questions(&a.text(TWO)), ["paint the fence", "from b"]);
    assert_eq!(a.sessions().len(), 3, "the turn of a is a fork");
    assert_no_locks(&env);
}

#[test]
fn picker_missing_project_is_cloned_on_request() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = project_remote(&env, &a);
    git(
        &a,
        "",
        &["clone", "--quiet", remote.to_str().unwrap(), "lib"],
    );
    a.session(ONE)
        .project("lib/crates/app")
        .turn("hello")
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let at_b = Client::install(&b);
    for (no, code) in [(&[UP, ENTER] as &[_], 0), (&[ESCAPE], 130)] {
        let terminal = resume(&at_b, &[ONE], "never said");
        asked(&terminal, "What to do:");
        terminal.wait_for("stop");
        no.iter().for_each(|key| terminal.type_in(key));
        let ended = terminal.end().assert_restored().code(code);
        assert_answered(&ended, code, "Claude Code was not started");
        assert!(!b.home.join("lib").exists() && !ran(&b));
        assert_no_locks(&env);
    }
    let terminal = resume(&at_b, &[ONE], "from b");
    asked(&terminal, "What to do:");
    terminal.type_in(ENTER);
    terminal.end().assert_restored().code(0);
    assert!(b.home.join("lib/crates/app/main.rs").exists());
    assert_eq!(questions(&b.text(ONE)), ["hello", "from b"]);
    let directory = b.home.join("lib/crates/app");
    assert!(
        b.text(ONE)
            .lines()
            .last()
            .unwrap()
            .contains(directory.to_str().unwrap()),
        "the client runs there"
    );
    assert_no_locks(&env);
}

#[test]
fn picker_missing_placeholder_directory_is_asked_for() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    fs::create_dir_all(a.home.join("my/work/app")).unwrap();
    let root = format!("WORK={}", a.home.join("my/work").display());
    a.add_placeholder(&root);
    a.session(ONE).project("my/work/app").turn("hello").write();
    a.ccsync(["push"]).success();
    fs::create_dir_all(b.home.join("elsewhere/app")).unwrap();
    let at_b = Client::install(&b);
    for (answer, code) in [(CTRL_C, 130), ("~/elsewhere\r", 0)] {
        let terminal = resume(&at_b, &[ONE], "from b");
        asked(&terminal, "What to do:");
        terminal.wait_for("set the directory of WORK");
        terminal.type_in(ENTER);
        asked(&terminal, "Directory of WORK");
        terminal.type_in(answer);
        terminal.end().assert_restored().code(code);
        assert_no_locks(&env);
    }
    assert_eq!(questions(&b.text(ONE)), ["hello", "from b"]);
    assert!(
        b.text(ONE)
            .lines()
            .last()
            .unwrap()
            .contains("elsewhere/app"),
        "the client runs there"
    );
}

#[test]
fn resume_offline_asks_before_start() {
    let env = TestEnv::new();
    let (a, b) = two_sessions(&env);
    let at_b = Client::install(&b);
    let away = env.root().join("away.git");
    fs::rename(env.remote_of_pair(), &away).unwrap();
    for (no, code) in [("n", 0), (ENTER, 0), (CTRL_C, 130)] {
        let terminal = resume(&at_b, &[TWO], "never said");
        asked(&terminal, "Continue without a lock?");
        terminal.type_in(no);
        let ended = terminal.end().assert_restored().code(code);
        assert_answered(&ended, code, "Claude Code was not started");
    }
    assert!(!ran(&b), "no client ran");
    let terminal = resume(&at_b, &[], "alone");
    terminal.wait_for("paint the fence");
    terminal.wait_for("as of the last fetch: ");
    terminal.wait_for_raw();
    terminal.type_in(ENTER);
    asked(&terminal, "Continue without a lock?");
    terminal.type_in("y");
    let ended = terminal.end().assert_restored().code(0);
    assert!(ended.text().contains("not sent yet"), "{}", ended.text());
    fs::rename(&away, env.remote_of_pair()).unwrap();
    b.ccsync(["recover"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(questions(&a.text(TWO)), ["paint the fence", "alone"]);
    assert_no_locks(&env);
}

/// A git on the machine's PATH whose fetches wait while the returned file exists.
fn hold_fetches(machine: &Machine) -> PathBuf {
    let git = machine
        .run(machine.program("sh").args(["-c", "command -v git"]))
        .success()
        .stdout;
    let held = machine.home.join(".hold-fetches");
    fs::write(&held, "").unwrap();
    let script = format!(
        "#!/bin/sh\nfor word; do\n  while [ \"$word\" = fetch ] && [ -e {} ]; do sleep 0.02; done\ndone\nexec {} \"$@\"\n",
        held.display(),
        git.trim()
    );
    let path = machine.home.join(".bin/git");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    held
}

#[test]
fn picker_list_is_shown_before_the_fetch_ends() {
    let env = TestEnv::new();
    let (a, b) = two_sessions(&env);
    let at_b = Client::install(&b);
    let held = hold_fetches(&b);
    a.session(THREE).turn("paint the gate").write();
    a.ccsync(["push"]).success();
    let terminal = opened(&at_b, "from b");
    let before = terminal.wait_for("2 sessions  fetching");
    assert!(!before.contains("paint the gate"), "{before}");
    terminal.type_in(DOWN);
    terminal.wait_until("the second row is selected", |screen| {
        screen
            .lines()
            .any(|line| line.starts_with("> ") && line.contains("repair the roof"))
    });
    fs::remove_file(held).unwrap();
    let after = terminal.wait_for("paint the gate");
    let selected = after.lines().find(|line| line.starts_with("> ")).unwrap();
    assert!(selected.contains("repair the roof"), "{after}");
    terminal.wait_until("the fetch has ended", |screen| !screen.contains("fetching"));
    terminal.type_in(ENTER);
    terminal.end().assert_restored().code(0);
    assert_eq!(questions(&b.text(ONE)), ["repair the roof", "from b"]);
    assert_no_locks(&env);
}

#[test]
fn picker_escape_does_not_wait_for_the_fetch() {
    let env = TestEnv::new();
    let (_a, b) = two_sessions(&env);
    let at_b = Client::install(&b);
    let held = hold_fetches(&b);
    for cancel in [ESCAPE, CTRL_C] {
        let terminal = opened(&at_b, "never said");
        terminal.wait_for("fetching");
        terminal.type_in(cancel);
        let ended = terminal.end().assert_restored().code(130);
        assert_answered(&ended, 130, "fetching");
    }
    fs::remove_file(held).unwrap();
    b.ccsync(["sync"]).success();
    assert!(!ran(&b), "no client ran");
}

#[test]
fn picker_choice_during_the_fetch_is_resumed() {
    let env = TestEnv::new();
    let (_a, b) = two_sessions(&env);
    let at_b = Client::install(&b);
    let held = hold_fetches(&b);
    let terminal = opened(&at_b, "from b");
    terminal.wait_for("fetching");
    terminal.type_in(ENTER);
    terminal.wait_for("waiting for the remote");
    fs::remove_file(held).unwrap();
    terminal.end().assert_restored().code(0);
    assert_eq!(questions(&b.text(TWO)), ["paint the fence", "from b"]);
    assert_no_locks(&env);
}

#[test]
fn picker_unpulled_session_without_remote_comes_from_store() {
    let env = TestEnv::new();
    let (a, b) = two_sessions(&env);
    a.session(THREE).turn("paint the gate").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull", "--dry-run"]).success();
    let at_b = Client::install(&b);
    fs::rename(env.remote_of_pair(), env.root().join("away.git")).unwrap();
    let terminal = resume(&at_b, &[], "never said");
    terminal.wait_for("paint the gate");
    terminal.wait_for("as of the last fetch: ");
    terminal.wait_for_raw();
    terminal.type_in("gate");
    terminal.wait_for("1 of 3 sessions");
    terminal.type_in(ENTER);
    asked(&terminal, "Continue without a lock?");
    terminal.type_in("y");
    let ended = terminal.end().assert_restored().code(0);
    assert!(
        ended.text().contains("from the store of this machine"),
        "{}",
        ended.text()
    );
    assert!(ran(&b), "the client ran");
}

const CTRL_A: &str = "\x01";
const CTRL_G: &str = "\x07";
const CTRL_R: &str = "\x12";
const CTRL_U: &str = "\x15";

/// Renames the selected session in an open picker.
fn rename(terminal: &Terminal, title: &str) {
    terminal.type_in(CTRL_R);
    terminal.wait_for("new title: ");
    terminal.type_in(CTRL_U);
    terminal.type_in(title);
    terminal.type_in(ENTER);
}

#[test]
fn picker_new_title_is_the_clients_and_travels() {
    let env = TestEnv::new();
    let (a, b) = two_sessions(&env);
    let before = b.text(TWO);
    let terminal = opened(&Client::install(&b), "never said");
    rename(&terminal, "the \"fence\" 目");
    terminal.wait_for("> just now");
    terminal.wait_until("the row has the title", |screen| {
        screen
            .lines()
            .any(|line| line.starts_with("> ") && line.contains("the \"fence\" 目"))
    });
    terminal.type_in(ESCAPE);
    terminal.end().assert_restored().code(130);
    let record = format!(
        "{{\"type\":\"custom-title\",\"customTitle\":\"the \\\"fence\\\" 目\",\"sessionId\":\"{TWO}\"}}\n"
    );
    assert_eq!(b.text(TWO), before + &record);
    let file = |machine: &Machine| {
        let directory = machine.transcript_path(TWO).with_extension("");
        fs::read_to_string(directory.join("custom-title.json")).unwrap()
    };
    let title = file(&b);
    assert!(
        title.starts_with("{\"customTitle\":\"the \\\"fence\\\" 目\",\"by\":\"user\",\"at\":\"")
            && title.ends_with("Z\"}"),
        "{title}"
    );
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(a.text(TWO).ends_with(&record));
    assert_eq!(file(&a), title);
    assert!(
        a.ccsync(["list"])
            .success()
            .stdout
            .contains("the \"fence\" 目")
    );
}

#[test]
fn picker_open_session_keeps_its_title() {
    let env = TestEnv::new();
    let (a, b) = two_sessions(&env);
    let (at_a, at_b) = (Client::install(&a), Client::install(&b));
    let child = at_a.start(&["resume", TWO], "from a");
    let before = b.text(TWO);
    let terminal = opened(&at_b, "never said");
    terminal.wait_for("a, just now");
    rename(&terminal, "x");
    terminal.wait_for("not renamed: the session is open on a");
    terminal.type_in(CTRL_C);
    terminal.end().assert_restored().code(130);
    assert_eq!(b.text(TWO), before);
    let terminal = opened(&at_a, "never said");
    rename(&terminal, "x");
    terminal.wait_for("not renamed: ");
    terminal.wait_for("is running on this machine");
    terminal.type_in(CTRL_C);
    terminal.end().assert_restored().code(130);
    at_a.finish();
    a.ended(child).success();
    assert!(!a.text(TWO).contains("custom-title"));
}

#[test]
fn picker_shows_tag_archived_and_older_sessions() {
    let env = TestEnv::new();
    let (a, b) = two_sessions(&env);
    let tag = format!("{{\"type\":\"tag\",\"tag\":\"later\",\"sessionId\":\"{ONE}\"}}\n");
    a.append_raw(ONE, tag.as_bytes());
    let directory = a.transcript_path(ONE).with_extension("");
    fs::create_dir_all(&directory).unwrap();
    fs::write(
        directory.join("archived.json"),
        r#"{"archived":true,"at":"2026-11-25T10:00:00.000Z","by":"sdk"}"#,
    )
    .unwrap();
    a.session(THREE).days_old(90).turn("mow the lawn").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(
        !b.sessions().contains(&THREE.to_owned()),
        "too old to be pulled"
    );
    for machine in [&a, &b] {
        let terminal = opened(&Client::install(machine), "never said");
        let screen = terminal.wait_for("mow the lawn");
        let line = |text: &str| screen.lines().find(|line| line.contains(text)).unwrap();
        assert!(
            line("repair the roof").contains("archived #later"),
            "{screen}"
        );
        let is_here = machine.home == a.home;
        assert_eq!(
            !line("mow the lawn").contains("not here"),
            is_here,
            "{screen}"
        );
        terminal.type_in("lawn");
        terminal.wait_for("1 of 3 sessions");
        terminal.type_in(TAB);
        terminal.wait_for("Answer to: mow the lawn");
        terminal.type_in(CTRL_C);
        terminal.end().assert_restored().code(130);
    }
}

#[test]
fn picker_begins_with_the_project_and_hides_headless() {
    let env = TestEnv::new();
    let (a, b) = two_sessions(&env);
    let headless =
        format!("{{\"type\":\"mode\",\"entrypoint\":\"sdk-cli\",\"sessionId\":\"{ONE}\"}}\n");
    a.append_raw(ONE, headless.as_bytes());
    a.session(THREE)
        .project("work/other")
        .turn("mow the lawn")
        .write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let at_b = Client::install(&b);
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    let mut command = at_b.command(&["resume"], "never said");
    command.current_dir(b.home.join("work/app"));
    let terminal = Terminal::start(command, 110, 16);
    let screen = terminal.wait_for("1 of 2 sessions (this project)");
    assert!(screen.contains("paint the fence"), "{screen}");
    terminal.wait_for_raw();
    terminal.type_in(CTRL_A);
    terminal.wait_for("mow the lawn");
    terminal.wait_for("2 sessions");
    terminal.type_in(CTRL_G);
    terminal.wait_for("3 sessions (with headless)");
    terminal.wait_for("repair the roof");
    terminal.type_in(ESCAPE);
    terminal.end().assert_restored().code(130);
}

#[test]
fn picker_number_list_turns_pages() {
    let env = TestEnv::new();
    let a = env.machine("a");
    a.ccsync(["init", "--yes"]).success();
    for n in 1..=23 {
        let id = format!("{n:08}-0000-4000-8000-000000000000");
        a.session(&id).days_old(n).turn(&format!("job {n}")).write();
    }
    let at_a = Client::install(&a);
    let mut command = at_a.command(&["resume"], "from a");
    command.env("TERM", "dumb");
    let terminal = Terminal::start(command, 100, 40);
    terminal.wait_for("1-20 of 23 of 23 sessions");
    terminal.type_in("+\r");
    terminal.wait_for("21-23 of 23 of 23 sessions");
    terminal.type_in("22\r");
    terminal.end().assert_restored().code(0);
    let chosen = "00000022-0000-4000-8000-000000000000";
    assert_eq!(at_a.arguments(), [format!("--resume {chosen}")]);
}
