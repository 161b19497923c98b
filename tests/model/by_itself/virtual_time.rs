//! Time for several machines in one process: it passes only when the test lets it, and of all
//! threads with a daemon one runs at a time. So a story is repeated exactly.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use ccsync::sys::clock::{Clock, SystemClock};
use chrono::{DateTime, TimeDelta, Utc};

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Helper) };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The thread of the test.
    Test,
    /// The main thread of the daemon of this machine.
    Daemon(usize),
    /// A thread that one of the others has started.
    Helper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Daemon {
    None,
    Runs,
    SleepsUntil(Duration),
}

#[derive(Debug)]
struct Machine {
    daemon: Daemon,
    /// Its daemon dies after so many readings of the clock.
    dies_after: Option<u32>,
    /// By how much its wall clock is wrong.
    wrong_by: TimeDelta,
}

#[derive(Debug)]
struct State {
    now: Duration,
    machines: Vec<Machine>,
    /// A daemon has panicked.
    has_failed: bool,
}

/// The time of all machines.
#[derive(Debug)]
pub(super) struct VirtualTime {
    began: DateTime<Utc>,
    state: Mutex<State>,
    changed: Condvar,
}

/// The clocks of one machine.
#[derive(Debug, Clone)]
pub(super) struct MachineClock {
    time: Arc<VirtualTime>,
    machine: usize,
}

/// The panic of a daemon that is killed.
struct Killed;

impl VirtualTime {
    /// Returns the time of `machines` machines, for the calling thread to move.
    pub(super) fn new(machines: usize) -> Arc<Self> {
        ROLE.set(Role::Test);
        let machine = |_| Machine {
            daemon: Daemon::None,
            dies_after: None,
            wrong_by: TimeDelta::zero(),
        };
        Arc::new(Self {
            began: SystemClock::default().now(),
            state: Mutex::new(State {
                now: Duration::ZERO,
                machines: (0..machines).map(machine).collect(),
                has_failed: false,
            }),
            changed: Condvar::new(),
        })
    }

    pub(super) fn clock(self: &Arc<Self>, machine: usize) -> MachineClock {
        MachineClock {
            time: Arc::clone(self),
            machine,
        }
    }

    /// Sets the wall clock of a machine forward or back.
    pub(super) fn jump(&self, machine: usize, by: TimeDelta) {
        self.state().machines[machine].wrong_by += by;
    }

    /// Returns the time since the beginning.
    pub(super) fn now(&self) -> Duration {
        self.state().now
    }

    pub(super) fn runs(&self, machine: usize) -> bool {
        self.state().machines[machine].daemon != Daemon::None
    }

    /// Starts a daemon, which gets its first time when the test lets time pass.
    pub(super) fn start(self: &Arc<Self>, machine: usize, daemon: impl FnOnce() + Send + 'static) {
        {
            let mut state = self.state();
            let now = state.now;
            let this = &mut state.machines[machine];
            assert_eq!(this.daemon, Daemon::None, "it has a daemon");
            this.daemon = Daemon::SleepsUntil(now);
            this.dies_after = None;
        }
        let time = Arc::clone(self);
        thread::spawn(move || {
            ROLE.set(Role::Daemon(machine));
            let run = || {
                time.wait_for_turn(machine);
                daemon();
            };
            let ended = catch_unwind(AssertUnwindSafe(run));
            let mut state = time.state();
            state.machines[machine].daemon = Daemon::None;
            state.has_failed |= ended.is_err_and(|panic| !panic.is::<Killed>());
            time.changed.notify_all();
        });
    }

    /// Lets a daemon die after so many readings of the clock. Returns false if it ended
    /// before.
    pub(super) fn kill(&self, machine: usize, after: u32) -> bool {
        if !self.runs(machine) {
            return false;
        }
        self.state().machines[machine].dies_after = Some(after);
        while self.runs(machine) {
            self.pass(Duration::from_millis(100));
        }
        self.state().machines[machine].dies_after.take() == Some(0)
    }

    /// Lets time pass. Daemons run when their time has come.
    pub(super) fn pass(&self, time: Duration) {
        let mut state = self.state();
        let end = state.now + time;
        loop {
            let due = |machine: &Machine| match machine.daemon {
                Daemon::SleepsUntil(time) if time <= end => Some(time),
                _ => None,
            };
            let next = (0..state.machines.len())
                .filter_map(|n| Some((due(&state.machines[n])?, n)))
                .min();
            let Some((time, machine)) = next else { break };
            state.now = state.now.max(time);
            state.machines[machine].daemon = Daemon::Runs;
            self.changed.notify_all();
            let runs = |state: &mut State| state.machines[machine].daemon == Daemon::Runs;
            state = self.changed.wait_while(state, runs).unwrap();
            assert!(
                !state.has_failed,
                "the daemon of machine {machine} panicked"
            );
        }
        state.now = end;
    }

    /// Lets all daemons die, without waiting for them.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        for machine in &mut state.machines {
            machine.dies_after = Some(0);
            machine.daemon = Daemon::Runs;
        }
        self.changed.notify_all();
    }

    fn wait_for_turn(&self, machine: usize) {
        let sleeps = |state: &mut State| state.machines[machine].daemon != Daemon::Runs;
        drop(self.changed.wait_while(self.state(), sleeps).unwrap());
    }

    /// Kills the calling daemon if its end has come.
    fn count(&self) {
        let Role::Daemon(machine) = ROLE.get() else {
            return;
        };
        let mut state = self.state();
        match &mut state.machines[machine].dies_after {
            // Guards that look at the clock while it dies.
            _ if thread::panicking() => {}
            None => {}
            Some(0) => {
                drop(state);
                resume_unwind(Box::new(Killed));
            }
            Some(left) => *left -= 1,
        }
    }

    fn sleep(&self, time: Duration) {
        self.count();
        match ROLE.get() {
            Role::Test => self.pass(time),
            Role::Daemon(machine) => {
                let mut state = self.state();
                let end = state.now + time;
                state.machines[machine].daemon = Daemon::SleepsUntil(end);
                drop(state);
                self.changed.notify_all();
                self.wait_for_turn(machine);
            }
            Role::Helper => thread::yield_now(),
        }
        self.count();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for MachineClock {
    fn now(&self) -> DateTime<Utc> {
        self.time.count();
        let state = self.time.state();
        let passed = TimeDelta::from_std(state.now).unwrap();
        self.time.began + passed + state.machines[self.machine].wrong_by
    }

    fn monotonic(&self) -> Duration {
        self.time.count();
        self.time.state().now
    }

    fn sleep(&self, time: Duration) {
        self.time.sleep(time);
    }
}
