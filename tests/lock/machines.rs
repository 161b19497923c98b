//! Machines with stores and clocks of their own, a real remote and real git.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::thread;
use std::time::Duration;

use ccsync::domain::id::SessionId;
use ccsync::keeper::send::{back_up, finish};
use ccsync::leasing::acquire::{self, AcquireOutcome};
use ccsync::leasing::lock_table::{self, LockTable};
use ccsync::leasing::release::{self, ReleaseOutcome};
use ccsync::leasing::view::LockView;
use ccsync::lock::lease::Lease;
use ccsync::lock::record::LockRecord;
use ccsync::lock::state::{Expiry, HeldLock, LockStatus, Settlement, TakeOver};
use ccsync::sys::clock::{Clock, ManualClock, SystemClock};
use ccsync::workspace::context::Context;
use chrono::{DateTime, TimeDelta, Utc};

use crate::harness::library::{environment_of, with_context_at};
use crate::harness::{Machine, ONE, TestEnv};

/// A machine as the library sees it.
pub(super) struct Station {
    pub(super) machine: Machine,
    clock: SetClock,
}

/// The wall clock is set by the test, but a wait for another process is real: threads
/// that start programs at the same moment share open files until those run.
struct SetClock {
    wall: ManualClock,
    real: SystemClock,
}

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        self.wall.now()
    }
    fn monotonic(&self) -> Duration {
        self.real.monotonic()
    }
    fn sleep(&self, d: Duration) {
        self.real.sleep(d);
    }
}

impl SetClock {
    fn advance(&self, d: Duration) {
        self.wall.advance(d);
    }
    fn set_wall(&self, wall: DateTime<Utc>) {
        self.wall.set_wall(wall);
    }
}

impl Station {
    pub(super) fn new(machine: Machine) -> Self {
        let real = SystemClock::default();
        Self {
            machine,
            clock: SetClock {
                wall: ManualClock::new(real.now()),
                real,
            },
        }
    }

    fn with<T>(&self, ask: impl FnOnce(&Context<'_>) -> T) -> T {
        with_context_at(&self.machine, &self.clock, ask)
    }

    pub(super) fn acquire(&self, session: &str, take_over: TakeOver) -> AcquireOutcome {
        self.with(|ctx| acquire::acquire(ctx, &id(session), take_over))
            .unwrap()
    }

    fn holds(&self, session: &str, take_over: TakeOver) -> bool {
        matches!(
            self.acquire(session, take_over),
            AcquireOutcome::Acquired(_)
        )
    }

    /// Renews the lock, as a `resume` does while its client runs, and returns the result.
    fn renew(&self, session: &str) -> Settlement {
        self.with(back_up).unwrap();
        let lease = Lease::load(
            &environment_of(&self.machine).dirs.state.join("locks"),
            &id(session),
        )
        .unwrap();
        match lease {
            Some(Lease {
                lost: false,
                lock: HeldLock { pending: None, .. },
                ..
            }) => Settlement::Held,
            Some(Lease { lost: false, .. }) => Settlement::Unanswered,
            _ => Settlement::Lost,
        }
    }

    pub(super) fn lock_table(&self) -> LockTable {
        self.with(lock_table::lock_table).unwrap()
    }

    pub(super) fn only_lock(&self) -> LockView {
        let mut locks = self.lock_table().locks;
        assert_eq!(locks.len(), 1, "{locks:?}");
        locks.remove(0)
    }

    fn release(&self, locks: &[LockView], force: TakeOver) -> Vec<ReleaseOutcome> {
        self.with(|ctx| release::release(ctx, locks, force))
            .unwrap()
    }

    fn lease_file(&self, session: &str) -> PathBuf {
        environment_of(&self.machine)
            .dirs
            .state
            .join("locks")
            .join(format!("{session}.json"))
    }

    /// Changes this machine's lease.
    fn edit_lease(&self, session: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.lease_file(session);
        let mut lease = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut lease);
        fs::write(path, lease.to_string()).unwrap();
    }
}

fn id(session: &str) -> SessionId {
    session.parse().unwrap()
}

/// Machines that share a remote, and one session.
pub(super) fn stations(env: &TestEnv) -> (Station, Station) {
    let (a, b) = env.pair_with_session();
    (Station::new(a), Station::new(b))
}

fn branch(session: &str) -> String {
    format!("refs/heads/ccsync/lock/{session}")
}

