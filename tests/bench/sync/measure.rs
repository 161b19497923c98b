//! One command, run to its end: its time and memory.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::memory::Usage;
use super::os;

/// Time limit of one command; only one that hangs exceeds it.
const LIMIT: Duration = Duration::from_secs(600);
/// Time between two looks at the memory: short enough to see a git that lives for some
/// milliseconds, long enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// The cost of a piece of work.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) usage: Usage,
}

impl Cost {
    /// Adds the cost of the work that comes next.
    pub(crate) fn then(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            usage: self.usage.or_more(other.usage),
        }
    }

    /// Returns the median time and the highest memory.
    pub(crate) fn median(costs: &[Self]) -> Self {
        let mut seconds: Vec<f64> = costs.iter().map(|cost| cost.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let usage = costs
            .iter()
            .fold(Usage::default(), |usage, cost| usage.or_more(cost.usage));
        Self {
            seconds: seconds[seconds.len() / 2],
            usage,
        }
    }
}

/// The same work done by plain git and by this program, once or in turns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs(Vec<(Cost, Cost)>);

impl Pairs {
    pub(crate) fn one(plain: Cost, ccsync: Cost) -> Self {
        Self(vec![(plain, ccsync)])
    }

    pub(crate) fn push(&mut self, plain: Cost, ccsync: Cost) {
        self.add((plain, ccsync));
    }

    pub(crate) fn add(&mut self, pair: (Cost, Cost)) {
        self.0.push(pair);
    }

    pub(crate) fn plain(&self) -> Cost {
        Cost::median(&self.0.iter().map(|pair| pair.0).collect::<Vec<_>>())
    }

    pub(crate) fn ccsync(&self) -> Cost {
        Cost::median(&self.0.iter().map(|pair| pair.1).collect::<Vec<_>>())
    }

    /// Returns the median of the ratios of all pairs: a machine that is busy for a while
    /// slows both.
    pub(crate) fn ratio(&self) -> f64 {
        let ratio = |pair: &(Cost, Cost)| pair.1.seconds / pair.0.seconds;
        let mut ratios: Vec<f64> = self.0.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

/// Runs a command with its output going to `log`.
///
/// # Panics
/// If it cannot be started or takes too long.
pub(crate) fn run(command: &mut Command, log: &Path) -> (ExitStatus, Cost) {
    let output = File::create(log).expect("the benchmark's directory can be written");
    let again = output
        .try_clone()
        .expect("an open file can be opened once more");
    command.stdout(output).stderr(again);
    os::in_own_group(command);
    let start = Instant::now();
    let mut child = command
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
    let (status, seconds, usage) = watch(&mut child, start);
    let usage = usage.unwrap_or_else(|| panic!("{command:?} took longer than {LIMIT:?}"));
    (status, Cost { seconds, usage })
}

/// Waits for a process while a thread reads its memory. Returns no memory if the thread
/// had to end the process.
fn watch(child: &mut Child, start: Instant) -> (ExitStatus, f64, Option<Usage>) {
    let pid = child.id();
    let (ended, wait) = channel();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(move || look_until(&wait, pid, start));
        let status = child.wait().expect("a child can be waited for");
        let seconds = start.elapsed().as_secs_f64();
        drop(ended);
        (
            status,
            seconds,
            watcher.join().expect("looking does not fail"),
        )
    })
}

fn look_until(ended: &Receiver<()>, pid: u32, start: Instant) -> Option<Usage> {
    let mut usage = Usage::default();
    while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        usage = usage.or_more(Usage::of_process(pid));
        if start.elapsed() > LIMIT {
            os::kill_group(pid);
            return None;
        }
    }
    Some(usage)
}

/// Measures the time of work in this process.
pub(crate) fn timed(work: impl FnOnce()) -> Cost {
    let start = Instant::now();
    work();
    Cost {
        seconds: start.elapsed().as_secs_f64(),
        usage: Usage::default(),
    }
}
