//! Three machines continue the same two sessions all the time, with and without a
//! take-over, and push and pull meanwhile. At the end every turn is accounted for, and
//! every move of the sessions on the remote was made by the holder of the lock.
//!
//! `CCSYNC_RELAY_SECONDS` sets how long they run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use git2::{Oid, Repository};

use crate::harness::client::Client;
use crate::harness::world::{assert_remote_in_order, id};
use crate::harness::{Ledger, Machine, TestEnv, markers};

const SESSIONS: usize = 2;

#[test]
fn resume_relay_of_three_machines_loses_no_turn() {
    let seconds = std::env::var("CCSYNC_RELAY_SECONDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(8);
    let env = TestEnv::new();
    let remote = env.bare_remote();
    let machines = ["a", "b", "c"].map(|name| env.machine(name));
    machines
        .iter()
        .for_each(|machine| drop(machine.init(&remote)));
    let mut ledger = Ledger::default();
    for session in 0..SESSIONS {
        let path = machines[0]
            .project_dir("work/app")
            .join(format!("{}.jsonl", id(session)));
        ledger.write(&machines[0].home, &path);
    }
    machines[0].ccsync(["push"]).success();
    machines[1..]
        .iter()
        .for_each(|machine| drop(machine.ccsync(["pull"]).success()));
    keep_moves(&remote);

    let relay = Relay {
        turns: AtomicU32::new(0),
        over: AtomicBool::new(false),
        kept: env.root().join("kept"),
    };
    fs::create_dir(&relay.kept).unwrap();
    let runs: Vec<Runs> = thread::scope(|scope| {
        let relay = &relay;
        machines
            .iter()
            .for_each(|machine| drop(scope.spawn(|| relay.push_and_pull(machine))));
        let running: Vec<_> = machines
            .iter()
            .map(|machine| scope.spawn(|| relay.resume(machine)))
            .collect();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(seconds) && !relay.is_over() {
            thread::sleep(Duration::from_millis(20));
        }
        relay.over.store(true, Ordering::SeqCst);
        running
            .into_iter()
            .map(|running| running.join().unwrap())
            .collect()
    });

    relay.enter_turns(&mut ledger, runs.iter().map(|runs| runs.done).sum());
    settle(&machines, &ledger);
    assert_eq!(locks(&remote), Vec::<String>::new());
    assert_remote_in_order(&remote, "in the end");
    let moves = assert_moves_by_holder(&remote);
    assert!(
        moves > 0 && runs.iter().all(|runs| runs.done + runs.refused > 0),
        "{runs:?}, {moves} moves of sessions"
    );
}

/// The number of runs by their end.
#[derive(Debug, Default)]
struct Runs {
    done: usize,
    refused: usize,
}

struct Relay {
    turns: AtomicU32,
    over: AtomicBool,
    /// The directory with each client's transcript from after its turn.
    kept: PathBuf,
}

impl Relay {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Continues the sessions in turn.
    fn resume(&self, machine: &Machine) -> Runs {
        let _end = EndOnDrop(self);
        let client = Client::install(machine);
        let mut runs = Runs::default();
        while !self.is_over() {
            let turn = format!("turn-{}", self.turns.fetch_add(1, Ordering::SeqCst));
            let session = id(fastrand::usize(..SESSIONS));
            let mut args = vec!["resume", &session];
            args.extend(fastrand::bool().then_some("--take-over"));
            let mut command = client.command(&args, &turn);
            let run = machine.run(
                command
                    .env("CLIENT_UUID", &turn)
                    .env("CLIENT_KEEPS", &self.kept),
            );
            match run.code {
                Some(0) => runs.done += 1,
                Some(4) => runs.refused += 1,
                _ => panic!("{args:?} on {}\n{run}", machine.name),
            }
        }
        runs
    }

    fn push_and_pull(&self, machine: &Machine) {
        let _end = EndOnDrop(self);
        for command in ["push", "pull"]
            .into_iter()
            .cycle()
            .take_while(|_| !self.is_over())
        {
            let run = machine.ccsync([command]);
            // Skipped: a client runs. Queued: the others were faster.
            assert!(
                matches!(run.code, Some(0 | 3 | 5 | 6)),
                "{command} on {}\n{run}",
                machine.name
            );
        }
    }

    /// Enters the turns of the clients into the ledger, each with the lines before it.
    fn enter_turns(&self, ledger: &mut Ledger, runs: usize) {
        let kept: Vec<_> = fs::read_dir(&self.kept)
            .unwrap()
            .map(|entry| entry.unwrap())
            .collect();
        assert_eq!(kept.len(), runs, "each run that ended well had one turn");
        for entry in kept {
            let turn = entry.file_name().into_string().unwrap();
            let mut lines = markers(&fs::read(entry.path()).unwrap());
            assert_eq!(
                lines.pop().as_ref(),
                Some(&turn),
                "another process wrote to a running session"
            );
            ledger.enter(&turn, &lines);
        }
    }
}

/// Ends the other threads when this one fails.
struct EndOnDrop<'a>(&'a Relay);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// Syncs every machine; then all have every turn, and none has a lease.
fn settle(machines: &[Machine], ledger: &Ledger) {
    for machine in machines.iter().chain(machines).chain(machines) {
        let run = machine.ccsync(["sync"]);
        assert!(matches!(run.code, Some(0 | 5)), "{}\n{run}", machine.name);
    }
    let all: Vec<_> = machines.iter().map(Machine::conversations).collect();
    for (machine, conversations) in machines.iter().zip(&all) {
        assert_eq!(*conversations, all[0], "{} differs", machine.name);
        ledger.check_all(conversations, &machine.name);
        machine.assert_in_order(&machine.name);
        let leases = fs::read_dir(machine.home.join(".local/state/ccsync/locks"))
            .into_iter()
            .flatten();
        assert_eq!(leases.count(), 0, "{} remembers a lock", machine.name);
    }
}

