//! Sessions that Claude Code moved to another project (`/cd`).

use std::fs;
use std::path::PathBuf;

use crate::harness::{Machine, ONE, TestEnv, questions};
use crate::project_repository::{manifest, repository};

const DEMO: &str = "https://example.invalid/al/demo.git";
const OTHER: &str = "https://example.invalid/al/other.git";

/// Moves a session on a machine, as `/cd` does: the files, a record, and the output of the command.
fn change_directory(machine: &Machine, session: &str, to: &str) {
    let from = machine.transcript_path(session);
    let directory = machine.project_dir(to);
    fs::create_dir_all(machine.home.join(to)).unwrap();
    fs::create_dir_all(&directory).unwrap();
    let own = from.with_extension("");
    if own.exists() {
        fs::rename(&own, directory.join(session)).unwrap();
    }
    fs::rename(&from, directory.join(from.file_name().unwrap())).unwrap();
    let cwd = machine.home.join(to);
    let record = format!(
        "{{\"type\":\"relocated\",\"sessionId\":\"{session}\",\"relocatedCwd\":\"{}\"}}\n",
        cwd.display()
    );
    machine.append_raw(session, record.as_bytes());
}

/// Says something in the present directory of a session.
fn say(machine: &Machine, session: &str, directory: &str, text: &str) {
    let cwd = machine.home.join(directory);
    let uuid = uuid::Uuid::new_v4();
    let record = format!(
        "{{\"type\":\"user\",\"uuid\":\"{uuid}\",\"sessionId\":\"{session}\",\"cwd\":\"{}\",\"timestamp\":\"{}\",\"message\":{{\"role\":\"user\",\"content\":\"{text}\"}}}}\n",
        cwd.display(),
        chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now())
            .format("%Y-%m-%dT%H:%M:%S.000Z")
    );
    machine.append_raw(session, record.as_bytes());
}

/// Returns the working directories in a transcript, below the home directory, in order.
fn directories(machine: &Machine, session: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in machine.text(session).lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(cwd) = record["cwd"].as_str().or(record["relocatedCwd"].as_str()) else {
            continue;
        };
        let cwd = PathBuf::from(cwd);
        let below = cwd
            .strip_prefix(&machine.home)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if found.last() != Some(&below) {
            found.push(below);
        }
    }
    found
}

/// Sets up two machines with clones in different places, and a session in the first project.
fn pair_with_clones(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    repository(&a, "work/demo", DEMO);
    repository(&a, "work/other", OTHER);
    repository(&b, "src/first/demo", DEMO);
    repository(&b, "code/second", OTHER);
    for clone in ["src/first/demo", "code/second"] {
        // Claude Code has been in both.
        b.session(&uuid::Uuid::new_v4().to_string())
            .project(clone)
            .turn("x")
            .write();
    }
    a.session(ONE).project("work/demo").turn("one").write();
    let agent = a
        .transcript_path(ONE)
        .with_extension("")
        .join("subagents/agent-1.jsonl");
    fs::create_dir_all(agent.parent().unwrap()).unwrap();
    fs::write(agent, "{\"type\":\"user\"}\n").unwrap();
    a.ccsync(["push"]).success();
    b.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(directories(&b, ONE), ["src/first/demo"]);
    (a, b)
}

