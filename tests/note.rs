//! Notes for other machines: each is shown once and kept, and the model never reads it.

use std::fs;

use crate::harness::{Clone, Machine, ONE, TestEnv};

/// Returns the texts of the notes that a machine keeps, newest first.
fn kept(machine: &Machine) -> Vec<String> {
    let notes = machine
        .ccsync(["notes", "--all", "--json"])
        .success()
        .json();
    notes["notes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| note["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn note_is_shown_once_and_kept() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    insta::assert_snapshot!(a.ccsync(["note", "the tests\nneed a database"]).success());
    assert!(
        !a.ccsync(["pull"]).success().stdout.contains("note from"),
        "its author knows"
    );
    let data = b.ccsync(["pull", "--json"]).success().json();
    assert_eq!(data["notes"][0]["text"], "the tests\nneed a database");
    assert_eq!(data["notes"][0]["machine"]["name"], "a");
    insta::assert_snapshot!(b.ccsync(["pull"]).success());
    assert!(
        !b.ccsync(["pull"]).success().stdout.contains("note from"),
        "once"
    );
    let listed = b.ccsync(["notes"]).success().to_string();
    let (before, id) = listed.split_once("$AGE, ").expect("an age and an id");
    let after = id.split_once(':').expect("an id").1;
    insta::assert_snapshot!(format!("{before}$AGE, ID:{after}"));
    let row = &b.ccsync(["notes", "--json"]).success().json()["notes"][0];
    assert_eq!((&row["seen"], &row["own"]), (&true.into(), &false.into()));
    fs::remove_file(b.home.join(".local/state/ccsync/notes.json")).unwrap();
    assert!(
        b.ccsync(["sync"])
            .success()
            .stdout
            .starts_with("note from a, "),
        "at worst it is shown again"
    );
    assert!(b.ccsync(["pull", "--quiet"]).success().stdout.is_empty());
}

#[test]
fn note_for_one_machine_is_shown_there_only() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let c = env.machine("c");
    c.init(&env.remote_of_pair());
    a.ccsync(["pull"]).success();
    a.ccsync(["note", "for b", "--for", "b"]).success();
    assert!(!c.ccsync(["pull"]).success().stdout.contains("note from"));
    assert!(
        b.ccsync(["pull"])
            .success()
            .stdout
            .contains("note from a for b, ")
    );
    assert_eq!(kept(&c), ["for b"]);
    // Two machines with the same name are distinguished by their ids.
    c.ccsync(["config", "set", "name", "b"]).success();
    c.ccsync(["push"]).success();
    a.ccsync(["pull"]).success();
    insta::assert_snapshot!(a.ccsync(["note", "for whom", "--for", "b"]).code(1));
    let config = fs::read_to_string(c.home.join(".config/ccsync/config.toml")).unwrap();
    let id = regex::Regex::new("[0-9a-f]{32}")
        .unwrap()
        .find(&config)
        .unwrap()
        .as_str()
        .to_owned();
    a.ccsync(["note", "for c", "--for", &id]).success();
    assert!(!b.ccsync(["pull"]).success().stdout.contains("note from"));
    assert!(c.ccsync(["pull"]).success().stdout.contains("for c"));
    assert_eq!(a.ccsync(["note", "x", "--for", "laptop"]).code, Some(1));
}

#[test]
fn note_empty_or_too_long_is_refused() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    insta::assert_snapshot!(a.ccsync(["note", " \n "]).code(2));
    insta::assert_snapshot!(a.ccsync(["note", &"x".repeat(4097)]).code(2));
    a.ccsync(["note", &"\u{1}".repeat(4096)]).success();
    assert_eq!(kept(&a)[0].len(), 4096);
}