#[test]
fn lock_is_acquired_renewed_taken_over_and_released() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    let AcquireOutcome::Acquired(lease) = a.acquire(ONE, TakeOver::No) else {
        panic!("no other machine wants it")
    };
    assert_eq!(
        (lease.lock.record.generation, lease.lock.pending),
        (1, None)
    );
    let AcquireOutcome::HeldBy(view) = b.acquire(ONE, TakeOver::Expired) else {
        panic!("a holds it")
    };
    assert_eq!(view.record().unwrap().host, "a");
    assert!(view.title.is_some() && view.is_live() && !view.is_own());
    b.clock.advance(Duration::from_secs(599));
    assert!(!b.holds(ONE, TakeOver::Expired));
    assert_eq!(a.renew(ONE), Settlement::Held);
    b.clock.advance(Duration::from_secs(1));
    assert!(
        !b.holds(ONE, TakeOver::Expired),
        "it has just given a sign of life"
    );
    b.clock.advance(Duration::from_secs(600));
    assert!(
        !b.holds(ONE, TakeOver::No),
        "it has expired, but was not taken over"
    );
    assert!(matches!(
        b.only_lock().status(),
        Some(LockStatus::Expired {
            why: Expiry::NoHeartbeat,
            ..
        })
    ));
    let AcquireOutcome::Acquired(taken) = b.acquire(ONE, TakeOver::Expired) else {
        panic!("it has expired")
    };
    assert_eq!(taken.lock.record.generation, 2);
    assert_eq!(a.renew(ONE), Settlement::Lost);
    assert_eq!(a.lock_table().lost.len(), 1);
    assert!(!a.holds(ONE, TakeOver::Expired));
    let mine = b.only_lock();
    assert!(matches!(
        b.release(from_ref(&mine), TakeOver::No)[..],
        [ReleaseOutcome::Released(_)]
    ));
    assert!(matches!(
        b.release(&[mine], TakeOver::No)[..],
        [ReleaseOutcome::NotLocked(_)]
    ));
    assert!(!b.lease_file(ONE).exists());
    assert!(a.holds(ONE, TakeOver::No));
    assert!(a.lock_table().lost.is_empty());
    [&a, &b]
        .iter()
        .for_each(|station| station.machine.assert_in_order("locks"));
}

#[test]
fn lock_many_renewals_leave_no_objects() {
    let env = TestEnv::new();
    let (a, _) = stations(&env);
    let objects = || {
        let files = walkdir::WalkDir::new(a.machine.store().join(".git/objects"))
            .into_iter()
            .map(Result::unwrap);
        files.filter(|entry| entry.file_type().is_file()).count()
    };
    let before = objects();
    assert!(a.holds(ONE, TakeOver::No));
    for _ in 0..5 {
        assert_eq!(a.renew(ONE), Settlement::Held);
    }
    assert_eq!(
        objects(),
        before + 3,
        "blob, tree and commit of the last one"
    );
    a.release(&[a.only_lock()], TakeOver::No);
    assert_eq!(objects(), before);
    a.machine.assert_in_order("after many renewals");
}

#[test]
fn lock_taken_over_live_is_lost_to_former_holder() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    assert!(a.holds(ONE, TakeOver::No));
    assert!(b.holds(ONE, TakeOver::Live));
    assert_eq!(a.renew(ONE), Settlement::Lost);
    assert_eq!(a.renew(ONE), Settlement::Lost);
    assert_eq!(b.renew(ONE), Settlement::Held);
}

#[test]
fn lock_approval_covers_one_holder_only() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    assert!(a.holds(ONE, TakeOver::No));
    let seen = b.only_lock();
    assert_eq!(a.renew(ONE), Settlement::Held);
    assert!(
        matches!(
            b.release(from_ref(&seen), TakeOver::Live)[..],
            [ReleaseOutcome::Released(_)]
        ),
        "still a's"
    );
    a.clock.advance(Duration::from_secs(1));
    assert!(a.holds(ONE, TakeOver::No), "again, since then");
    assert!(matches!(
        b.release(&[seen], TakeOver::Live)[..],
        [ReleaseOutcome::HeldBy(_)]
    ));
}

