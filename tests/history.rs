//! The history of the store: shown and restored.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::harness::{Clone, Machine, ONE, TWO, TestEnv, chain_is_whole, questions};

/// Returns the entries of a log, newest first.
fn log(machine: &Machine, args: &[&str]) -> Vec<Value> {
    let run = machine
        .ccsync(["log", "--json"].iter().chain(args))
        .success()
        .json();
    run["entries"].as_array().unwrap().clone()
}

/// Returns the commits that made the states of a session, oldest first.
fn states(machine: &Machine, id: &str) -> Vec<String> {
    let mut commits: Vec<String> = log(machine, &[id, "-n", "1000"])
        .iter()
        .map(|entry| entry["commit"].as_str().unwrap().to_owned())
        .collect();
    commits.reverse();
    commits
}

/// Sets up two machines with a session of three states: one turn, two, three.
fn three_states(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).turn("first").write();
    a.ccsync(["push"]).success();
    for question in ["second", "third"] {
        a.append(ONE, question);
        a.ccsync(["push"]).success();
    }
    b.ccsync(["pull"]).success();
    (a, b)
}

/// Returns all files of a session on a machine, by path.
fn files_of(machine: &Machine, id: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let transcript = machine.transcript_path(id);
    let extras = walkdir::WalkDir::new(transcript.with_extension(""))
        .into_iter()
        .flatten();
    let files = extras
        .filter(|e| e.file_type().is_file())
        .map(|e| e.into_path());
    std::iter::once(transcript)
        .chain(files)
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn log_lists_commits_and_session_states() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    b.append(ONE, "fourth");
    b.session(TWO).turn("other").write();
    b.ccsync(["push"]).success();
    b.ccsync(["note", "look"]).success();
    a.ccsync(["pull"]).success();
    let entries = log(&a, &[]);
    let changes = |at: usize| {
        let sessions = entries[at]["sessions"].as_array().unwrap();
        sessions
            .iter()
            .map(|s| {
                (
                    s["change"].clone(),
                    s["lines_added"].clone(),
                    s["turns_added"].clone(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(entries[0]["notes"], 1);
    assert_eq!(
        changes(1),
        [
            ("extended".into(), 4.into(), 1.into()),
            ("added".into(), 4.into(), 1.into())
        ]
    );
    assert_eq!(entries[1]["machine"]["name"], "b");
    assert_eq!(changes(4), [("added".into(), 4.into(), 1.into())]);
    assert_eq!(entries.len(), 5);
    assert_eq!(log(&a, &["-n", "2"]).len(), 2);
    let of_one: Vec<_> = log(&a, &[ONE])
        .iter()
        .map(|e| e["sessions"][0]["turns"].clone())
        .collect();
    assert_eq!(of_one, [4, 3, 2, 1]);
    let shown = b.ccsync(["log", "1111"]).success().stdout;
    assert!(
        shown.lines().nth(1).unwrap().contains(" b ") && shown.contains("first state"),
        "{shown}"
    );
    let shown = b.ccsync(["log"]).success().stdout;
    assert!(
        shown.contains("1 note") && shown.contains("+1 turn"),
        "{shown}"
    );
    // A commit made with git is part of the history, too.
    let clone = Clone::new(&env.remote_of_pair(), &a);
    clone.git(&["rm", "-r", "--quiet", "sessions/22"]);
    clone.push();
    let entry = &log(&a, &["--remote", "-n", "1"])[0];
    assert_eq!(
        (&entry["machine"], &entry["sessions"][0]["change"]),
        (&Value::Null, &"removed".into())
    );
}

#[test]
fn log_merge_is_listed_only_with_changes() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    a.append(ONE, "from a");
    b.append(ONE, "from b");
    a.ccsync(["push"]).success();
    b.ccsync(["push"]).code(5);
    let entries = log(&b, &[]);
    let changes: Vec<_> = entries[0]["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["change"].clone())
        .collect();
    assert_eq!(changes, ["forked"], "{entries:#?}");
    assert_eq!(
        states(&b, ONE).len(),
        5,
        "that of each side, though only one stayed"
    );
}

#[test]
fn restore_session_stays_pinned_until_pulled() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    let whole = b.transcript(ONE);
    let second = &states(&b, ONE)[1];
    insta::assert_snapshot!(b.ccsync(["restore", "1111", "--at", &second[..10]]).success().stdout.lines().last().unwrap(), @"restore: 1 restored");
    assert_eq!(questions(&b.text(ONE)), ["first", "second"]);
    for command in ["pull", "status"] {
        let pulled = b.ccsync([command]).success().stdout;
        assert!(
            pulled.contains(
                "restored to an earlier state here; to get what came later: ccsync pull SESSION"
            ),
            "{pulled}"
        );
        assert!(
            b.ccsync(["push"])
                .success()
                .stdout
                .contains("up to date (1 session)")
        );
        assert!(b.ccsync(["sync"]).success().stdout.contains("up to date"));
    }
    assert_eq!(
        b.ccsync(["status", "--json"]).success().json()["to_push"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    assert_eq!(questions(&b.text(ONE)), ["first", "second"]);
    a.ccsync(["pull"]).success();
    assert_eq!(
        questions(&a.text(ONE)).len(),
        3,
        "other machines know nothing of it"
    );
    b.ccsync(["pull", ONE]).success();
    assert_eq!(b.transcript(ONE), whole);
    assert!(b.ccsync(["pull"]).success().stdout.contains("up to date"));
}

#[test]
fn restore_session_then_deleted_stays_deleted() {
    let env = TestEnv::new();
    let (a, _) = three_states(&env);
    a.ccsync(["restore", ONE, "--at", &states(&a, ONE)[0]])
        .success();
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    a.ccsync(["sync"]).success();
    a.ccsync(["pull"]).success();
    assert!(a.sessions().is_empty());
    a.ccsync(["pull", ONE]).success();
    assert_eq!(questions(&a.text(ONE)).len(), 3);
}

#[test]
fn restore_pinned_session_receives_new_changes() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    b.ccsync(["restore", ONE, "--at", &states(&b, ONE)[0]])
        .success();
    a.append(ONE, "fourth");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(b.transcript(ONE).len(), b.text(ONE).len());
    assert_eq!(
        questions(&b.text(ONE)),
        ["first", "second", "third", "fourth"]
    );
    assert_eq!(b.sessions(), [ONE]);
}

#[test]
fn restore_then_new_turn_becomes_fork_on_both_machines() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    b.ccsync(["restore", ONE, "--at", &states(&b, ONE)[0]])
        .success();
    b.append(ONE, "otherwise");
    b.ccsync(["push"]).code(5);
    b.ccsync(["pull"]);
    a.ccsync(["pull"]).success();
    for machine in [&a, &b] {
        let sessions = machine.sessions();
        assert_eq!(sessions.len(), 2, "{sessions:?}");
        let fork = sessions.iter().find(|id| *id != ONE).unwrap();
        assert_eq!(questions(&machine.text(ONE)), ["first", "second", "third"]);
        assert_eq!(questions(&machine.text(fork)), ["first", "otherwise"]);
        assert!(
            machine
                .ccsync(["sync"])
                .success()
                .stdout
                .contains("up to date")
        );
    }
}

#[test]
fn undo_reverts_restore() {
    let env = TestEnv::new();
    let (a, _) = three_states(&env);
    let agent = a
        .transcript_path(ONE)
        .with_extension("")
        .join("subagents/agent-1.jsonl");
    fs::create_dir_all(agent.parent().unwrap()).unwrap();
    fs::write(&agent, "{\"sessionId\":\"x\"}\n").unwrap();
    a.ccsync(["push"]).success();
    let before = files_of(&a, ONE);
    a.ccsync(["restore", ONE, "--at", &states(&a, ONE)[0]])
        .success();
    assert_eq!(questions(&a.text(ONE)), ["first"]);
    assert!(!agent.exists(), "it is newer");
    assert!(
        a.ccsync(["pull"])
            .success()
            .stdout
            .contains("restored to an earlier state")
    );
    a.ccsync(["undo"]).success();
    assert_eq!(files_of(&a, ONE), before);
    assert!(a.ccsync(["sync"]).success().stdout.contains("up to date"));
}

#[test]
fn restore_stores_unpushed_lines_first() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    a.append(ONE, "never pushed");
    a.ccsync(["restore", ONE, "--at", &states(&a, ONE)[1]])
        .success();
    assert_eq!(questions(&a.text(ONE)), ["first", "second"]);
    b.ccsync(["pull"]).success();
    assert_eq!(
        questions(&b.text(ONE)),
        ["first", "second", "third", "never pushed"]
    );
    a.ccsync(["pull", ONE]).success();
    assert_eq!(
        a.transcript(ONE).len(),
        fs::read(a.transcript_path(ONE)).unwrap().len()
    );
    assert_eq!(questions(&a.text(ONE)).len(), 4);
    // Lines that diverged from the store are kept as a reported fork.
    b.append(ONE, "by b");
    b.ccsync(["push"]).success();
    a.append(ONE, "by a");
    let report = a
        .ccsync(["restore", ONE, "--at", &states(&a, ONE)[0], "--json"])
        .success()
        .json();
    assert_eq!(report["sessions"][0]["session"], ONE);
    a.ccsync(["sync"]);
    let all = a.all_questions();
    assert!(
        all.iter().any(|said| said.last().unwrap() == "by a") || all == [vec!["first".to_owned()]],
        "{all:?}"
    );
    let everywhere: Vec<_> = b
        .ccsync(["sync"])
        .stdout
        .lines()
        .map(str::to_owned)
        .collect();
    let said = b.all_questions();
    assert!(
        said.iter().any(|said| said.last().unwrap() == "by a"),
        "{said:?}\n{everywhere:#?}"
    );
    assert!(
        said.iter().any(|said| said.last().unwrap() == "by b"),
        "{said:?}"
    );
}

#[test]
fn restore_as_fork_is_identical_on_every_machine() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    let whole = a.transcript(ONE);
    let second = &states(&a, ONE)[1];
    let report = a
        .ccsync(["restore", ONE, "--at", second, "--as-fork", "--json"])
        .success()
        .json();
    let fork = report["sessions"][0]["fork"].as_str().unwrap().to_owned();
    assert_eq!(questions(&a.text(&fork)), ["first", "second"]);
    assert!(
        a.text(&fork).contains(&format!("\"sessionId\":\"{fork}\""))
            && !a.text(&fork).contains(ONE)
    );
    assert!(chain_is_whole(&a.text(&fork)));
    assert_eq!(a.transcript(ONE), whole);
    let same = b
        .ccsync(["restore", ONE, "--at", second, "--as-fork", "--json"])
        .success()
        .json();
    assert_eq!(same["sessions"][0]["fork"], fork.as_str());
    b.append(&fork, "on b");
    b.ccsync(["sync"]).success();
    a.ccsync(["sync"]).success();
    assert_eq!(questions(&a.text(&fork)), ["first", "second", "on b"]);
    let rows = a.ccsync(["list", "--json"]).success().json();
    let row = rows["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["session"] == fork.as_str())
        .unwrap()
        .clone();
    assert_eq!(row["fork_of"], ONE);
    // A second restore finds the fork and keeps its newer turns.
    a.append(&fork, "not pushed");
    let again = a
        .ccsync(["restore", ONE, "--at", second, "--as-fork", "--json"])
        .success()
        .json();
    assert_eq!(questions(&a.text(&fork)).len(), 4);
    let lines = a.text(&fork).lines().count() as u64;
    assert_eq!(
        (
            &again["sessions"][0]["turns"],
            &again["sessions"][0]["lines"]
        ),
        (&4.into(), &lines.into())
    );
    let away = env.machine("c");
    away.init(&env.remote_of_pair());
    let plan = away.ccsync([
        "restore",
        ONE,
        "--at",
        second,
        "--as-fork",
        "--dry-run",
        "--json",
    ]);
    assert_eq!(
        plan.success().json()["sessions"][0]["turns"],
        3,
        "as it is on the remote"
    );
    for machine in [&a, &b] {
        assert_eq!(machine.sessions().len(), 2);
        machine.assert_in_order("after a restore");
    }
}

#[test]
fn restore_deleted_session_to_any_state() {
    let env = TestEnv::new();
    let (a, _) = three_states(&env);
    let early = &states(&a, ONE)[0];
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    a.ccsync(["sync"]).success();
    assert!(a.sessions().is_empty());
    a.ccsync(["restore", ONE, "--at", early]).success();
    assert_eq!(questions(&a.text(ONE)), ["first"]);
    a.ccsync(["sync"]).success();
    assert_eq!(questions(&a.text(ONE)), ["first"]);
    // A session that was removed from the store can be restored, too.
    let clone = Clone::new(&env.remote_of_pair(), &a);
    clone.git(&["rm", "-r", "--quiet", "sessions/11"]);
    clone.push();
    fs::remove_file(a.transcript_path(ONE)).unwrap();
    a.ccsync(["pull"]).success();
    assert!(a.sessions().is_empty());
    a.ccsync(["restore", "1111", "--at", early]).success();
    assert_eq!(questions(&a.text(ONE)), ["first"]);
}

#[test]
fn restore_session_with_only_extra_files() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let task = a.home.join(".claude/tasks").join(ONE).join("1.json");
    a.session(ONE).turn("first").write();
    let (transcript, extras) = (
        a.transcript_path(ONE),
        a.transcript_path(ONE).with_extension(""),
    );
    write_file(&task, "{\"id\":\"1\",\"status\":\"pending\"}");
    a.ccsync(["push"]).success();
    a.append(ONE, "second");
    write_file(&task, "{\"id\":\"1\",\"status\":\"done\"}");
    write_file(&extras.join("tool-results/later.txt"), "later");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let early = &states(&a, ONE)[0];
    fs::remove_file(&transcript).unwrap();
    a.ccsync(["sync"]).success();
    let before = a.client_tree();
    write_file(&extras.join("tool-results/only-here.txt"), "only here");

    a.ccsync(["restore", ONE, "--at", early]).success();
    let text_of = |path: &Path| fs::read_to_string(path).unwrap();
    assert!(text_of(&task).contains("pending") && !extras.join("tool-results/later.txt").exists());
    assert_eq!(
        text_of(&extras.join("tool-results/only-here.txt")),
        "only here",
        "there is no other copy"
    );
    for command in ["pull", "push", "sync", "pull"] {
        let run = a.ccsync([command]).success();
        assert_eq!(
            (questions(&a.text(ONE)), a.sessions().len()),
            (vec!["first".to_owned()], 1),
            "{command}\n{run}"
        );
        assert!(text_of(&task).contains("pending"), "{command}\n{run}");
    }
    b.ccsync(["pull"]).success();
    let there = b
        .transcript_path(ONE)
        .with_extension("")
        .join("tool-results");
    assert!(there.join("only-here.txt").exists() && there.join("later.txt").exists());
    // A file next to it that the restore did not write would keep the transcript.
    fs::remove_file(extras.join("tool-results/only-here.txt")).unwrap();
    a.ccsync(["undo"]).success();
    assert_eq!(a.client_tree(), before);

    // A file that exists only here is not replaced.
    write_file(&task, "{\"id\":\"1\",\"status\":\"by hand\"}");
    let run = a.ccsync(["restore", ONE, "--at", early]).code(1);
    assert!(run.stderr.contains("1.json` is not in the store"), "{run}");
    assert!(text_of(&task).contains("by hand") && !transcript.exists());
}

/// Waits until a commit made now has another time than one made before.
#[expect(
    clippy::disallowed_methods,
    reason = "commits have the time of the system"
)]
fn next_second() {
    let (start, deadline) = (
        chrono::Utc::now().timestamp(),
        Instant::now() + Duration::from_secs(60),
    );
    while chrono::Utc::now().timestamp() == start {
        assert!(Instant::now() < deadline, "the clock does not advance");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn restore_time_selects_newest_state_before() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).turn("first").write();
    a.ccsync(["push"]).success();
    next_second();
    a.append(ONE, "second");
    a.ccsync(["push"]).success();
    let times: Vec<String> = log(&a, &[ONE])
        .iter()
        .map(|e| e["time"].as_str().unwrap().to_owned())
        .collect();
    a.ccsync(["restore", ONE, "--at", &times[1]]).success();
    assert_eq!(questions(&a.text(ONE)), ["first"]);
    a.ccsync(["restore", ONE, "--at", "2999-01-01"]).success();
    assert_eq!(questions(&a.text(ONE)), ["first", "second"]);
    assert!(
        a.ccsync(["pull"]).success().stdout.contains("up to date"),
        "the newest state is not held"
    );
    let early = a
        .ccsync(["restore", ONE, "--at", "2020-01-01 12:00"])
        .code(1);
    assert!(early.stderr.contains("was first stored at 20"), "{early}");
    let tokyo =
        times[1].parse::<chrono::DateTime<chrono::Utc>>().unwrap() + chrono::TimeDelta::hours(9);
    let local = tokyo.format("%Y-%m-%d %H:%M:%S").to_string();
    a.run(
        a.command(["restore", ONE, "--at", &local])
            .env("TZ", "JST-9"),
    )
    .success();
    assert_eq!(questions(&a.text(ONE)), ["first"]);
}

