//! Months of work on several machines in fast motion: the size of the store and the time
//! of pushes over them.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::archive::{Amount, Author};
use super::machine::{Gc, Machine};
use super::measure::Cost;
use super::place::{Place, size_of};
use super::table::{megabytes, seconds};
use super::transport::Transport;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Year {
    pub(crate) machines: u64,
    pub(crate) days: usize,
    /// By each machine, each day.
    pub(crate) pushes: usize,
}

/// A machine and its author.
struct Worker {
    machine: Machine,
    author: Author,
    choices: fastrand::Rng,
    /// Sessions that began here; no other machine continues them.
    sessions: Vec<PathBuf>,
}

impl Year {
    pub(crate) fn measure(self, place: &Place, transport: &Rc<Transport>) {
        let scene = place.scene("year", transport);
        let machine = |number: u64| scene.machine(&format!("machine-{number}"), Gc::Default);
        let mut workers: Vec<Worker> = (0..self.machines)
            .map(|number| Worker::new(machine(number), number))
            .collect();
        let remote = scene.remote(&workers[0].machine, "remote.git");
        for worker in &workers {
            worker.machine.init(&remote);
        }
        let store = workers[0].machine.store();
        println!(
            "\n{} machines, {} pushes a day each; sizes are those of the first machine\n",
            self.machines, self.pushes
        );
        println!(
            "| day | store `.git` MB | remote MB | store: loose, packs | remote: loose, packs | push s, median (most) | pull s, median |"
        );
        println!("|---|---|---|---|---|---|---|");
        let (mut pushes, mut pulls) = (Vec::new(), Vec::new());
        for day in 1..=self.days {
            pulls.extend(workers.iter().map(|worker| worker.machine.pull()));
            workers.iter_mut().for_each(|worker| worker.begin());
            for _ in 0..self.pushes {
                pushes.extend(workers.iter_mut().map(Worker::work));
            }
            if day % self.days.div_ceil(11) == 0 || day == self.days {
                let most = pushes
                    .iter()
                    .map(|cost: &Cost| cost.seconds)
                    .fold(0.0, f64::max);
                let (push, pull) = (Cost::median(&pushes).seconds, Cost::median(&pulls).seconds);
                let (sizes, counts) = (
                    (size_of(&store.join(".git")), size_of(&remote.path)),
                    workers[0].counts(&store, &remote.path),
                );
                println!(
                    "| {day} | {} | {} | {} | {} | {} ({}) | {} |",
                    megabytes(sizes.0),
                    megabytes(sizes.1),
                    counts.0,
                    counts.1,
                    seconds(push),
                    seconds(most),
                    seconds(pull)
                );
                pushes.clear();
                pulls.clear();
            }
        }
        println!();
    }
}

impl Worker {
    fn new(machine: Machine, seed: u64) -> Self {
        let author = Author::new(&machine.home);
        Self {
            machine,
            author,
            choices: fastrand::Rng::with_seed(seed),
            sessions: Vec::new(),
        }
    }

    fn begin(&mut self) {
        self.sessions
            .push(self.author.begin(&self.machine.projects(), 20_000));
    }

    /// Continues one to three of the latest sessions, and pushes.
    fn work(&mut self) -> Cost {
        let count = self.choices.usize(1..4);
        for transcript in self.sessions.iter().rev().take(count) {
            self.author.append(transcript, Amount::Records(20));
        }
        self.machine.ccsync(["push"])
    }

    /// Returns the numbers of loose objects and packs in the store and in the remote.
    fn counts(&self, store: &Path, remote: &Path) -> (String, String) {
        let count = |repository: &Path| {
            let said = self.machine.git_says(repository, &["count-objects", "-v"]);
            let field = |name: &str| {
                said.lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or("?")
                    .to_owned()
            };
            format!("{}, {}", field("count: "), field("packs: "))
        };
        (count(store), count(remote))
    }
}
