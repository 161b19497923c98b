//! Commands are killed at any moment, alone or with every program they have started, in a
//! story that uses all commands.
//!
//! `CCSYNC_KILLS` sets the number of kills; `CCSYNC_KILL_SEED` repeats a story as far as
//! moments can be repeated.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::harness::Machine;
use crate::harness::world::{World, start};

/// Kills in one world; then the next one begins.
const KILLS_PER_WORLD: u32 = 25;

const COMMANDS: [&str; 6] = ["push", "push", "pull", "sync", "undo", "init"];

#[test]
fn kill_at_random_moments_loses_no_line() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let kills = number("CCSYNC_KILLS").unwrap_or(25) as u32;
    let seed = number("CCSYNC_KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    for begun in (0..kills).step_by(KILLS_PER_WORLD as usize) {
        let mut story = Story::new(Rng::with_seed(seed + u64::from(begun)), seed);
        (0..KILLS_PER_WORLD.min(kills - begun)).for_each(|_| story.kill_once());
        story.world.pull_everything_to("a");
        story.world.pull_everything_to("b");
        story.world.check(&story.context());
    }
}

struct Story {
    world: World,
    rng: Rng,
    seed: u64,
    /// The longest undisturbed run of each command.
    whole: BTreeMap<&'static str, Duration>,
    steps: Vec<String>,
}

impl Story {
    fn new(rng: Rng, seed: u64) -> Self {
        Self {
            world: World::new(),
            rng,
            seed,
            whole: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    /// Writes something, kills a command, perhaps twice, and then runs it to its end.
    fn kill_once(&mut self) {
        let name = *self.rng.choice(&["a", "b"]).unwrap();
        let command = *self.rng.choice(&COMMANDS).unwrap();
        self.write_something();
        let mut times = 1;
        while self.rng.u8(..4) == 0 {
            times += 1;
        }
        for _ in 0..times {
            self.kill(name, command);
        }
        let began = Instant::now();
        let run = self
            .world
            .machine(name)
            .run(&mut prepared(&self.world, name, command));
        self.steps
            .push(format!("{command} on {name}: {:?}", run.code));
        let whole = self.whole.entry(command).or_default();
        *whole = began.elapsed().max(*whole).min(Duration::from_millis(300));
        let context = self.context();
        assert!(
            matches!(run.code, Some(0 | 5)) || command == "undo" && run.code == Some(3),
            "{context}\n{run}"
        );
        let machine: &Machine = self.world.machine(name);
        machine.assert_in_order(&context);
        self.world
            .ledger
            .check_some(&machine.conversations(), &context);
    }

    fn write_something(&mut self) {
        for _ in 0..self.rng.usize(1..4) {
            let machine = *self.rng.choice(&["a", "b"]).unwrap();
            let session = self.rng.usize(0..5);
            let before = self.world.ledger.len();
            match self.rng.u8(..8) {
                0 => self.world.write_results(machine, session, 50),
                1 | 2 => self.world.write_agent(machine, session, 1),
                3 => drop(self.world.machine(machine).ccsync(["sync"])),
                _ => {
                    let lines = self.rng.usize(1..4);
                    self.world.write(machine, session, lines);
                }
            }
            let lines = before..self.world.ledger.len();
            self.steps.push(format!(
                "{machine} writes the lines {lines:?} into session {session}"
            ));
        }
    }

    fn kill(&mut self, name: &str, command: &'static str) {
        let whole = self
            .whole
            .get(command)
            .copied()
            .unwrap_or(Duration::from_millis(100));
        let wait = whole.mul_f64(self.rng.f64());
        let group = self.rng.bool();
        self.steps.push(format!(
            "{command} on {name} killed after {wait:?}{}",
            if group { " with all" } else { "" }
        ));
        let mut child = start(prepared(&self.world, name, command));
        thread::sleep(wait);
        if group {
            // The process may have finished already; that is one of the moments.
            let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        } else {
            let _ = child.kill();
        }
        child.wait().unwrap();
    }

    fn context(&self) -> String {
        format!("CCSYNC_KILL_SEED={}\n{}", self.seed, self.steps.join("\n"))
    }
}

fn prepared(world: &World, name: &str, command: &str) -> Command {
    let machine = world.machine(name);
    let mut prepared = machine.command([command]);
    if command == "undo" {
        prepared.arg("--yes");
    }
    if command == "init" {
        prepared
            .args(["--yes", "--name", name, "--remote"])
            .arg(world.env.remote_of_pair());
    }
    prepared
}
