//! Tests that move the clocks under running processes: expired locks, heartbeats, sleep,
//! wrong clocks, an unreachable remote.

use std::fs;
use std::path::Path;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::harness::client::wait_for;
use crate::harness::{ONE, TestEnv};
use crate::station::{Station, reference};

/// Seconds, just past the time after which a holder sends a heartbeat.
const RENEWAL: u64 = 151;

/// Seconds, just past a lock's lifetime.
const LIFETIME: u64 = 601;

/// Seconds, just past a lock's lifetime and the allowed difference of clocks.
const EXPIRY: u64 = 721;

const HOURS: u64 = 3 * 3600;

fn signal_all(child: &Child, signal: Signal) {
    kill_process_group(Pid::from_child(child), signal).unwrap();
}

/// Syncs every machine; then both have these conversations, and no lock is left.
#[track_caller]
fn assert_agreement(a: &Station<'_>, b: &Station<'_>, said: &[&[&str]]) {
    for station in [a, b, a, b] {
        let run = station.run(&["sync"], "");
        assert!(matches!(run.code, Some(0 | 5)), "{run}");
    }
    assert_eq!(a.said(), said);
    assert_eq!(b.said(), said);
    assert_eq!(
        (a.lock(), a.lease(), b.lease()),
        (None, String::new(), String::new())
    );
    for station in [a, b] {
        station.machine.assert_in_order("in the end");
    }
}

#[test]
fn lock_of_dead_machine_expires_and_its_turns_are_kept() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
    let child = a.hold("backed up");
    a.heartbeat(RENEWAL);
    signal_all(&child, Signal::KILL);
    a.machine.ended(child);
    a.machine.append(ONE, "not backed up");
    assert!(b.resume("refused").code(4).stderr.contains("ccsync resume"));
    b.clock_ahead(LIFETIME - 30);
    b.resume("refused").code(4);
    b.clock_ahead(RENEWAL + EXPIRY);
    b.resume("from b").success();
    assert_eq!(b.session(), ["hello", "backed up", "from b"]);
    a.run(&["recover"], "").code(5);
    assert_agreement(
        &a,
        &b,
        &[
            &["hello", "backed up", "from b"],
            &["hello", "backed up", "not backed up"],
        ],
    );
}

#[test]
fn resume_renews_lock_and_backs_up_turns() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
    let child = a.hold("first");
    a.heartbeat(RENEWAL);
    b.run(&["pull"], "").success();
    assert_eq!(b.session(), ["hello", "first"]);
    a.machine.append(ONE, "second");
    a.heartbeat(2 * RENEWAL);
    b.run(&["pull"], "").success();
    assert_eq!(b.session(), ["hello", "first", "second"]);
    // Also with nothing new.
    a.heartbeat(3 * RENEWAL);
    // Long after the first one would have expired.
    b.clock_ahead(3 * RENEWAL + LIFETIME - 30);
    b.resume("refused").code(4);
    a.end(child).success();
    b.resume("from b").success();
    assert_agreement(&a, &b, &[&["hello", "first", "second", "from b"]]);
}

#[test]
fn resume_after_sleep_finds_lost_lock_before_writing() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
    let child = a.hold_late("");
    signal_all(&child, Signal::STOP);
    a.machine.append(ONE, "from a");
    a.machine.append(ONE, "unsent, too");
    b.clock_ahead(EXPIRY);
    b.resume("from b").success();
    let session = || {
        b.machine
            .git(&["rev-parse", &format!("HEAD:sessions/11/{ONE}")])
    };
    let before = (session(), reference(&a.remote, "main"));
    a.clock_ahead(EXPIRY);
    signal_all(&child, Signal::CONT);
    wait_for("the machine that slept sends what it has", || {
        reference(&a.remote, "main") != before.1
    });
    b.run(&["pull"], "").success();
    assert_eq!(session(), before.0, "the session is another machine's");
    assert_eq!(
        b.said(),
        [
            vec!["hello", "from a", "unsent, too"],
            vec!["hello", "from b"]
        ]
    );
    a.machine.append(ONE, "after it woke");
    let run = a.end(child).success();
    assert!(run.stderr.contains("is now a fork"), "{run}");
    assert_agreement(
        &a,
        &b,
        &[
            &["hello", "from a", "unsent, too", "after it woke"],
            &["hello", "from b"],
        ],
    );
}

#[test]
fn resume_after_sleep_with_own_lock_continues() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
    let child = a.hold_late("from a");
    signal_all(&child, Signal::STOP);
    b.clock_ahead(HOURS);
    signal_all(&child, Signal::CONT);
    a.heartbeat(HOURS);
    b.resume("refused").code(4);
    a.end(child).success();
    assert_agreement(&a, &b, &[&["hello", "from a"]]);
}

#[test]
fn lock_survives_clock_difference_of_a_minute() {
    for (ahead_of_a, ahead_of_b) in [(60, 0), (0, 60)] {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
        a.clock_ahead(ahead_of_a);
        b.clock_ahead(ahead_of_b);
        let child = a.hold("from a");
        b.resume("refused").code(4);
        // Nine minutes without a heartbeat, by either clock.
        b.clock_ahead(ahead_of_b + 540);
        b.resume("refused").code(4);
        a.end(child).success();
        assert_agreement(&a, &b, &[&["hello", "from a"]]);
    }
}

