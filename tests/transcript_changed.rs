//! A transcript that its own user changed in place keeps its id, and an end without a turn
//! (a look, a new title, leaving) is no divergence.

use std::fs;

use crate::harness::{Machine, ONE, TestEnv, questions};

/// Replaces text in the transcript of the session `ONE`.
fn replace(machine: &Machine, old: &str, new: &str) {
    let path = machine.transcript_path(ONE);
    let text = machine.text(ONE);
    assert!(text.contains(old), "{text}");
    let edited = path.with_extension("edited");
    fs::write(&edited, text.replace(old, new)).unwrap();
    fs::rename(edited, path).unwrap();
}

/// Appends what a look at the session leaves.
fn look(machine: &Machine) {
    let cost = format!(r#"{{"type":"cost-state","sessionId":"{ONE}","totalCostUSD":0.1}}"#);
    let snapshot = r#"{"type":"file-history-snapshot","messageId":"m","snapshot":{}}"#;
    machine.append_raw(ONE, format!("{cost}\n{snapshot}\n{cost}\n").as_bytes());
}

/// Appends what `/rename` leaves.
fn rename(machine: &Machine, title: &str) {
    let record =
        format!(r#"{{"type":"custom-title","customTitle":"{title}","sessionId":"{ONE}"}}"#);
    let command = format!(
        r#"{{"type":"system","subtype":"local_command","uuid":"9{}","content":"<command-name>/rename</command-name>","sessionId":"{ONE}"}}"#,
        title.len()
    );
    machine.append_raw(ONE, format!("{record}\n{command}\n").as_bytes());
}

fn synced_pair(env: &TestEnv) -> (Machine, Machine) {
    let (a, b) = env.pair();
    a.session(ONE).turn("one").turn("two").write();
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).success();
    (a, b)
}

#[test]
fn transcript_changed_in_place_keeps_its_id() {
    let env = TestEnv::new();
    let (a, b) = synced_pair(&env);
    replace(&a, "Answer to: one", "[pruned]");
    a.ccsync(["sync"]).success();
    assert!(a.text(ONE).contains("[pruned]"));
    // The other machine had left it alone.
    b.ccsync(["sync"]).success();
    for machine in [&a, &b] {
        assert_eq!(machine.sessions(), [ONE], "{}", machine.name);
        assert!(machine.text(ONE).contains("[pruned]"), "{}", machine.name);
        assert_eq!(questions(&machine.text(ONE)), ["one", "two"]);
        machine.ccsync(["verify", "--full"]).success();
    }
    let former = a.git(&["log", "-p", "--all", "--", "sessions"]);
    assert!(
        former.contains("Answer to: one"),
        "the former text is in the history"
    );
    b.append(ONE, "three");
    b.ccsync(["sync"]).success();
    a.ccsync(["sync"]).success();
    assert_eq!(questions(&a.text(ONE)), ["one", "two", "three"]);
}

#[test]
fn transcript_changed_before_other_machine_wrote_forks() {
    let env = TestEnv::new();
    let (a, b) = synced_pair(&env);
    b.append(ONE, "three");
    b.ccsync(["push"]).success();
    replace(&a, "Answer to: one", "[pruned]");
    a.ccsync(["sync"]).code(5);
    assert_eq!(questions(&a.text(ONE)), ["one", "two", "three"]);
    assert_eq!(a.sessions().len(), 2);
}

#[test]
fn transcript_of_moved_project_keeps_new_paths() {
    let env = TestEnv::new();
    let (a, b) = synced_pair(&env);
    let (old, new) = (a.project_dir("work/app"), a.project_dir("work/renamed"));
    fs::rename(a.home.join("work/app"), a.home.join("work/renamed")).unwrap();
    fs::rename(old, new).unwrap();
    replace(&a, "/work/app", "/work/renamed");
    a.ccsync(["sync"]).success();
    assert!(a.text(ONE).contains("/work/renamed") && !a.text(ONE).contains("/work/app"));
    b.ccsync(["sync"]).success();
    assert!(b.text(ONE).contains("/work/renamed") && !b.text(ONE).contains("/work/app"));
    assert_eq!(a.sessions(), b.sessions());
}

#[test]
fn transcript_damaged_in_place_is_not_sent_over_the_stored_one() {
    let env = TestEnv::new();
    let (a, b) = synced_pair(&env);
    replace(&a, "\"Answer to: one\"", "\0\0");
    a.ccsync(["sync"]);
    b.ccsync(["sync"]);
    assert!(b.text(ONE).contains("Answer to: one"));
    assert!(a.text(ONE).contains("Answer to: one"));
}

#[test]
fn look_at_session_is_no_divergence() {
    for looked_first in [true, false] {
        let env = TestEnv::new();
        let (a, b) = synced_pair(&env);
        look(&b);
        if looked_first {
            b.ccsync(["push"]).success();
        }
        a.append(ONE, "three");
        a.ccsync(["push"]).success();
        for machine in [&b, &a, &b, &a] {
            machine.ccsync(["sync"]).success();
        }
        for machine in [&a, &b] {
            assert_eq!(machine.sessions(), [ONE], "{}", machine.name);
            assert_eq!(questions(&machine.text(ONE)), ["one", "two", "three"]);
        }
        assert_eq!(a.text(ONE).lines().count(), b.text(ONE).lines().count());
    }
}

#[test]
fn look_on_every_machine_comes_to_rest() {
    let env = TestEnv::new();
    let (a, b) = synced_pair(&env);
    look(&a);
    rename(&b, "of b");
    for machine in [&a, &b, &a, &b] {
        machine.ccsync(["sync"]).success();
    }
    let head = a.git(&["rev-parse", "HEAD"]);
    for machine in [&a, &b] {
        machine.ccsync(["sync"]).success();
        assert_eq!(machine.git(&["rev-parse", "HEAD"]), head);
        assert_eq!(machine.sessions(), [ONE]);
        assert!(machine.text(ONE).contains("of b"), "{}", machine.name);
    }
}

#[test]
fn title_given_during_a_look_is_kept() {
    for order in [["a", "b"], ["b", "a"]] {
        let env = TestEnv::new();
        let (a, b) = synced_pair(&env);
        rename(&b, "a good name");
        look(&b);
        a.append(ONE, "three");
        for name in order.into_iter().chain(order).chain(order) {
            let machine = if name == "a" { &a } else { &b };
            machine.ccsync(["sync"]).success();
        }
        for machine in [&a, &b] {
            assert_eq!(machine.sessions(), [ONE], "{order:?}");
            let text = machine.text(ONE);
            assert_eq!(questions(&text), ["one", "two", "three"], "{order:?}");
            assert_eq!(text.matches("a good name").count(), 1, "{order:?} {text}");
        }
        assert!(b.ccsync(["list"]).success().stdout.contains("a good name"));
    }
}

#[test]
fn typed_text_without_answer_is_a_turn() {
    let env = TestEnv::new();
    let (a, b) = synced_pair(&env);
    let typed = format!(
        r#"{{"type":"user","uuid":"7","parentUuid":null,"sessionId":"{ONE}","message":{{"role":"user","content":"unanswered"}}}}"#
    );
    b.append_raw(ONE, format!("{typed}\n").as_bytes());
    a.append(ONE, "three");
    a.ccsync(["push"]).success();
    b.ccsync(["pull"]).code(5);
    assert_eq!(b.sessions().len(), 2);
}