#[test]
fn restore_and_log_of_missing_target_names_help() {
    let env = TestEnv::new();
    let (a, _) = three_states(&env);
    for args in [
        &["restore", TWO, "--at", "1d"][..],
        &["restore", ONE, "--at", "00000000"],
        &["restore", ONE, "--at", "tomorrow"],
        &["restore", "--milestone", "none"],
        &["log", TWO],
    ] {
        let run = a.ccsync(args);
        assert!(
            matches!(run.code, Some(1 | 2)) && run.stderr.contains("hint: "),
            "{args:?}\n{run}"
        );
    }
    assert_eq!(a.ccsync(["restore", ONE]).code, Some(2));
    assert_eq!(a.ccsync(["restore", "--at", "1d"]).code, Some(2));
    assert_eq!(a.ccsync(["milestone", "../x"]).code, Some(2));
    a.session(TWO).turn("later").write();
    a.ccsync(["push"]).success();
    let before = a
        .ccsync(["restore", TWO, "--at", &states(&a, ONE)[0]])
        .code(1);
    assert!(before.stderr.contains("is not in commit"), "{before}");
    // An ambiguous prefix of two commits is refused.
    let all = a.git(&["log", "--format=%H"]);
    assert!(all.lines().count() > 3);
    assert_eq!(questions(&a.text(ONE)).len(), 3);
}

