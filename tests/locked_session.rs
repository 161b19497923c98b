//! The machine that holds the lock of a session keeps the session, whatever others push without it.

use std::fs;
use std::process::Child;

use crate::harness::client::Client;
use crate::harness::{Machine, ONE, Run, TestEnv, questions};

fn ended(machine: &Machine, child: Child) -> Run {
    machine.ended(child)
}

fn assert_both(machines: [&Machine; 2], sessions: &[&[&str]]) {
    for machine in machines {
        assert_eq!(machine.all_questions(), sessions, "{}", machine.name);
        assert_eq!(
            questions(&machine.text(ONE)),
            sessions[1],
            "{}",
            machine.name
        );
    }
}

#[test]
fn locked_session_turns_without_lock_become_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let at_b = Client::install(&b);
    let child = at_b.start_late(&["resume", ONE], "from the holder");
    a.append(ONE, "by a");
    let run = a.ccsync(["push"]).code(5);
    assert!(run.stdout.contains("b holds its lock"), "{run}");
    let again = a.ccsync(["push"]);
    assert!(
        again.stdout.contains("up to date") || again.code == Some(5),
        "{again}"
    );
    at_b.finish();
    let run = ended(&b, child).success();
    assert!(run.stderr.contains("a continued"), "{run}");
    for machine in [&a, &b, &a] {
        machine.ccsync(["sync"]);
    }
    assert_both(
        [&a, &b],
        &[&["hello", "by a"], &["hello", "from the holder"]],
    );
    for machine in [&a, &b] {
        machine.ccsync(["sync"]).success();
        machine.append(ONE, &format!("later on {}", machine.name));
        machine.ccsync(["sync"]).success();
    }
}

#[test]
fn locked_session_released_without_turns_doubles_nothing() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let at_b = Client::install(&b);
    let child = at_b.start(&["resume", ONE], "");
    a.append(ONE, "by a");
    a.ccsync(["push"]).code(5);
    at_b.finish();
    ended(&b, child).success();
    for machine in [&a, &b, &a, &b] {
        machine.ccsync(["sync"]);
    }
    for machine in [&a, &b] {
        let all = machine.all_questions();
        assert_eq!(
            all,
            [vec!["hello"], vec!["hello", "by a"]],
            "{}",
            machine.name
        );
    }
}

#[test]
fn locked_session_look_waits_for_release() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let at_b = Client::install(&b);
    let child = at_b.start(&["resume", ONE], "from the holder");
    let title = format!(r#"{{"type":"custom-title","customTitle":"a name","sessionId":"{ONE}"}}"#);
    a.append_raw(ONE, format!("{title}\n").as_bytes());
    let run = a.ccsync(["push"]).success();
    assert!(run.stdout.contains("another machine continues"), "{run}");
    at_b.finish();
    ended(&b, child).success();
    for machine in [&a, &b] {
        machine.ccsync(["sync"]).success();
    }
    for machine in [&a, &b] {
        assert_eq!(machine.sessions(), [ONE]);
        assert_eq!(questions(&machine.text(ONE)), ["hello", "from the holder"]);
        assert!(machine.text(ONE).contains("a name"), "{}", machine.name);
    }
}

#[test]
fn locked_session_turns_committed_offline_become_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let at_b = Client::install(&b);
    let remote = env.remote_of_pair();
    let away = remote.with_extension("away");
    a.append(ONE, "by a");
    fs::rename(&remote, &away).unwrap();
    a.ccsync(["push"]).code(6);
    fs::rename(&away, &remote).unwrap();
    let child = at_b.start(&["resume", ONE], "from the holder");
    a.ccsync(["push"]).code(5);
    at_b.finish();
    ended(&b, child).success();
    for machine in [&a, &b, &a] {
        machine.ccsync(["sync"]);
    }
    assert_both(
        [&a, &b],
        &[&["hello", "by a"], &["hello", "from the holder"]],
    );
}

#[test]
fn locked_session_with_unreadable_lock_is_pushed_and_named() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = git2::Repository::open(env.remote_of_pair()).unwrap();
    let lock = remote.blob(b"{\"format\": 99}").unwrap();
    let mut tree = remote.treebuilder(None).unwrap();
    tree.insert("lock.json", lock, 0o100_644).unwrap();
    let tree = remote.find_tree(tree.write().unwrap()).unwrap();
    let author = git2::Signature::now("b", "b@host").unwrap();
    let branch = format!("refs/heads/ccsync/lock/{ONE}");
    remote
        .commit(Some(&branch), &author, &author, "lock", &tree, &[])
        .unwrap();
    a.append(ONE, "by a");
    let run = a.ccsync(["push"]).success();
    assert!(
        run.stdout
            .contains(&format!("cannot read the lock of {ONE}: ")),
        "{run}"
    );
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello", "by a"]);
}
