//! Without the remote, a command commits locally and a later one pushes.

use std::fs;

use crate::harness::{ONE, TWO, TestEnv, questions};

#[test]
fn push_offline_is_queued_and_sent_by_next_command() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    a.session(ONE).turn("hello").write();
    let away = remote.with_extension("away");
    fs::rename(&remote, &away).unwrap();
    let queued = a.ccsync(["push"]).code(6);
    assert_eq!(
        queued.stdout.lines().nth(2).unwrap(),
        "push: 1 session: 1 added; queued: 1 commit not sent yet, the next command sends it"
    );
    assert!(queued.stdout.contains("not sent: "), "{queued}");
    assert_eq!(
        a.ccsync(["status", "--json"]).success().json()["queued_commits"],
        1
    );

    a.session(TWO).turn("more").write();
    a.ccsync(["push"]).code(6);
    fs::rename(&away, &remote).unwrap();
    a.ccsync(["push"]).success();
    assert_eq!(
        a.ccsync(["status", "--json"]).success().json()["queued_commits"],
        0
    );
    b.ccsync(["pull"]).success();
    assert_eq!(b.sessions(), [ONE, TWO]);
}

#[test]
fn pull_sends_queued_push() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let remote = env.remote_of_pair();
    a.session(ONE).turn("hello").write();
    let away = remote.with_extension("away");
    fs::rename(&remote, &away).unwrap();
    a.ccsync(["push"]).code(6);
    fs::rename(&away, &remote).unwrap();
    a.ccsync(["pull"]).success();
    b.ccsync(["pull"]).success();
    assert_eq!(questions(&b.text(ONE)), ["hello"]);
}

#[test]
fn pull_after_merge_still_skips_running_session() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let remote = env.remote_of_pair();
    let away = remote.with_extension("away");
    fs::rename(&remote, &away).unwrap();
    b.append(ONE, "by b");
    b.ccsync(["push"]).code(6);
    fs::rename(&away, &remote).unwrap();
    a.append(ONE, "by a");
    a.ccsync(["push"]).success();
    b.mark_running(ONE, std::process::id());
    let run = b.ccsync(["pull"]).code(3);
    assert!(run.stdout.contains("pull again when it has ended"), "{run}");
    assert!(
        run.stdout
            .contains("note: what only this machine has (4 lines) is a fork: "),
        "{run}"
    );
    assert_eq!(questions(&b.text(ONE)), ["hello", "by b"]);
}

#[test]
fn pull_offline_fails_without_changes() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let a = env.machine("a");
    a.init(&remote);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    let before = a.client_tree();
    fs::remove_dir_all(&remote).unwrap();
    let pull = a.ccsync(["pull"]).code(1);
    assert!(
        format!("{}{}", pull.stdout, pull.stderr).contains("remote"),
        "{pull}"
    );
    assert_eq!(a.client_tree(), before);
}

#[test]
fn sync_offline_commits_locally() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let a = env.machine("a");
    a.init(&remote);
    a.session(ONE).turn("hello").write();
    let away = remote.with_extension("away");
    fs::rename(&remote, &away).unwrap();
    let run = a.ccsync(["sync"]);
    assert!(matches!(run.code, Some(1 | 6)), "{run}");
    assert_eq!(
        a.ccsync(["status", "--json"]).success().json()["queued_commits"],
        1
    );
    fs::rename(&away, &remote).unwrap();
    a.ccsync(["sync"]).success();
}

#[test]
fn status_and_list_work_offline() {
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let a = env.machine("a");
    a.init(&remote);
    a.session(ONE).turn("hello").write();
    a.ccsync(["push"]).success();
    fs::remove_dir_all(&remote).unwrap();
    a.ccsync(["status"]).success();
    assert_eq!(
        a.ccsync(["list", "--json"]).success().json()["sessions"][0]["session"],
        ONE
    );
}
