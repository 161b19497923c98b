//! Eight threads at once: on each of two machines one pushes, one pulls, one syncs, and
//! one writes as a client, sometimes marked as running and sometimes not. At the end
//! every line is accounted for.
//!
//! `CCSYNC_CROWD_SECONDS` sets how long they run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::world::{World, assert_remote_in_order, id};
use crate::harness::{Ledger, Machine, append, markers};

/// Sessions that both machines may write into.
const SHARED: usize = 3;

#[test]
fn concurrent_commands_lose_no_line() {
    let seconds = std::env::var("CCSYNC_CROWD_SECONDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(6);
    let mut world = World::new();
    (0..SHARED).for_each(|session| world.write("a", session, 1));
    world.check("before");
    let World { env, a, b, ledger } = world;
    let crowd = Crowd {
        ledger: Mutex::new(ledger),
        next: AtomicU32::new(0),
        over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let crowd = &crowd;
        for machine in [&a, &b] {
            for command in ["push", "pull", "sync"] {
                scope.spawn(move || crowd.run(machine, command));
            }
            scope.spawn(move || crowd.write_as_client(machine));
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(seconds) && !crowd.is_over() {
            thread::sleep(Duration::from_millis(20));
        }
        crowd.over.store(true, Ordering::SeqCst);
    });
    let world = World {
        env,
        a,
        b,
        ledger: crowd.ledger.into_inner().unwrap(),
    };
    world.check("both machines in the end");
    let remote = world.env.remote_of_pair();
    let other = world.env.machine("c");
    other.init(&remote);
    other.ccsync(["pull"]).success();
    assert_eq!(
        other.conversations(),
        world.a.conversations(),
        "a machine that reads the remote for the first time"
    );
    assert_remote_in_order(&remote, "in the end");
}

struct Crowd {
    ledger: Mutex<Ledger>,
    next: AtomicU32,
    over: AtomicBool,
}

impl Crowd {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Runs one command repeatedly.
    fn run(&self, machine: &Machine, command: &str) {
        let _end = EndOnDrop(self);
        while !self.is_over() {
            let run = machine.ccsync([command]);
            // Skipped: a session is running or has just changed. Queued: the others were faster.
            assert!(matches!(run.code, Some(0 | 3 | 5 | 6)), "{run}");
        }
    }

    /// Writes to the sessions in turn, as a client that is marked as running and as one
    /// that is not.
    fn write_as_client(&self, machine: &Machine) {
        let _end = EndOnDrop(self);
        for turn in 0.. {
            if self.is_over() {
                return;
            }
            let session = id(if turn % 5 == 4 {
                100 + turn
            } else {
                turn % SHARED
            });
            let path = machine
                .project_dir("work/app")
                .join(format!("{session}.jsonl"));
            if turn % 2 == 0 {
                self.write_as_running_client(machine, &session, &path);
            } else {
                self.write_as_unmarked_client(machine, &path);
            }
        }
    }

    /// No other process writes while the client is marked as running.
    fn write_as_running_client(&self, machine: &Machine, session: &str, path: &Path) {
        machine.mark_running(session, std::process::id());
        // A command that read the session before the mark has finished when the lock is
        // free; a real client takes longer to start.
        wait_for_lock(machine);
        let mut known = fs::read(path).unwrap_or_default();
        for _ in 0..3 {
            let marker = self.marker();
            self.ledger.lock().unwrap().enter(&marker, &markers(&known));
            append(&machine.home, path, &marker);
            let now = fs::read(path).unwrap();
            assert!(
                now.starts_with(&known) && now.len() < known.len() + 1000,
                "another process wrote to a running session"
            );
            known = now;
            machine.ccsync(["status"]).success();
            assert_eq!(
                fs::read(path).unwrap().len(),
                known.len(),
                "another process wrote to a running session"
            );
        }
        fs::remove_file(
            machine
                .home
                .join(format!(".claude/sessions/{}.json", std::process::id())),
        )
        .unwrap();
    }

    /// A client without a mark writes at any time.
    fn write_as_unmarked_client(&self, machine: &Machine, path: &Path) {
        for _ in 0..3 {
            let marker = self.marker();
            append(&machine.home, path, &marker);
            // The line stays at its position.
            let lines = find_conversation(machine, &marker, path);
            let at = lines.iter().position(|line| *line == marker).unwrap();
            self.ledger.lock().unwrap().enter(&marker, &lines[..at]);
        }
    }

    fn marker(&self) -> String {
        format!("crowd-{}", self.next.fetch_add(1, Ordering::SeqCst))
    }
}

/// Ends the other threads when this one fails.
struct EndOnDrop<'a>(&'a Crowd);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// Returns the conversation with this line: the file it was written to or, if a pull
/// replaced that file, the fork that has it.
fn find_conversation(machine: &Machine, marker: &str, path: &Path) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let here = fs::read(path)
            .map(|text| markers(&text))
            .unwrap_or_default();
        let all = std::iter::once((PathBuf::new(), here)).chain(machine.conversations());
        if let Some((_, lines)) = all
            .into_iter()
            .find(|(_, lines)| lines.iter().any(|line| line == marker))
        {
            return lines;
        }
        assert!(
            Instant::now() < deadline,
            "{marker} is missing on {}",
            machine.name
        );
        machine.ccsync(["sync"]);
    }
}

fn wait_for_lock(machine: &Machine) {
    let lock = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(machine.home.join(".local/state/ccsync/lock"))
        .unwrap();
    lock.lock().unwrap();
}