#[test]
fn lock_wrong_clock_costs_one_question() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    a.clock.set_wall(a.clock.now() - TimeDelta::hours(1));
    assert!(a.holds(ONE, TakeOver::No));
    assert!(matches!(
        b.only_lock().status(),
        Some(LockStatus::Expired {
            why: Expiry::ByClock,
            ..
        })
    ));
    a.clock.set_wall(a.clock.now() + TimeDelta::hours(2));
    assert_eq!(a.renew(ONE), Settlement::Held);
    let Some(LockStatus::Held { expires, .. }) = b.only_lock().status().cloned() else {
        panic!("it is from the future")
    };
    assert_eq!(
        expires,
        b.clock.now() + TimeDelta::minutes(10),
        "by b's own clock"
    );
    b.clock.set_wall(b.clock.now() - TimeDelta::days(2));
    assert!(
        b.only_lock().is_live(),
        "seen for the first time, as far as this clock goes"
    );
    b.clock.advance(Duration::from_secs(600));
    assert!(matches!(
        b.only_lock().status(),
        Some(LockStatus::Expired { .. })
    ));
}

#[test]
fn lock_unanswered_push_is_settled_by_next_fetch() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    assert!(a.holds(ONE, TakeOver::No));
    // As after a crash between the push and its answer: the push has arrived.
    let before = fs::read(a.lease_file(ONE)).unwrap();
    a.edit_lease(ONE, |lease| lease["pending"] = "acquire".into());
    assert!(matches!(a.only_lock().status(), Some(LockStatus::Mine)));
    let settled: serde_json::Value =
        serde_json::from_slice(&fs::read(a.lease_file(ONE)).unwrap()).unwrap();
    assert_eq!(settled["pending"], serde_json::Value::Null);
    // A renewal that arrived, and one that did not.
    assert_eq!(a.renew(ONE), Settlement::Held);
    let after = fs::read(a.lease_file(ONE)).unwrap();
    let [old, new]: [serde_json::Value; 2] =
        [&before, &after].map(|json| serde_json::from_slice(json).unwrap());
    let renewal = |of: &serde_json::Value| serde_json::json!({"renew": {"commit": of["commit"], "record": of["record"]}});
    a.edit_lease(ONE, |lease| {
        *lease = old.clone();
        lease["pending"] = renewal(&new);
    });
    assert!(
        matches!(a.only_lock().status(), Some(LockStatus::Mine)),
        "it arrived"
    );
    let mut next: LockRecord = serde_json::from_value(new["record"].clone()).unwrap();
    next.nonce = "never1arrived".to_owned();
    a.edit_lease(ONE, |lease| {
        lease["pending"] = serde_json::json!({"renew": {"commit": "e".repeat(40), "record": next}});
    });
    assert!(
        matches!(a.only_lock().status(), Some(LockStatus::Mine)),
        "it did not"
    );
    assert_eq!(a.renew(ONE), Settlement::Held, "the same is sent again");
    assert_eq!(b.only_lock().record().unwrap().nonce, "never1arrived");
    // A release that arrived and whose answer was lost.
    a.edit_lease(ONE, |lease| lease["pending"] = "release".into());
    a.machine.run(
        a.machine
            .program("git")
            .arg("-C")
            .arg(env.remote_of_pair())
            .args(["update-ref", "-d", &branch(ONE)]),
    );
    assert!(a.lock_table().locks.is_empty() && !a.lease_file(ONE).exists());
    // A lock whose branch the user deleted by hand is lost.
    assert!(a.holds(ONE, TakeOver::No));
    a.machine.run(
        a.machine
            .program("git")
            .arg("-C")
            .arg(env.remote_of_pair())
            .args(["update-ref", "-d", &branch(ONE)]),
    );
    assert_eq!(a.renew(ONE), Settlement::Lost);
    assert!(b.holds(ONE, TakeOver::No));
}

/// The time until the user answers does not matter.
#[test]
fn lock_approval_covers_the_shown_lock_only() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    assert!(a.holds(ONE, TakeOver::No));
    let AcquireOutcome::HeldBy(shown) = b.acquire(ONE, TakeOver::Expired) else {
        panic!("a holds it")
    };
    let take_over = || b.with(|ctx| acquire::take_over(ctx, &shown)).unwrap();
    let mine = a.only_lock();
    assert!(matches!(
        a.release(&[mine], TakeOver::No)[..],
        [ReleaseOutcome::Released(_)]
    ));
    a.clock.advance(Duration::from_secs(1));
    assert!(a.holds(ONE, TakeOver::No));
    let AcquireOutcome::HeldBy(other) = take_over() else {
        panic!("this lock was not shown")
    };
    let AcquireOutcome::Acquired(_) = b.with(|ctx| acquire::take_over(ctx, &other)).unwrap() else {
        panic!("it is the one shown")
    };
}