/// As `docs/dev/locking.md` says: for a machine whose clock is hours ahead, a lock looks
/// expired, and later turns of its holder become a fork; for one whose clock is hours
/// behind, it expires after its lifetime without a heartbeat.
#[test]
fn lock_with_clock_off_by_hours_costs_a_fork_at_most() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
    b.clock_ahead(HOURS);
    let child = a.hold_late("from a");
    b.resume("from b").success();
    let run = a.end(child).success();
    assert!(run.stderr.contains("is now a fork"), "{run}");
    assert_agreement(&a, &b, &[&["hello", "from a"], &["hello", "from b"]]);
    // The other way round.
    let child = b.hold_late("later");
    a.resume("refused").code(4);
    a.clock_ahead(LIFETIME - 30);
    a.resume("refused").code(4);
    a.clock_ahead(LIFETIME + 30);
    a.resume("last").success();
    b.end(child).success();
    assert_agreement(
        &a,
        &b,
        &[
            &["hello", "from a"],
            &["hello", "from b", "last"],
            &["hello", "from b", "later"],
        ],
    );
}

/// Continues the session with a client that stays, and lets a heartbeat fail because the
/// remote is unreachable.
fn hold_without_remote(a: &Station<'_>, away: &Path) -> Child {
    let child = a.hold_late("");
    fs::rename(&a.remote, away).unwrap();
    a.machine.append(ONE, "before");
    a.machine.append(ONE, "meanwhile");
    a.clock_ahead(RENEWAL);
    wait_for("a sign of life is tried", || a.lease().contains("pending"));
    // A finished process leaves no process id in the file.
    let lock = a.machine.home.join(".local/state/ccsync/lock");
    wait_for("and has failed", || fs::read(&lock).unwrap().is_empty());
    child
}

#[test]
fn resume_remote_back_online_gets_heartbeat_and_turns() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
    let away = env.root().join("away.git");
    let child = hold_without_remote(&a, &away);
    fs::rename(&away, &a.remote).unwrap();
    a.heartbeat(2 * RENEWAL);
    b.resume("refused").code(4);
    b.run(&["pull"], "").success();
    assert_eq!(b.session(), ["hello", "before", "meanwhile"]);
    a.end(child).success();
    assert_agreement(&a, &b, &[&["hello", "before", "meanwhile"]]);
}

#[test]
fn offline_take_over_turns_local_tail_into_fork() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
    let away = env.root().join("away.git");
    let child = hold_without_remote(&a, &away);
    signal_all(&child, Signal::STOP);
    fs::rename(&away, &a.remote).unwrap();
    b.clock_ahead(EXPIRY);
    b.resume("from b").success();
    let before = reference(&a.remote, "main");
    signal_all(&child, Signal::CONT);
    a.clock_ahead(2 * RENEWAL);
    wait_for("the loss is noticed", || {
        reference(&a.remote, "main") != before
    });
    a.end(child).success();
    assert_agreement(
        &a,
        &b,
        &[&["hello", "before", "meanwhile"], &["hello", "from b"]],
    );
}

#[test]
fn resume_offline_exit_queues_push_and_release() {
    let env = TestEnv::new();
    let (a, b) = env.pair_with_session();
    let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
    let away = env.root().join("away.git");
    let child = hold_without_remote(&a, &away);
    let run = a.end(child).success();
    assert!(
        run.stderr.contains("not sent yet") && run.stderr.contains("ccsync recover"),
        "{run}"
    );
    fs::rename(&away, &a.remote).unwrap();
    b.resume("refused").code(4);
    a.run(&["recover"], "").success();
    b.resume("from b").success();
    assert_agreement(&a, &b, &[&["hello", "before", "meanwhile", "from b"]]);
}

/// This machine died while it released the lock with its last turns, and another one took
/// the lock over before. The first command that reads the locks must not count the lock
/// as released: the turns would be added to the other machine's session.
#[test]
fn lock_show_keeps_record_of_lost_lock() {
    for look in [
        &["lock", "show"] as &[_],
        &["lock", "cleanup"],
        &["resume", ONE],
    ] {
        let env = TestEnv::new();
        let (a, b) = env.pair_with_session();
        let (a, b) = (Station::new(&a, &env), Station::new(&b, &env));
        for (args, point) in [
            (&["resume", ONE] as &[_], "Claude Code has ended"),
            (&["recover"], "a lease is written"),
        ] {
            let run = a
                .machine
                .run(a.command(args, "from a").env("CCSYNC_KILL_AT", point));
            assert_eq!(run.code, None, "{run}");
        }
        let child = b
            .client
            .start_late(&["resume", ONE, "--take-over"], "from b");
        let run = a.run(look, "refused");
        assert!(matches!(run.code, Some(0 | 4)), "{run}");
        a.run(&["recover"], "").code(5);
        assert_eq!(
            a.said(),
            [vec!["hello"], vec!["hello", "from a"]],
            "{look:?}"
        );
        assert!(
            b.end(child).success().stderr.contains("lock released"),
            "b keeps its session"
        );
        assert_agreement(&a, &b, &[&["hello", "from a"], &["hello", "from b"]]);
    }
}
