//! Two machines that write to sessions, and a ledger of the written lines.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Ledger, Machine, TestEnv};

pub(crate) struct World {
    pub(crate) env: TestEnv,
    pub(crate) a: Machine,
    pub(crate) b: Machine,
    pub(crate) ledger: Ledger,
}

/// Returns the id of the `n`-th session.
pub(crate) fn id(n: usize) -> String {
    format!("{n:08}-0000-4000-8000-000000000000")
}

impl World {
    /// Sets up both machines, with the session 0 on both.
    pub(crate) fn new() -> Self {
        Self::of(TestEnv::pair)
    }

    /// Sets up both machines with an encrypted store.
    pub(crate) fn encrypted() -> Self {
        Self::of(TestEnv::encrypted_pair)
    }

    fn of(pair: fn(&TestEnv) -> (Machine, Machine)) -> Self {
        let env = TestEnv::new();
        let (a, b) = pair(&env);
        let mut world = Self {
            env,
            a,
            b,
            ledger: Ledger::default(),
        };
        world.write("a", 0, 1);
        world.a.ccsync(["push"]).success();
        world.b.ccsync(["pull"]).success();
        world
    }

    pub(crate) fn machine(&self, name: &str) -> &Machine {
        if name == "a" { &self.a } else { &self.b }
    }

    /// Writes lines to a session, new or not.
    pub(crate) fn write(&mut self, machine: &str, session: usize, lines: usize) {
        self.write_extra_file(machine, session, lines, None);
    }

    /// Writes lines to a sub-agent's transcript.
    pub(crate) fn write_agent(&mut self, machine: &str, session: usize, lines: usize) {
        self.write_extra_file(machine, session, lines, Some("agent-1"));
    }

    fn write_extra_file(
        &mut self,
        machine: &str,
        session: usize,
        lines: usize,
        agent: Option<&str>,
    ) {
        let home = self.machine(machine).home.clone();
        let transcript = self.transcript(machine, session);
        let path = match agent {
            Some(agent) => transcript
                .with_extension("")
                .join(format!("subagents/{agent}.jsonl")),
            None => transcript.clone(),
        };
        if agent.is_some() && !transcript.exists() {
            self.ledger.write(&home, &transcript);
        }
        (0..lines).for_each(|_| drop(self.ledger.write(&home, &path)));
    }

    /// Writes files of a session that are not rewritten.
    pub(crate) fn write_results(&self, machine: &str, session: usize, files: usize) {
        let directory = self
            .transcript(machine, session)
            .with_extension("")
            .join("tool-results");
        std::fs::create_dir_all(&directory).unwrap();
        for n in 0..files {
            std::fs::write(
                directory.join(format!("toolu_{n}.txt")),
                format!("{session} {n}\n"),
            )
            .unwrap();
        }
    }

    fn transcript(&self, machine: &str, session: usize) -> PathBuf {
        self.machine(machine)
            .project_dir("work/app")
            .join(format!("{}.jsonl", id(session)))
    }

    /// Pulls everything to a machine, also sessions that an undo has removed and that
    /// only a pull by name restores.
    #[track_caller]
    pub(crate) fn pull_everything_to(&self, machine: &str) {
        let (machine, other) = if machine == "a" {
            (&self.a, &self.b)
        } else {
            (&self.b, &self.a)
        };
        machine.ccsync(["push"]);
        other.ccsync(["pull"]);
        machine.ccsync(["pull"]);
        let all = machine
            .ccsync(["list", "--remote", "--json"])
            .success()
            .json();
        let all = all["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["session"].as_str().unwrap().to_owned());
        let run = machine.ccsync(["pull".to_owned()].into_iter().chain(all));
        assert!(matches!(run.code, Some(0 | 5)), "{run}");
    }

    /// Syncs both machines; then both have everything.
    #[track_caller]
    pub(crate) fn check(&self, what: &str) {
        for machine in [&self.a, &self.b, &self.a, &self.b] {
            let run = machine.ccsync(["sync"]);
            assert!(matches!(run.code, Some(0 | 5)), "{what}\n{run}");
        }
        let both = [self.a.conversations(), self.b.conversations()];
        assert_eq!(both[0], both[1], "{what}: the machines differ");
        self.ledger.check_all(&both[0], what);
        [&self.a, &self.b]
            .into_iter()
            .for_each(|machine| machine.assert_in_order(what));
        assert_remote_in_order(&self.env.remote_of_pair(), what);
    }
}

/// Fails if a push left a lock in the remote.
#[track_caller]
pub(crate) fn assert_remote_in_order(remote: &Path, what: &str) {
    let files = walkdir::WalkDir::new(remote)
        .into_iter()
        .map(|e| e.unwrap().into_path());
    let locks: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "lock"))
        .collect();
    assert!(locks.is_empty(), "{what}: locks in the remote: {locks:?}");
}

/// Starts a command in a process group of its own.
pub(crate) fn start(mut command: Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}