#[cfg(target_os = "linux")]
#[test]
fn restore_running_session_is_refused() {
    let env = TestEnv::new();
    let (a, _) = three_states(&env);
    a.mark_running(ONE, std::process::id());
    let run = a
        .ccsync(["restore", ONE, "--at", &states(&a, ONE)[0]])
        .code(1);
    assert!(run.stderr.contains("exit Claude Code"), "{run}");
    assert_eq!(questions(&a.text(ONE)).len(), 3);
    a.ccsync(["restore", ONE, "--at", &states(&a, ONE)[0], "--as-fork"])
        .success();
    assert_eq!(a.sessions().len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn resume_restored_session_continues_from_that_state() {
    use crate::harness::client::Client;
    let env = TestEnv::new();
    let (_, b) = three_states(&env);
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    b.ccsync(["restore", ONE, "--at", &states(&b, ONE)[0]])
        .success();
    let run = b.run(&mut Client::install(&b).command(&["resume", ONE], "otherwise"));
    b.ccsync(["pull"]);
    let all: Vec<_> = b.sessions().iter().map(|id| b.text(id)).collect();
    assert!(
        all.iter()
            .any(|text| text.contains("otherwise") && !text.contains("second")),
        "{run}"
    );
    assert!(
        all.iter()
            .any(|text| text.contains("third") && !text.contains("otherwise")),
        "{run}"
    );
}

fn session(n: usize) -> String {
    format!("{n:08}-0000-4000-8000-000000000000")
}

#[test]
fn milestone_restores_state_of_every_session() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    for n in 0..6 {
        a.session(&session(n))
            .project(&format!("work/p{n}"))
            .turn("then")
            .write();
    }
    a.ccsync(["push"]).success();
    a.append(&session(0), "not pushed yet");
    let made = a
        .ccsync(["milestone", "Before-it", "--json"])
        .success()
        .json();
    assert_eq!(made["milestone"]["sessions"], 6);
    assert_eq!(
        a.ccsync(["milestone", "before-IT"]).code,
        Some(1),
        "names differ by more than case"
    );
    b.ccsync(["sync"]).success();
    let then: Vec<_> = (0..6).map(|n| b.transcript(&session(n))).collect();
    for n in 0..5 {
        b.append(&session(n), "later");
    }
    b.session(&session(9)).turn("new").write();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    let plan = a
        .ccsync(["restore", "--milestone", "before-it", "--dry-run", "--json"])
        .success()
        .json();
    assert_eq!(
        (
            plan["sessions"].as_array().unwrap().len(),
            &plan["unchanged"],
            &plan["newer"]
        ),
        (5, &1.into(), &1.into())
    );
    assert_eq!(
        questions(&a.text(&session(1))),
        ["then", "later"],
        "a plan does nothing"
    );
    let refused = b.ccsync(["restore", "--milestone", "Before-it"]).code(2);
    assert!(
        refused
            .stderr
            .contains("restoring 5 sessions needs confirmation"),
        "{refused}"
    );
    b.ccsync(["restore", "--milestone", "Before-it", "--yes"])
        .success();
    assert_eq!(
        (0..6)
            .map(|n| b.transcript(&session(n)))
            .collect::<Vec<_>>(),
        then
    );
    assert_eq!(questions(&b.text(&session(0))), ["then", "not pushed yet"]);
    b.ccsync(["sync"]).success();
    assert_eq!(
        (0..6)
            .map(|n| b.transcript(&session(n)))
            .collect::<Vec<_>>(),
        then
    );
    b.ccsync(["undo"]).success();
    assert_eq!(questions(&b.text(&session(1))), ["then", "later"]);
    let forks = a
        .ccsync([
            "restore",
            "--milestone",
            "before-it",
            "--as-fork",
            "--yes",
            "--json",
        ])
        .success()
        .json();
    assert_eq!(forks["sessions"].as_array().unwrap().len(), 5);
    assert_eq!(a.sessions().len(), 12);
    let rows = a.ccsync(["milestones", "--json"]).success().json();
    assert_eq!(
        (
            &rows["milestones"][0]["name"],
            &rows["milestones"][0]["machine"]["name"]
        ),
        (&"Before-it".into(), &"a".into())
    );
    assert!(
        a.ccsync(["milestone", "--list"])
            .success()
            .stdout
            .contains("Before-it")
    );
}

#[test]
fn milestone_name_belongs_to_first_push() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    let (remote, away) = (env.remote_of_pair(), env.root().join("away"));
    fs::rename(&remote, &away).unwrap();
    for machine in [&a, &b] {
        let run = machine.ccsync(["milestone", "x"]).code(6);
        assert!(
            run.stderr
                .contains("the milestone may not include what other machines pushed recently"),
            "{run}"
        );
    }
    fs::rename(&away, &remote).unwrap();
    a.ccsync(["push"]).success();
    let pushed = b.ccsync(["push"]).success().stdout;
    assert!(
        pushed
            .contains("another machine was first with the milestone `x`; this one's is called `x-"),
        "{pushed}"
    );
    a.ccsync(["pull"]).success();
    let names = |machine: &Machine| {
        let rows = machine.ccsync(["milestones", "--json"]).success().json();
        let mut rows: Vec<_> = rows["milestones"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| (m["name"].to_string(), m["machine"]["name"].to_string()))
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(names(&a), names(&b));
    assert_eq!(names(&a).len(), 2);
    assert_eq!(names(&a)[0], ("\"x\"".to_owned(), "\"a\"".to_owned()));
    assert!(names(&a)[1].0.starts_with("\"x-") && names(&a)[1].1 == "\"b\"");
}

#[test]
fn milestone_hostile_files_are_ignored() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    let clone = Clone::new(&env.remote_of_pair(), &a);
    let milestone = |name: &str, commit: &str| {
        let json = serde_json::json!({"format": 1, "name": name, "commit": commit, "time": "2026-11-20T14:03:00Z", "machine": "ab".repeat(16)});
        json.to_string()
    };
    clone.write(
        "milestones/nowhere.json",
        milestone("nowhere", &"ab".repeat(20)),
    );
    clone.write(
        "milestones/other.json",
        milestone("another", &"ab".repeat(20)),
    );
    clone.write(
        "milestones/odd.json",
        milestone("\u{1b}[2J", &"ab".repeat(20)),
    );
    clone.write("milestones/bad.json", "{");
    clone.write("milestones/large.json", vec![b' '; 1 << 20]);
    clone.write("milestones/COM1.json", "{}");
    clone.push();
    b.ccsync(["pull"]).success();
    let rows = b.ccsync(["milestones", "--json"]).success().json();
    assert_eq!(rows["milestones"].as_array().unwrap().len(), 1, "{rows}");
    assert_eq!(
        b.ccsync(["restore", "--milestone", "nowhere"]).code,
        Some(1)
    );
    for name in ["bad", "odd", "large"] {
        assert_eq!(b.ccsync(["restore", "--milestone", name]).code, Some(1));
        assert_eq!(
            b.ccsync(["milestone", name]).code,
            Some(1),
            "the name is taken"
        );
    }
    b.ccsync(["milestone", "good"]).success();
    b.ccsync(["log"]).success();
}

