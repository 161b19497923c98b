//! Conversations that go on under another id, and those that leave the terminal.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::client::{Client, wait_for};
use crate::harness::{Machine, ONE, TWO, TestEnv};
use crate::resume::locked_sessions;

const THREE: &str = "33333333-0000-4000-8000-000000000003";

/// Returns the record that a conversation goes on as `successor`, and one that follows it.
fn continued_in(successor: &str) -> Vec<u8> {
    format!(
        "{{\"type\": \"continued-in\",\"continuedInSessionId\" : \"{successor}\"}}\n{{\"type\":\"cost-state\"}}\n"
    )
    .into_bytes()
}

/// Returns the sessions that `list` shows, sorted.
fn listed(machine: &Machine, args: &[&str]) -> Vec<String> {
    let run = machine.ccsync([&["list", "--json"], args].concat());
    let sessions = run.success().json()["sessions"].clone();
    let ids = sessions.as_array().unwrap().iter();
    let mut ids: Vec<_> = ids
        .map(|row| row["session"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

#[test]
fn continued_session_is_listed_as_its_successor() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    let moved = |id: &str, to: &str| a.session(id).turn("needle").raw(&continued_in(to)).write();
    moved(ONE, TWO);
    moved(TWO, THREE);
    a.session(THREE).turn("needle").turn("goes on").write();
    assert_eq!(listed(&a, &[]), [THREE], "before the first push");
    a.ccsync(["push"]).success();
    assert_eq!(listed(&b, &["--remote"]), [THREE]);
    b.ccsync(["pull"]).success();
    for machine in [&a, &b] {
        assert_eq!(listed(machine, &[]), [THREE]);
        let run = machine.ccsync(["search", "needle"]).success();
        assert!(run.stdout.contains(&THREE[..8]), "{run}");
        assert!(!run.stdout.contains(&ONE[..8]), "{run}");
        let run = machine.ccsync(["show", ONE]).success();
        assert!(run.stdout.contains("goes on"), "{run}");
        let note = format!("session {ONE} goes on as session {THREE}");
        assert!(run.stderr.contains(&note), "{run}");
    }
    let at_b = Client::install(&b);
    let run = at_b.run(&["resume", &ONE[..8]], "from b").success();
    assert!(run.stderr.contains("goes on as session"), "{run}");
    assert_eq!(at_b.arguments(), [format!("--resume {THREE}")]);
    assert!(at_b.has_no_background());
}

#[test]
fn continued_session_without_successor_stays_listed() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("one").raw(&continued_in(THREE)).write();
    a.session(TWO).turn("two").raw(&continued_in(TWO)).write();
    a.ccsync(["push"]).success();
    assert_eq!(listed(&b, &["--remote"]), [ONE, TWO]);
    // A circle, as only another program makes it.
    a.session(THREE)
        .turn("three")
        .raw(&continued_in(ONE))
        .write();
    a.ccsync(["push"]).success();
    for args in [&[][..], &["--remote"]] {
        assert_eq!(listed(&a, args), [ONE, TWO, THREE]);
    }
    a.ccsync(["show", ONE]).success();
}

#[test]
fn continued_session_with_later_turns_stays_listed() {
    let env = TestEnv::new();
    let (a, b) = env.pair();
    a.session(ONE).turn("one").raw(&continued_in(TWO)).write();
    a.session(TWO).turn("one").turn("two").write();
    a.ccsync(["push"]).success();
    assert_eq!(listed(&a, &[]), [TWO]);
    a.append(ONE, "said in the first one after all");
    assert_eq!(listed(&a, &[]), [ONE, TWO]);
    a.ccsync(["push"]).success();
    assert_eq!(listed(&b, &["--remote"]), [ONE, TWO]);
}

/// The machine that moved the conversation has said nothing in the original since.
#[test]
fn continued_session_with_turns_elsewhere_stays_listed() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    b.append_raw(ONE, &continued_in(TWO));
    b.session(TWO)
        .turn("hello")
        .turn("in the background")
        .write();
    a.append(ONE, "meanwhile");
    a.ccsync(["push"]).success();
    b.ccsync(["sync"]).success();
    for machine in [&a, &b] {
        assert_eq!(listed(machine, &["--remote"]), [ONE, TWO]);
    }
}

#[test]
fn resume_arguments_that_leave_terminal_are_refused() {
    let env = TestEnv::new();
    let (a, _) = env.pair_with_session();
    let at_a = Client::install(&a);
    for args in [
        &["resume", ONE, "--", "--bg", "go on"][..],
        &["resume", "--latest", "--", "-p", "--background"],
        &["start", "--", "--desktop"],
    ] {
        let run = at_a.run(args, "not said").code(2);
        assert!(run.stderr.contains("without ccsync"), "{run}");
        assert!(run.stderr.contains("hint: "), "{run}");
    }
    assert!(locked_sessions(&env.remote_of_pair(), &a).is_empty());
}

/// Starts a session that its client moves into the background under the id `TWO`.
fn start_moving(client: &Client<'_>) -> Child {
    let mut command = client.command(&["resume", ONE], "before");
    client.start_command(command.env("CLIENT_MOVES", TWO))
}

#[test]
fn resume_moved_session_keeps_locks_until_it_ends() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, remote) = (Client::install(&a), env.remote_of_pair());
    let mut child = start_moving(&at_a);
    wait_for("both ids are locked", || {
        locked_sessions(&remote, &a) == [ONE, TWO]
    });
    assert!(child.try_wait().unwrap().is_none());
    let refused = at_a.run(&["resume", ONE], "again").code(4);
    assert!(refused.stderr.contains("claude attach"), "{refused}");
    a.append(TWO, "in the background");
    at_a.finish();
    let run = a.ended(child).success();
    assert!(
        run.stderr.contains(&format!("session {TWO} goes on in")),
        "{run}"
    );
    assert!(locked_sessions(&remote, &a).is_empty());
    b.ccsync(["pull"]).success();
    assert!(b.text(TWO).contains("in the background"));
    assert_eq!(listed(&b, &[]), [TWO]);
}

#[test]
fn resume_left_alone_never_releases_running_session() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (at_a, remote) = (Client::install(&a), env.remote_of_pair());
    let child = start_moving(&at_a);
    wait_for("both ids are locked", || {
        locked_sessions(&remote, &a) == [ONE, TWO]
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let run = a.ended(child).success();
    assert!(run.stderr.contains("runs on in process"), "{run}");
    assert!(!run.stderr.contains("released"), "{run}");
    a.ccsync(["push"]).success();
    assert_eq!(locked_sessions(&remote, &a), [ONE, TWO]);
    Client::install(&b).run(&["resume", ONE], "from b").code(4);
    at_a.finish();
    wait_for("the session ends", || {
        !a.home.join(".stand-in/runs").exists()
    });
    a.ccsync(["recover"]).success();
    assert!(locked_sessions(&remote, &a).is_empty());
}