fn locks(remote: &Path) -> Vec<String> {
    let remote = Repository::open(remote).unwrap();
    let locks = remote.references_glob("refs/heads/ccsync/lock/*").unwrap();
    locks
        .map(|lock| lock.unwrap().name().unwrap().to_owned())
        .collect()
}

/// From now on the remote logs each move of a branch, with a name of its transaction. A
/// process id would be used again before long.
fn keep_moves(remote: &Path) {
    let hook = remote.join("hooks/reference-transaction");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\nname=$(cat /proc/sys/kernel/random/uuid)\n\
                  [ \"$1\" = committed ] && grep refs/heads/ | sed \"s/^/$name /\" >>moves\nexit 0\n";
    fs::write(&hook, script).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Asserts that each move of a session was made by the holder of its lock, which moved
/// the lock in the same step. Returns the number of moves.
fn assert_moves_by_holder(remote: &Path) -> usize {
    let log = fs::read_to_string(remote.join("moves")).unwrap();
    let mut steps: BTreeMap<&str, BTreeMap<&str, (Oid, Oid)>> = BTreeMap::new();
    for line in log.lines() {
        let [transaction, old, new, name] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let between = (old.parse().unwrap(), new.parse().unwrap());
        steps.entry(transaction).or_default().insert(name, between);
    }
    let remote = Repository::open(remote).unwrap();
    let mut moves = 0;
    for step in steps.values() {
        let Some((old, new)) = step.get("refs/heads/main") else {
            continue;
        };
        let writer = remote
            .find_commit(*new)
            .unwrap()
            .author()
            .name()
            .unwrap()
            .to_owned();
        for session in changed(&remote, *old, *new) {
            let lock = format!("refs/heads/ccsync/lock/{session}");
            let (held, _) = step
                .get(lock.as_str())
                .unwrap_or_else(|| panic!("{writer} wrote {session} in {new} without its lock"));
            assert_eq!(holder(&remote, *held), writer, "{session} in {new}");
            moves += 1;
        }
    }
    moves
}

/// Returns the shared sessions that changed between two commits.
fn changed(remote: &Repository, old: Oid, new: Oid) -> BTreeSet<String> {
    let tree = |session: &str, commit| {
        let path = format!("sessions/{}/{session}", &session[..2]);
        remote
            .find_commit(commit)
            .unwrap()
            .tree()
            .unwrap()
            .get_path(Path::new(&path))
            .unwrap()
            .id()
    };
    (0..SESSIONS)
        .map(id)
        .filter(|session| tree(session, old) != tree(session, new))
        .collect()
}

fn holder(remote: &Repository, lock: Oid) -> String {
    let json = remote
        .revparse_single(&format!("{lock}:lock.json"))
        .unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(json.as_blob().unwrap().content()).unwrap();
    json["host"].as_str().unwrap().to_owned()
}