/// The events between two pushes.
#[derive(Debug, Clone, Copy)]
enum Event {
    Turns(usize),
    Agent,
    Title(u8),
    Result(u8),
    /// The other machine continues the session, and this one pulls.
    OtherMachine,
}

fn events() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let event = prop_oneof![
        3 => (1..3usize).prop_map(Event::Turns),
        1 => Just(Event::Agent),
        1 => (0..3u8).prop_map(Event::Title),
        1 => (0..3u8).prop_map(Event::Result),
        1 => Just(Event::OtherMachine),
    ];
    prop::collection::vec(prop::collection::vec(event, 1..3), 2..5)
}

fn write_file(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let former = if path.extension().is_some_and(|e| e == "jsonl") {
        fs::read_to_string(path).unwrap_or_default()
    } else {
        String::new()
    };
    fs::write(path, former + text).unwrap();
}

fn apply_event(event: Event, n: usize, a: &Machine, b: &Machine) {
    let extras = a.transcript_path(ONE).with_extension("");
    let home = a.home.display();
    match event {
        Event::Turns(turns) => {
            (0..turns).for_each(|turn| a.append(ONE, &format!("turn {n} {turn} in {home}")));
        }
        Event::Agent => {
            write_file(
                &extras.join("subagents/agent-1.jsonl"),
                &format!("{{\"n\":{n},\"sessionId\":\"{ONE}\"}}\n"),
            );
        }
        Event::Title(title) => {
            write_file(
                &extras.join("custom-title.json"),
                &format!("{{\"customTitle\":\"title {title}\"}}"),
            );
        }
        Event::Result(result) => {
            write_file(
                &extras.join(format!("tool-results/toolu_{result}.txt")),
                &format!("{home} {n}\n"),
            );
        }
        Event::OtherMachine => {
            a.ccsync(["push"]).success();
            b.ccsync(["pull"]).success();
            b.append(ONE, &format!("elsewhere {n}"));
            b.ccsync(["push"]).success();
            a.ccsync(["pull"]).success();
        }
    }
}

