//! An undo takes back the last pull, asks before it changes much, and is taken back itself.

use std::fs;

use crate::harness::{ENTER, Machine, ONE, TWO, Terminal, TestEnv, questions};

/// A pair of machines; `b` has pulled eight sessions of `a`.
fn pair_with_many(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    for n in 0..8 {
        let id = format!("{n}5e55101-0000-4000-8000-000000000000");
        a.session(&id).turn("hello").write();
    }
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    (a, b)
}

#[test]
fn undo_of_many_files_needs_confirmation() {
    let env = TestEnv::new();
    let (_, b) = pair_with_many(&env);
    let pulled = b.client_tree();
    let refused = b.ccsync(["undo"]).code(2);
    assert!(
        refused
            .stderr
            .contains("an undo of 8 files needs confirmation"),
        "{refused}"
    );
    assert!(refused.stderr.contains("`--yes`"), "{refused}");
    let plan = b.ccsync(["undo", "--dry-run"]).success();
    assert!(
        plan.summary()
            .starts_with("undo: 8 files would be removed, as before the pull"),
        "{plan}"
    );
    assert_eq!(b.client_tree(), pulled);

    b.ccsync(["undo", "--yes"]).success();
    assert!(b.sessions().is_empty());
    b.ccsync(["undo", "--redo", "--yes"]).success();
    assert_eq!(b.client_tree(), pulled);
    b.ccsync(["undo", "--yes"]).success();
    assert!(b.sessions().is_empty());
    assert_eq!(
        b.ccsync(["undo"]).success().summary(),
        "undo: nothing to undo"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn undo_of_many_files_asks_in_terminal() {
    let env = TestEnv::new();
    let (_, b) = pair_with_many(&env);
    for (answer, left) in [("n", 8), ("y", 0)] {
        let terminal = Terminal::start(b.command(["undo"]), 160, 24);
        terminal.wait_for("Change 8 files?");
        terminal.type_in(&format!("{answer}{ENTER}"));
        terminal.end().assert_restored();
        assert_eq!(b.sessions().len(), left, "{answer}");
    }
}

#[test]
fn undo_is_undone_in_every_byte() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let note = |machine: &Machine| machine.home.join(".claude/CLAUDE.md");
    fs::write(note(&a), "Be brief.\n").unwrap();
    a.ccsync(["sync"]).success();
    b.ccsync(["sync"]).success();
    fs::write(note(&a), "Be kind.\n").unwrap();
    a.append(ONE, "more");
    a.session(TWO).turn("new").write();
    a.ccsync(["push"]).success();
    let before = b.client_tree();
    b.ccsync(["pull"]).success();
    let pulled = b.client_tree();

    // An extended, a replaced and a new file.
    b.ccsync(["undo"]).success();
    assert_eq!(b.client_tree(), before);
    let redone = b.ccsync(["undo", "--redo"]).success();
    assert!(redone.summary().contains("as before the undo"), "{redone}");
    assert_eq!(b.client_tree(), pulled);
    assert_eq!(
        b.ccsync(["undo", "--redo"]).success().summary(),
        "undo: nothing to undo"
    );
    assert!(b.ccsync(["sync"]).success().stdout.contains("up to date"));
    assert_eq!(questions(&b.text(ONE)), ["hello", "more"]);

    // A file that changed since the undo stays.
    a.append(ONE, "third");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    b.ccsync(["undo"]).success();
    b.append(ONE, "own");
    b.ccsync(["undo", "--redo"]).code(3);
    assert_eq!(questions(&b.text(ONE)), ["hello", "more", "own"]);
}

/// The clock was a year ahead during the first pull.
#[test]
fn undo_takes_back_last_pull_despite_clock() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    a.append(ONE, "first pull");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    let journals = b.home.join(".local/state/ccsync/undo");
    let last = fs::read_dir(&journals)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .max()
        .unwrap();
    let later = format!("2099{}", &last[4..]);
    fs::rename(journals.join(&last), journals.join(later)).unwrap();
    a.append(ONE, "second pull");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();

    b.ccsync(["undo"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "first pull"]);
    b.ccsync(["undo"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
}