#[test]
fn moved_session_follows_to_clone_of_other_project() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env);
    let before = b.transcript_path(ONE);
    change_directory(&a, ONE, "work/other");
    say(&a, ONE, "work/other", "two");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).success();
    assert!(run.stdout.contains("moved here to"), "{run}");
    assert_eq!(directories(&b, ONE), ["src/first/demo", "code/second"]);
    let after = b.transcript_path(ONE);
    assert_eq!(after.parent().unwrap(), b.project_dir("code/second"));
    assert!(
        after
            .with_extension("")
            .join("subagents/agent-1.jsonl")
            .exists()
    );
    assert!(!before.exists() && !before.with_extension("").exists());
    let project = ["list", "--json", "--project", "al/other"];
    assert!(b.ccsync(project).success().stdout.contains(ONE));

    say(&b, ONE, "code/second", "three");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(directories(&a, ONE), ["work/demo", "work/other"]);
    change_directory(&b, ONE, "src/first/demo");
    say(&b, ONE, "src/first/demo", "four");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(
        directories(&a, ONE),
        ["work/demo", "work/other", "work/demo"]
    );
    assert_eq!(questions(&a.text(ONE)), ["one", "two", "three", "four"]);
    for machine in [&a, &b] {
        machine.ccsync(["verify", "--full"]).success();
        machine.assert_in_order("moved and back");
    }
}

/// A machine that sees the session for the first time reads each part of it in its own clone.
#[test]
fn moved_session_is_new_on_third_machine() {
    let env = TestEnv::new();
    let (a, _) = pair_with_clones(&env);
    change_directory(&a, ONE, "work/other");
    a.ccsync(["push"]).success();
    say(&a, ONE, "work/other", "two");
    a.ccsync(["push"]).success();
    let c = env.machine("c");
    repository(&c, "work/other", OTHER);
    repository(&c, "work/demo", DEMO);
    c.init(&env.remote_of_pair());
    c.ccsync(["pull"]).success();
    assert_eq!(directories(&c, ONE), ["work/demo", "work/other"]);
    assert_eq!(
        manifest(&c, ONE)["git"]["identity"],
        "example.invalid/al/other"
    );
}

#[test]
fn moved_session_returns_with_undo() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env);
    let (path, text) = (b.transcript_path(ONE), b.text(ONE));
    change_directory(&a, ONE, "work/other");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_ne!(b.transcript_path(ONE), path);
    b.ccsync(["undo"]).success();
    assert_eq!((b.transcript_path(ONE), b.text(ONE)), (path, text));
}

#[test]
fn moved_session_without_clone_stays_and_says_so() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    repository(&a, "work/demo", DEMO);
    repository(&b, "src/demo", DEMO);
    b.session(&uuid::Uuid::new_v4().to_string())
        .project("src/demo")
        .turn("x")
        .write();
    b.ccsync(["push"]).success();
    a.session(ONE).project("work/demo").turn("one").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    repository(&a, "work/other", OTHER);
    change_directory(&a, ONE, "work/other");
    say(&a, ONE, "work/other", "two");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(
        directories(&b, ONE),
        ["src/demo", "work/other"],
        "as on its machine"
    );
    // A directory without a repository.
    change_directory(&a, ONE, "notes");
    say(&a, ONE, "notes", "three");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(directories(&b, ONE), ["src/demo", "work/other", "notes"]);
    assert_eq!(
        b.transcript_path(ONE).parent().unwrap(),
        b.project_dir("notes")
    );
    assert_eq!(manifest(&b, ONE)["git"], serde_json::Value::Null);
}

#[test]
fn moved_session_in_excluded_project_is_not_sent() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env);
    a.ccsync(["config", "exclude", "example.invalid/al/other"])
        .success();
    change_directory(&a, ONE, "work/other");
    say(&a, ONE, "work/other", "secret");
    let run = a.ccsync(["push"]).success();
    assert!(run.stdout.contains("excluded"), "{run}");
    change_directory(&a, ONE, "work/demo");
    say(&a, ONE, "work/demo", "back again");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert!(!b.text(ONE).contains("secret"));
}

#[test]
fn moved_session_to_excluded_project_is_not_pulled() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env);
    b.ccsync(["config", "exclude", "example.invalid/al/other"])
        .success();
    change_directory(&a, ONE, "work/other");
    say(&a, ONE, "work/other", "two");
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).success();
    assert!(run.stdout.contains("excluded"), "{run}");
    assert_eq!(questions(&b.text(ONE)), ["one"]);
}