#[test]
fn restore_every_state_is_exact() {
    let cases = std::env::var("CCSYNC_HISTORY_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(4);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&events(), |steps| {
            let env = TestEnv::new();
            let (a, b) = env.pair_with_session();
            let mut states_by_commit = vec![(
                a.git(&["rev-parse", "HEAD"]).trim().to_owned(),
                files_of(&a, ONE),
            )];
            for (n, events) in steps.iter().enumerate() {
                events
                    .iter()
                    .for_each(|event| apply_event(*event, n, &a, &b));
                a.ccsync(["push"]).success();
                states_by_commit.push((
                    a.git(&["rev-parse", "HEAD"]).trim().to_owned(),
                    files_of(&a, ONE),
                ));
            }
            // From each state to each other.
            for (commit, files) in states_by_commit.iter().chain(states_by_commit.iter().rev()) {
                a.ccsync(["restore", ONE, "--at", commit]).success();
                prop_assert_eq!(&files_of(&a, ONE), files, "{}", commit);
                a.ccsync(["sync"]).success();
                prop_assert_eq!(&files_of(&a, ONE), files, "{} after a sync", commit);
            }
            a.assert_in_order("after all");
            Ok(())
        })
        .unwrap();
}

#[test]
fn restore_does_not_push_excluded_sessions() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    let first = states(&a, ONE)[0].clone();
    a.ccsync(["milestone", "then"]).success();
    a.append(ONE, "between us");
    a.session(TWO).turn("other").write();
    for (set, reset) in [
        (
            &["config", "exclude", "work"][..],
            &["config", "exclude", "--remove", "work"][..],
        ),
        (
            &["config", "set", "max_size", "1kB"],
            &["config", "set", "max_size", "none"],
        ),
    ] {
        a.ccsync(set).success();
        for dry in [&["--dry-run"][..], &[]] {
            let run = a
                .ccsync(["restore", ONE, "--at", &first].iter().chain(dry))
                .code(1);
            assert!(
                run.stderr
                    .contains("the local turns would be pushed first, but "),
                "{run}"
            );
        }
        let run = a.ccsync(["restore", "--milestone", "then", "--yes", "--json"]);
        assert_eq!(run.json()["skipped"].as_array().unwrap().len(), 1, "{run}");
        assert_eq!(questions(&a.text(ONE)).last().unwrap(), "between us");
        // A state that the store has already may become a session of its own.
        a.ccsync([
            "milestone",
            if set[1] == "set" { "small" } else { "excluded" },
        ])
        .success();
        b.ccsync(["pull"]).success();
        assert_eq!(
            (b.sessions(), questions(&b.text(ONE)).len()),
            (vec![ONE.to_owned()], 3)
        );
        a.ccsync(reset).success();
    }
    // A session that the store has completely can be restored, and stays pinned.
    a.ccsync(["push"]).success();
    a.ccsync(["config", "exclude", "work"]).success();
    a.ccsync(["restore", ONE, "--at", &first]).success();
    assert_eq!(questions(&a.text(ONE)), ["first"]);
    a.ccsync(["restore", ONE, "--at", &states(&a, ONE)[1]])
        .success();
    assert_eq!(questions(&a.text(ONE)), ["first", "second"]);
}