/// The commit was written to a store that is lost: pushed by its id alone, it would stop
/// every command that concerns the lock.
#[test]
fn lock_pending_change_of_lost_store_is_sent_again() {
    let env = TestEnv::new();
    let (a, _) = stations(&env);
    let AcquireOutcome::Acquired(lease) = a.acquire(ONE, TakeOver::No) else {
        panic!("no other machine wants it")
    };
    let mut next = lease.lock.record.clone();
    next.nonce = "never1arrived".to_owned();
    let pending = serde_json::json!({"renew": {"commit": "e".repeat(40), "record": next}});
    a.edit_lease(ONE, |lease| lease["pending"] = pending.clone());
    assert!(a.holds(ONE, TakeOver::No));
    a.edit_lease(ONE, |lease| lease["pending"] = pending);
    let mine = a.only_lock();
    assert!(matches!(
        a.release(&[mine], TakeOver::No)[..],
        [ReleaseOutcome::Released(_)]
    ));
}

#[test]
fn lock_of_other_process_is_not_released() {
    let env = TestEnv::new();
    let (a, _) = stations(&env);
    assert!(a.holds(ONE, TakeOver::No));
    a.edit_lease(ONE, |lease| {
        lease["holder"] = serde_json::json!({"pid": std::os::unix::process::parent_id()});
    });
    let finish = || {
        a.with(|ctx| finish(ctx, &BTreeSet::from([id(ONE)])))
            .unwrap()
    };
    finish();
    assert!(a.only_lock().is_own());
    a.edit_lease(ONE, |lease| {
        lease["holder"] = serde_json::json!({"pid": std::process::id()});
    });
    finish();
    assert!(a.lock_table().locks.is_empty());
}

#[test]
fn lock_damaged_lease_is_named_and_does_not_block() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    assert!(a.holds(ONE, TakeOver::No));
    fs::write(a.lease_file(ONE), "{").unwrap();
    let lock_table = a.lock_table();
    assert!(
        lock_table.damaged[0].contains("cannot parse lock file"),
        "{lock_table:?}"
    );
    assert!(lock_table.locks[0].is_own(), "it names this machine");
    assert!(
        !a.holds(ONE, TakeOver::No),
        "another machine may have been copied from this one"
    );
    assert!(a.holds(ONE, TakeOver::Live));
    assert!(a.lock_table().damaged.is_empty() && !b.holds(ONE, TakeOver::Expired));
}

#[test]
fn lock_show_and_release_commands() {
    let env = TestEnv::new();
    let (a, b) = stations(&env);
    assert!(
        b.machine
            .ccsync(["lock", "show"])
            .success()
            .stderr
            .contains("lock show: no locks")
    );
    assert_eq!(
        a.machine.ccsync(["lock", "release"]).success().stdout,
        "lock release: nothing released\n"
    );
    assert!(a.holds(ONE, TakeOver::No));
    let shown = b
        .machine
        .ccsync(["lock", "show", &ONE[..6], "--json"])
        .success()
        .json();
    assert_eq!(
        (&shown["locks"][0]["status"], &shown["locks"][0]["host"]),
        (&"held".into(), &"a".into())
    );
    // The process that holds it, this test, is alive: on either machine, a release needs
    // force.
    for machine in [&a.machine, &b.machine] {
        assert!(
            machine
                .ccsync(["lock", "release", ONE])
                .code(4)
                .stderr
                .contains("--force")
        );
        machine.ccsync(["lock", "release", ONE, "--force"]).code(2);
    }
    let kept = b
        .machine
        .ccsync(["lock", "cleanup", "--json"])
        .success()
        .json();
    assert_eq!(
        (
            kept["removed"].as_array().unwrap().len(),
            kept["not_removed"].as_array().unwrap().len()
        ),
        (0, 1)
    );
    let run = b
        .machine
        .ccsync(["lock", "release", ONE, "--force", "--yes"])
        .success();
    assert!(
        run.stdout.contains("released") && run.stdout.contains("held by a"),
        "{run}"
    );
    // A lock whose process is dead is released at once.
    assert!(a.holds(ONE, TakeOver::No));
    a.edit_lease(ONE, |lease| lease["holder"]["pid"] = 4_000_000.into());
    assert!(
        a.machine
            .ccsync(["lock", "release"])
            .success()
            .stdout
            .contains("1 lock released")
    );
    // Any machine removes a lock that has expired by the clock.
    a.clock.set_wall(a.clock.now() - TimeDelta::hours(1));
    assert!(a.holds(ONE, TakeOver::No));
    assert!(
        b.machine
            .ccsync(["lock", "cleanup"])
            .success()
            .stdout
            .contains("1 lock removed")
    );
    assert_eq!(a.renew(ONE), Settlement::Lost);
    fs::rename(env.remote_of_pair(), env.root().join("away")).unwrap();
    for command in ["show", "release", "cleanup"] {
        a.machine.ccsync(["lock", command]).code(1);
    }
}

