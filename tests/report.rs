//! The reports of push and pull: turns, their machines, and never more lines than the
//! screen has.

use std::fs;

use crate::harness::{Machine, ONE, Run, TWO, TestEnv};

/// Runs a command with the variables of a terminal of this height and 80 columns.
fn on_screen(machine: &Machine, rows: &str, args: &[&str]) -> Run {
    machine.run(
        machine
            .command(args)
            .env("LINES", rows)
            .env("COLUMNS", "80"),
    )
}

#[test]
fn report_counts_pushed_and_pulled_turns() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").turn("and more").write();
    let pushed = a.ccsync(["push"]).success();
    assert!(
        pushed.stdout.contains("added  2 turns  8 lines"),
        "{pushed}"
    );
    let pulled = b.ccsync(["pull"]).success();
    assert!(
        pulled.stdout.contains("added  2 turns  8 lines  from a"),
        "{pulled}"
    );
    b.append(ONE, "from b");
    b.ccsync(["push"]).success();
    a.append(ONE, "never seen by b");
    a.session(TWO).turn("other").write();
    let report = a.ccsync(["push", "--json"]).code(5).json();
    let of = |id: &str| {
        let sessions = report["sessions"].as_array().unwrap();
        sessions
            .iter()
            .find(|session| session["session"] == id)
            .cloned()
            .unwrap()
    };
    assert_eq!(
        (of(TWO)["turns"].as_u64(), of(TWO)["outcome"].as_str()),
        (Some(1), Some("added"))
    );
    assert_eq!(
        (of(ONE)["turns"].as_u64(), of(ONE)["outcome"].as_str()),
        (Some(1), Some("forked"))
    );
    let report = a.ccsync(["pull", "--json"]).json();
    let machines = |report: &serde_json::Value| report["sessions"][0]["machines"].clone();
    let one = report["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["session"] == ONE)
        .unwrap();
    assert_eq!(
        one["machines"].as_array().map(Vec::len),
        None,
        "{one}: a fork is made, nothing is pulled"
    );
    let report = b.ccsync(["pull", "--json"]).success().json();
    assert_eq!(machines(&report)[0]["name"], "a");
    assert_eq!(machines(&report)[0]["id"].as_str().unwrap().len(), 32);
}

#[test]
fn report_fits_screen_and_json_is_complete() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    for n in 0..60 {
        let id = format!("{n:08}-0000-4000-8000-000000000000");
        a.session(&id)
            .project(&format!("work/p{}", n % 12))
            .turn(&format!("question {n}"))
            .write();
    }
    fs::create_dir_all(a.project_dir("work/app").join(format!("{ONE}.jsonl"))).unwrap();
    for (machine, command, exit) in [(&a, "push", 3), (&b, "pull", 0)] {
        let shown = on_screen(machine, "16", &[command]).code(exit).stdout;
        assert!(shown.lines().count() <= 15, "{shown}");
        assert!(
            shown
                .lines()
                .all(|line| line.chars().count() <= 80 || line.starts_with("skipped file")),
            "{shown}"
        );
        assert!(
            shown.contains("… and ")
                && shown.contains("more sessions in ")
                && shown.contains("--json"),
            "{shown}"
        );
        let ends: Vec<&str> = shown.lines().rev().take(2).collect();
        assert!(
            ends[0].starts_with("(60 turns, ")
                && ends[1].starts_with(&format!("{command}: 60 sessions: 60 added")),
            "{shown}"
        );
        assert_eq!(shown.contains("skipped file: "), exit == 3, "{shown}");
    }
    a.append("00000007-0000-4000-8000-000000000000", "again");
    assert_eq!(
        a.ccsync(["push", "--json"]).code(3).json()["sessions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let again = on_screen(&b, "16", &["pull"]).success().stdout;
    assert!(
        !again.contains("… and") && again.contains("+1 turn"),
        "{again}"
    );
    let all = b.ccsync(["pull", "--json", "--dry-run"]).success().json();
    assert_eq!(all["unchanged"], 60, "{all}");
    let fresh = env.machine("c");
    fresh.init(&env.remote_of_pair());
    assert_eq!(
        fresh.ccsync(["pull", "--json"]).success().json()["sessions"]
            .as_array()
            .unwrap()
            .len(),
        60
    );
}

#[test]
fn report_without_terminal_fits_24_lines() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    for n in 0..30 {
        a.session(&format!("{n:08}-0000-4000-8000-000000000000"))
            .turn("x")
            .write();
        b.session(&format!("{n:08}-1111-4000-8000-000000000000"))
            .turn("y")
            .write();
    }
    assert!(a.ccsync(["push"]).success().stdout.lines().count() < 24);
    let both = b.ccsync(["sync"]).success().stdout;
    assert!(
        both.lines().count() < 24
            && both.contains("pull: 30 sessions: 30 added")
            && both.contains("push: "),
        "{both}"
    );
}

#[test]
fn report_ends_with_totals_and_time() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("hello").turn("more").write();
    let totals = |text: &str| {
        let line = text.lines().last().unwrap();
        let (_, totals) = line
            .split_once(" (2 turns, ")
            .unwrap_or_else(|| panic!("{line}"));
        assert!(
            totals.contains("B in ") && totals.ends_with(" s)"),
            "{line}"
        );
    };
    totals(&a.ccsync(["push"]).success().stdout);
    totals(&b.ccsync(["pull"]).success().stdout);
    for command in ["push", "pull"] {
        let text = b.ccsync([command]).success().stdout;
        assert!(!text.contains(" in "), "nothing was done: {text}");
    }
    a.append(ONE, "again");
    let json = a.ccsync(["push", "--json"]).success().json();
    assert_eq!(json["totals"]["turns"], 1, "{json}");
    assert_eq!(json["totals"]["bytes"], json["sessions"][0]["bytes"]);
    assert!(json["totals"]["duration_ms"].is_u64(), "{json}");
}