#[test]
fn verify_and_status_agree_on_pinned_session() {
    let env = TestEnv::new();
    let (a, _) = three_states(&env);
    a.ccsync(["restore", ONE, "--at", &states(&a, ONE)[0]])
        .success();
    for args in [
        &["verify"][..],
        &["verify", "--full"],
        &["verify", ONE, "--full"],
    ] {
        let run = a.ccsync(args).success();
        assert!(
            run.summary().contains("1 session, all agree")
                || run.summary().contains("1 session, it agrees"),
            "{run}"
        );
    }
    let status = a.ccsync(["status", "--json"]).success().json();
    assert_eq!(
        (&status["to_push"], &status["to_pull"]),
        (&Value::Array(vec![]), &Value::Array(vec![]))
    );
    // A file damaged since is no longer the restored one.
    let text = a.text(ONE).replacen("first", "thirst", 1);
    fs::write(a.transcript_path(ONE), text).unwrap();
    a.ccsync(["verify", "--full"]).code(5);
}

#[test]
fn restore_time_after_merge_selects_merged_state() {
    let env = TestEnv::new();
    let (a, b) = three_states(&env);
    a.append(ONE, "from a");
    a.ccsync(["push"]).success();
    next_second();
    // The side that was pushed later becomes a fork, though its commit is newer.
    b.append(ONE, "from b");
    b.ccsync(["push"]).code(5);
    b.ccsync(["pull"]);
    for machine in [&a, &b] {
        machine.ccsync(["pull"]).success();
        machine
            .ccsync(["restore", ONE, "--at", "2999-01-01"])
            .success();
        assert_eq!(
            questions(&machine.text(ONE)),
            ["first", "second", "third", "from a"],
            "{}",
            machine.name
        );
        assert!(
            machine
                .ccsync(["sync"])
                .success()
                .stdout
                .contains("up to date")
        );
    }
}