/// Returns the moves of the remote's branch: each line has the old and the new commit.
fn history(remote: &Path) -> Vec<(String, String)> {
    let log = fs::read_to_string(remote.join("moves")).unwrap();
    let moves = log.lines().filter(|line| line.contains("/ccsync/lock/"));
    moves
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            (words[0].to_owned(), words[1].to_owned())
        })
        .collect()
}

const NONE: &str = "0000000000000000000000000000000000000000";

/// Machines acquire, renew, take over and release one lock, all at once. A hook of the
/// remote records the moves of the branch, which must be one chain, with generations that
/// count the holders.
#[cfg(unix)]
#[test]
fn lock_concurrent_machines_keep_one_chain() {
    const ROUNDS: usize = 6;
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let hook = remote.join("hooks/reference-transaction");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(
        &hook,
        "#!/bin/sh\n[ \"$1\" = committed ] && grep refs/heads/ >> moves\nexit 0\n",
    )
    .unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let stations = ["a", "b", "c"].map(|name| {
        let machine = env.machine(name);
        machine.init(&remote);
        Station::new(machine)
    });
    let put: BTreeSet<String> = thread::scope(|scope| {
        let all = stations
            .iter()
            .map(|station| scope.spawn(|| contend(station, ROUNDS)));
        let all: Vec<_> = all.collect();
        all.into_iter()
            .flat_map(|one| one.join().unwrap())
            .collect()
    });
    let moves = history(&remote);
    let next: BTreeMap<&str, &str> = moves
        .iter()
        .filter(|(old, _)| old != NONE)
        .map(|(old, new)| (old.as_str(), new.as_str()))
        .collect();
    let from_none = moves.iter().filter(|(old, _)| old == NONE).count();
    assert_eq!(
        next.len() + from_none,
        moves.len(),
        "two commits follow the same one: {moves:#?}"
    );
    let became: BTreeSet<&str> = moves
        .iter()
        .map(|(_, new)| new.as_str())
        .filter(|new| *new != NONE)
        .collect();
    assert!(
        next.keys().all(|old| became.contains(old)),
        "one commit follows an unknown one: {moves:#?}"
    );
    assert!(
        put.iter().all(|commit| became.contains(commit.as_str())),
        "what was answered has happened"
    );
    for (old, new) in next.into_iter().filter(|(_, new)| *new != NONE) {
        let [old, new] = [old, new].map(|commit| record(&remote, commit));
        let lease = |r: &LockRecord| (r.machine.clone(), r.acquired, r.pid);
        let is_renewal = lease(&old) == lease(&new) && old.generation == new.generation;
        assert!(
            is_renewal || new.generation == old.generation + 1,
            "{old:?}\n{new:?}"
        );
    }
    assert!(became.len() > ROUNDS, "{moves:?}");
    stations
        .iter()
        .for_each(|station| station.machine.assert_in_order("locks"));
}

/// Acts as a machine might, and returns the commits that the remote accepted.
fn contend(station: &Station, rounds: usize) -> Vec<String> {
    let mut put = Vec::new();
    for round in 0..rounds {
        let take_over = if round % 3 == 2 {
            TakeOver::Live
        } else {
            TakeOver::No
        };
        match station.with(|ctx| acquire::acquire(ctx, &id(ONE), take_over)) {
            Ok(AcquireOutcome::Acquired(lease)) => put.push(lease.lock.commit.to_string()),
            Ok(AcquireOutcome::HeldBy(_)) => continue,
            Err(e) if e.to_string().contains("kept changing") => continue,
            Ok(AcquireOutcome::NoLocks { reason }) => panic!("{reason}"),
            Err(e) => panic!("{e:?}"),
        }
        station.clock.advance(Duration::from_secs(1));
        if station.renew(ONE) == Settlement::Held && round % 2 == 0 {
            let own: Vec<_> = station
                .lock_table()
                .locks
                .into_iter()
                .filter(LockView::is_own)
                .collect();
            let _ = station.with(|ctx| release::release(ctx, &own, TakeOver::No));
        }
    }
    put
}

fn record(remote: &Path, commit: &str) -> LockRecord {
    let repo = git2::Repository::open(remote).unwrap();
    let object = repo
        .revparse_single(&format!("{commit}:lock.json"))
        .unwrap();
    LockRecord::parse(&id(ONE), object.as_blob().unwrap().content()).unwrap()
}
