//! Sessions that Claude Code moved to another project (`/cd`).

use std::fs;
use std::path::PathBuf;

use crate::harness::{Machine, ONE, TWO, TestEnv, questions, tree};
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

/// Returns all that the store of a machine has of sessions.
fn stored_text(machine: &Machine) -> String {
    let files = tree(&machine.store().join("sessions")).into_values();
    files
        .map(|(_, content)| String::from_utf8_lossy(&content).into_owned())
        .collect()
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

/// Each line is read in the clone of the project in which it was written.
#[test]
fn moved_session_in_one_push_is_divided() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env);
    a.session(TWO).project("work/demo").turn("one").write();
    change_directory(&a, TWO, "work/other");
    say(&a, TWO, "work/other", "two");
    let written = a.transcript(TWO);
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(directories(&b, TWO), ["src/first/demo", "code/second"]);
    assert_eq!(
        b.transcript_path(TWO).parent().unwrap(),
        b.project_dir("code/second")
    );

    say(&b, TWO, "code/second", "three");
    change_directory(&b, TWO, "src/first/demo");
    say(&b, TWO, "src/first/demo", "four");
    change_directory(&b, TWO, "notes");
    say(&b, TWO, "notes", "five");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(a.transcript(TWO).starts_with(&written));
    let all = ["work/demo", "work/other", "work/demo", "notes"];
    assert_eq!(directories(&a, TWO), all);

    let c = env.machine("c");
    repository(&c, "x/other", OTHER);
    repository(&c, "y/demo", DEMO);
    for clone in ["x/other", "y/demo"] {
        c.session(&uuid::Uuid::new_v4().to_string())
            .project(clone)
            .turn("x")
            .write();
    }
    c.init(&env.remote_of_pair());
    c.ccsync(["sync"]).success();
    let all = ["y/demo", "x/other", "y/demo", "notes"];
    assert_eq!(directories(&c, TWO), all);
    for machine in [&a, &b, &c] {
        machine.ccsync(["sync"]).success();
        machine.ccsync(["verify", "--full"]).success();
        machine.assert_in_order("divided");
    }
    assert_eq!(
        questions(&b.text(TWO)),
        ["one", "two", "three", "four", "five"]
    );
}

/// A tool was in another clone for a while; the session has not moved.
#[test]
fn session_with_records_in_other_clone_stays_in_its_project() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env);
    say(&a, ONE, "work/demo", "two");
    say(&a, ONE, "work/other", "three");
    say(&a, ONE, "somewhere", "four");
    say(&a, ONE, "work/demo", "five");
    let written = a.transcript(ONE);
    a.ccsync(["push"]).success();
    let run = b.ccsync(["pull"]).success();
    assert!(!run.stdout.contains("moved here to"), "{run}");
    assert_eq!(
        directories(&b, ONE),
        [
            "src/first/demo",
            "code/second",
            "somewhere",
            "src/first/demo"
        ]
    );
    assert_eq!(
        b.transcript_path(ONE).parent().unwrap(),
        b.project_dir("src/first/demo")
    );
    assert_eq!(
        manifest(&b, ONE)["git"]["identity"],
        "example.invalid/al/demo"
    );
    say(&b, ONE, "src/first/demo", "six");
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    assert!(a.transcript(ONE).starts_with(&written));
    for machine in [&a, &b] {
        machine.ccsync(["verify", "--full"]).success();
        machine.assert_in_order("stays");
    }
}

#[test]
fn moved_session_through_excluded_project_is_not_sent() {
    let env = TestEnv::new();
    let (a, b) = pair_with_clones(&env);
    a.ccsync(["config", "exclude", "example.invalid/al/other"])
        .success();
    a.session(TWO).project("work/demo").turn("one").write();
    change_directory(&a, TWO, "work/other");
    say(&a, TWO, "work/other", "secret");
    change_directory(&a, TWO, "work/demo");
    say(&a, TWO, "work/demo", "back again");
    let run = a.ccsync(["push"]).success();
    assert!(run.stdout.contains("excluded"), "{run}");
    b.ccsync(["pull"]).success();
    assert!(!b.sessions().contains(&TWO.to_owned()));
    assert!(!stored_text(&b).contains("secret"));
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