#[test]
fn restore_task_change_of_pinned_session_makes_no_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let task = |machine: &Machine, status: &str| {
        let path = machine.home.join(".claude/tasks").join(ONE).join("1.json");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{{\"id\":\"1\",\"status\":\"{status}\"}}")).unwrap();
    };
    a.session(ONE).turn("first").write();
    task(&a, "pending");
    a.ccsync(["push"]).success();
    a.append(ONE, "second");
    task(&a, "done");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    a.ccsync(["restore", ONE, "--at", &states(&a, ONE)[0]])
        .success();
    task(&a, "again");
    for command in ["push", "pull", "sync", "pull"] {
        let run = a.ccsync([command]).success();
        assert_eq!(questions(&a.text(ONE)), ["first"], "{command}\n{run}");
        assert_eq!(a.sessions(), [ONE], "{command}\n{run}");
    }
    b.ccsync(["pull"]).success();
    assert_eq!(
        (b.sessions(), questions(&b.text(ONE)).len()),
        (vec![ONE.to_owned()], 2)
    );
}

/// Returns the path of a memory file in `work/app`, which exists.
fn note(machine: &Machine, name: &str) -> std::path::PathBuf {
    match name {
        "CLAUDE.md" => machine.home.join(".claude/CLAUDE.md"),
        name => machine.project_dir("work/app").join("memory").join(name),
    }
}

fn write_note(machine: &Machine, name: &str, text: &str) {
    fs::create_dir_all(note(machine, name).parent().unwrap()).unwrap();
    fs::write(note(machine, name), text).unwrap();
}

fn read_note(machine: &Machine, name: &str) -> String {
    fs::read_to_string(note(machine, name))
        .unwrap_or_else(|e| panic!("{} has no {name}: {e}", machine.name))
}

/// Sets up two machines with a milestone `then`. After it, B has pushed other text, and A
/// has pulled that and written more.
fn pair_with_text_after_milestone(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair_with_session();
    for machine in [&a, &b] {
        fs::create_dir_all(machine.home.join("work/app")).unwrap();
        machine
            .ccsync(["config", "set", "extras", "memory,claude-md,plans,commands"])
            .success();
    }
    write_note(&a, "MEMORY.md", "top\nthen\n");
    write_note(&a, "gone.md", "was there\n");
    write_note(&a, "CLAUDE.md", "Be brief.\n");
    let command = |text: &str| {
        fs::create_dir_all(a.home.join(".claude/commands")).unwrap();
        fs::write(a.home.join(".claude/commands/go.md"), text).unwrap();
    };
    command("then\n");
    a.ccsync(["milestone", "then"]).success();
    b.ccsync(["pull"]).success();
    write_note(&b, "MEMORY.md", "top\nlater\n");
    write_note(&b, "CLAUDE.md", "Be long.\n");
    write_note(&b, "new.md", "new\n");
    fs::remove_file(note(&b, "gone.md")).unwrap();
    b.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    command("later\n");
    write_note(&a, "MEMORY.md", "top\nlater\nonly on a\n");
    (a, b)
}

