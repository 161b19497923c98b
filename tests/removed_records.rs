//! Milestones and notes that are removed, and settings that exclude every session.

use std::time::{Duration, SystemTime};

use crate::harness::{Machine, ONE, TWO, TestEnv};

fn milestones(machine: &Machine) -> Vec<String> {
    let listed = machine.ccsync(["milestone", "--list", "--json"]).json();
    let names = listed["milestones"].as_array().unwrap().iter();
    names
        .map(|row| row["name"].as_str().unwrap().to_owned())
        .collect()
}

fn note_ids(machine: &Machine) -> Vec<String> {
    let listed = machine.ccsync(["notes", "--json"]).json();
    let notes = listed["notes"].as_array().unwrap().iter();
    notes
        .map(|note| note["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn milestone_removed_does_not_come_back() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.ccsync(["milestone", "before"]).success();
    a.ccsync(["milestone", "other"]).success();
    b.ccsync(["pull"]).success();
    // The other machine has something to send when it learns of it.
    b.session(TWO).turn("from b").write();
    let run = a.ccsync(["milestone", "Before", "--remove"]).success();
    assert!(run.stdout.contains("milestone: `Before` removed"), "{run}");
    b.ccsync(["push"]).success();
    for machine in [&b, &a] {
        machine.ccsync(["sync"]).success();
        assert_eq!(milestones(machine), ["other"]);
    }
    a.ccsync(["milestone", "before", "--remove"]).code(1);
    b.ccsync(["milestone", "before"]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(milestones(&a), ["before", "other"]);
}

/// The remote has moved when the removal is sent: the two histories are merged.
#[test]
fn milestone_and_note_removed_offline_are_removed_everywhere() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.ccsync(["milestone", "before"]).success();
    a.ccsync(["note", "call the roofer"]).success();
    a.ccsync(["note", "and the painter"]).success();
    b.ccsync(["pull"]).success();
    let notes = note_ids(&a);
    let away = env.root().join("away.git");
    std::fs::rename(env.remote_of_pair(), &away).unwrap();
    a.ccsync(["milestone", "before", "--remove"]).code(6);
    a.ccsync(["notes", "--remove", &notes[0]]).code(6);
    std::fs::rename(&away, env.remote_of_pair()).unwrap();
    b.session(TWO).turn("from b").write();
    b.ccsync(["push"]).success();
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    for machine in [&a, &b] {
        assert_eq!(milestones(machine), Vec::<String>::new());
        assert_eq!(note_ids(machine), notes[1..]);
        machine.assert_in_order("a removal");
    }
}

#[test]
fn note_removed_by_its_listed_id_is_removed_everywhere() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.ccsync(["note", "call the roofer"]).success();
    let id = note_ids(&a).remove(0);
    let listed = a.ccsync(["notes"]).success();
    assert!(listed.stdout.contains(&id), "{listed}");
    b.ccsync(["notes", "--remove", &id[..18]]).success();
    a.ccsync(["pull"]).success();
    assert_eq!(note_ids(&a), Vec::<String>::new());
    let again = a.ccsync(["notes", "--remove", &id]).code(2);
    assert!(again.stderr.contains("no note with the id"), "{again}");
}

#[test]
fn config_excluding_every_session_warns() {
    let env = TestEnv::new();
    let (a, _) = env.pair();
    a.session(ONE).days_old(3).turn("hello").write();
    let transcript = std::fs::File::options()
        .write(true)
        .open(a.transcript_path(ONE));
    let three_days_ago = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    transcript.unwrap().set_modified(three_days_ago).unwrap();
    let warns = |args: &[&str]| {
        let run = a.ccsync(args).success();
        run.stderr
            .contains("excludes every session")
            .then_some(run.stderr)
    };
    for (args, undo) in [
        (
            &["config", "set", "max_size", "1B"],
            &["config", "set", "max_size", "1GB"],
        ),
        (
            &["config", "set", "push_max_age", "1"],
            &["config", "set", "push_max_age", "30"],
        ),
        (
            &["config", "set", "pull_max_age", "1"],
            &["config", "set", "pull_max_age", "30"],
        ),
    ] {
        let warning = warns(args).unwrap_or_else(|| panic!("{args:?}"));
        assert!(warning.contains(&format!("`{}`", args[2])), "{warning}");
        assert_eq!(warns(undo), None, "{undo:?}");
    }
    for list in ["exclude", "include"] {
        let pattern = if list == "exclude" { "~" } else { "~/nowhere" };
        let warning = warns(&["config", list, pattern]).expect(list);
        assert!(warning.contains(&format!("`{list}`")), "{warning}");
        assert_eq!(warns(&["config", list, pattern, "--remove"]), None);
    }
    assert_eq!(warns(&["config", "set", "localize", "never"]), None);
}