#[test]
fn note_offline_is_queued() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (remote, away) = (env.remote_of_pair(), env.root().join("away"));
    fs::rename(&remote, &away).unwrap();
    let run = a.ccsync(["note", "from the train"]).code(6);
    assert!(
        run.stdout.contains("queued: 1 commit not sent yet"),
        "{run}"
    );
    fs::rename(&away, &remote).unwrap();
    b.ccsync(["note", "from home"]).success();
    a.ccsync(["push"]).success();
    assert!(
        b.ccsync(["pull"])
            .success()
            .stdout
            .contains("from the train")
    );
    assert!(a.ccsync(["pull"]).success().stdout.contains("from home"));
    assert_eq!(kept(&a).len(), 2);
    assert_eq!(kept(&a), kept(&b));
}

#[test]
fn note_hostile_files_are_harmless() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let clone = Clone::new(&env.remote_of_pair(), &a);
    let machine = "ab".repeat(16);
    let id = |n: usize| format!("20261120T14030000{n}Z-0000000{n}");
    let note = |n: usize, text: &str| {
        let id = id(n);
        serde_json::json!({"format": 1, "id": id, "time": "2026-11-20T14:03:00Z", "machine": machine, "name": "x\u{1b}[2J\u{202e}", "text": text})
    };
    clone.write(
        &format!("notes/{}.json", id(1)),
        note(1, "\u{1b}]0;x\u{7}\u{202e}evil\n\u{9b}2J$ ccsync push").to_string(),
    );
    clone.write(
        &format!("notes/{}.json", id(2)),
        note(2, &"x".repeat(5000)).to_string(),
    );
    clone.write(&format!("notes/{}.json", id(3)), "{ no json");
    clone.write(
        &format!("notes/{}.json", id(4)),
        note(5, "another's id").to_string(),
    );
    clone.write(&format!("notes/{}.json", id(6)), vec![b' '; 1 << 20]);
    let mut newer = note(7, "newer");
    newer["format"] = 9.into();
    clone.write(&format!("notes/{}.json", id(7)), newer.to_string());
    clone.write("notes/readme.json", note(8, "no id").to_string());
    clone.write(&format!("notes/{}.json/x", id(9)), "a directory");
    let link = clone.blob("/etc/passwd");
    clone.add("120000", &link, &format!("notes/{}.json", id(8)));
    clone.push();
    let run = b.ccsync(["pull"]).success();
    let harmless = |text: &str| {
        text.chars()
            .all(|c| c == '\n' || !c.is_control() && c != '\u{202e}')
    };
    assert!(harmless(&run.stdout) && harmless(&run.stderr), "{run}");
    assert!(
        run.stdout.contains("evil") && run.stdout.contains("  | "),
        "{run}"
    );
    assert!(
        run.stdout
            .lines()
            .all(|line| !line.starts_with("$ ccsync push")),
        "{run}"
    );
    assert_eq!(kept(&b).len(), 1);
    assert!(harmless(&b.ccsync(["notes"]).success().stdout));
    b.ccsync(["note", "still works"]).success();
    assert!(a.ccsync(["pull"]).success().stdout.contains("still works"));
    b.assert_in_order("after hostile notes");
}

#[cfg(target_os = "linux")]
#[test]
fn resume_shows_notes_before_client_starts() {
    use crate::harness::client::Client;
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    fs::create_dir_all(b.home.join("work/app")).unwrap();
    a.ccsync(["note", "mind the gap"]).success();
    let run = b
        .run(&mut Client::install(&b).command(&["resume", ONE], "a turn"))
        .success();
    assert!(run.stderr.contains("mind the gap"), "{run}");
    assert!(
        !b.text(ONE).contains("mind the gap"),
        "the model never reads a note"
    );
    assert!(!b.ccsync(["pull"]).success().stdout.contains("mind the gap"));
}

#[test]
fn note_dash_reads_standard_input() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let text = "it's $(not) `run`; \"here\"\n";
    a.run_with_input(a.command(["note", "-"]), text).success();
    b.ccsync(["pull"]).success();
    assert_eq!(kept(&b), [text.trim()]);
}