#[test]
fn restore_milestone_restores_memory_as_local_change() {
    let env = TestEnv::new();
    let (a, b) = pair_with_text_after_milestone(&env);
    let plan = a
        .ccsync(["restore", "--milestone", "then", "--dry-run"])
        .success();
    insta::assert_snapshot!(plan, @r"
    memory of app: would restore MEMORY.md, gone.md
    extras: would restore CLAUDE.md
    stays here: commands/go.md: it can run programs, and is not restored
    restore (dry run, nothing was done): 1 unchanged, 3 extras to be restored
    --- exit 0
    ");
    assert_eq!(read_note(&a, "MEMORY.md"), "top\nlater\nonly on a\n");
    let run = a
        .ccsync(["restore", "--milestone", "then", "--yes"])
        .success();
    insta::assert_snapshot!(run, @r"
    memory of app: restored MEMORY.md, gone.md
    extras: restored CLAUDE.md
    stays here: commands/go.md: it can run programs, and is not restored
    restore: 1 unchanged, 3 extras restored; on the remote as $COMMIT
    --- stderr
    hint: the next push sends the restored extras to the other machines; to revert: `ccsync undo`
    --- exit 0
    ");
    assert_eq!(
        (read_note(&a, "MEMORY.md"), read_note(&a, "gone.md")),
        ("top\nthen\n".into(), "was there\n".into())
    );
    assert_eq!(
        (read_note(&a, "CLAUDE.md"), read_note(&a, "new.md")),
        ("Be brief.\n".into(), "new\n".into())
    );
    assert_eq!(
        fs::read_to_string(a.home.join(".claude/commands/go.md")).unwrap(),
        "later\n"
    );
    assert!(
        a.git(&["log", "-p", "--all"]).contains("only on a"),
        "what was only here is in the history"
    );

    // No pull restores the later text, and the next push reports what it pushes.
    let run = a.ccsync(["pull"]).success();
    assert!(!run.stdout.contains("MEMORY"), "{run}");
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout
            .contains("memory of app: pushed MEMORY.md, gone.md"),
        "{run}"
    );
    b.ccsync(["pull"]).success();
    for (name, text) in [
        ("MEMORY.md", "top\nthen\n"),
        ("gone.md", "was there\n"),
        ("CLAUDE.md", "Be brief.\n"),
    ] {
        assert_eq!(
            (read_note(&a, name), read_note(&b, name)),
            (text.to_owned(), text.to_owned())
        );
    }
    let again = a
        .ccsync(["restore", "--milestone", "then", "--json"])
        .success()
        .json();
    assert_eq!(
        again["extras"][0]["files"][0]["outcome"], "excluded",
        "only lines that are never restored: {again}"
    );
    assert_eq!(again["extras"].as_array().unwrap().len(), 1, "{again}");
}

/// Asserts that after any number of syncs, both machines have the text from before the restore of
/// the milestone of [`pair_with_text_after_milestone`].
fn assert_later_text_survives_sync(a: &Machine, b: &Machine) {
    for machine in [a, b, a] {
        machine.ccsync(["sync"]).success();
        assert_eq!(read_note(machine, "MEMORY.md"), "top\nlater\nonly on a\n");
        assert_eq!(read_note(machine, "CLAUDE.md"), "Be long.\n");
        assert!(!note(machine, "gone.md").exists());
    }
}

#[test]
fn undo_reverts_restored_memory() {
    let env = TestEnv::new();
    let (a, b) = pair_with_text_after_milestone(&env);
    a.ccsync(["restore", "--milestone", "then", "--yes"])
        .success();
    a.ccsync(["undo"]).success();
    assert_eq!(read_note(&a, "MEMORY.md"), "top\nlater\nonly on a\n");
    assert!(!note(&a, "gone.md").exists());
    assert_later_text_survives_sync(&a, &b);
}

#[test]
fn undo_after_push_of_restored_memory_is_a_new_change() {
    let env = TestEnv::new();
    let (a, b) = pair_with_text_after_milestone(&env);
    a.ccsync(["restore", "--milestone", "then", "--yes"])
        .success();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(read_note(&b, "MEMORY.md"), "top\nthen\n");
    a.ccsync(["undo"]).success();
    assert_later_text_survives_sync(&a, &b);
}

#[test]
fn restore_memory_into_deleted_directory_then_merges() {
    let env = TestEnv::new();
    let (a, b) = pair_with_text_after_milestone(&env);
    a.ccsync(["push"]).success();
    fs::remove_dir_all(note(&a, "MEMORY.md").parent().unwrap()).unwrap();
    // A restore does not affect text that this machine has not fetched yet.
    b.ccsync(["pull"]).success();
    write_note(&b, "MEMORY.md", "added by b\n\ntop\nlater\nonly on a\n");
    b.ccsync(["push"]).success();
    a.ccsync(["restore", "--milestone", "then", "--yes"])
        .success();
    assert_eq!(read_note(&a, "MEMORY.md"), "top\nthen\n");
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    for machine in [&a, &b] {
        assert_eq!(read_note(machine, "MEMORY.md"), "added by b\n\ntop\nthen\n");
        assert_eq!(
            read_note(machine, "new.md"),
            "new\n",
            "a file lost with its directory was not removed"
        );
    }
}

#[test]
fn restore_as_fork_or_one_session_changes_no_memory() {
    let env = TestEnv::new();
    let (a, _) = pair_with_text_after_milestone(&env);
    let then = states(&a, ONE)[0].clone();
    a.ccsync(["restore", "--milestone", "then", "--as-fork", "--yes"])
        .success();
    a.ccsync(["restore", ONE, "--at", &then]).success();
    assert_eq!(read_note(&a, "MEMORY.md"), "top\nlater\nonly on a\n");
    // Many files are not changed without confirmation, and neither are many sessions.
    let refused = a.ccsync(["restore", "--milestone", "then"]);
    assert_eq!(refused.code, Some(0), "three files are few\n{refused}");
    for n in 0..4 {
        write_note(&a, &format!("{n}.md"), "one\n");
    }
    a.ccsync(["milestone", "more"]).success();
    for n in 0..4 {
        write_note(&a, &format!("{n}.md"), "two\n");
    }
    let refused = a.ccsync(["restore", "--milestone", "more"]).code(2);
    assert!(
        refused
            .stderr
            .contains("restoring 4 extras needs confirmation"),
        "{refused}"
    );
    assert_eq!(read_note(&a, "0.md"), "two\n");
}
