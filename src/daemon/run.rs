//! The daemon: one process that takes locks, pushes and pulls while clients run.

use std::time::Duration;

use chrono::TimeDelta;

use super::start::{
    DaemonError, answer_pull, ask_to_end, become_daemon, is_asked_to_end, is_asked_to_pull,
};
use super::status::{DaemonFailure, DaemonStatus};
use super::watch::FileWatch;
use super::{log, spool};
use crate::flows::{PullRequest, pull::pull, push::Pushed, turns_elsewhere::turns_elsewhere};
use crate::keeper::keep::{ContextSource, Keeper, StepFailure};
use crate::keeper::open_sessions::OpenSessions;
use crate::report::{Outcome, RemoteState};
use crate::session::live::live_sessions;
use crate::sys::signal::{answer_interruption, interrupted};
use crate::sys::{Clock, Env};

/// Longest time between two rounds if not all files are watched, and if a client runs: no file
/// tells that it has died.
const POLL: Duration = Duration::from_secs(1);

/// Longest time between two rounds if no client runs.
const IDLE_POLL: Duration = Duration::from_secs(10);

/// Time without a client after which a daemon that was started on demand ends.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// Longest time between two writes of the status file.
const STATUS_AGE: TimeDelta = TimeDelta::minutes(1);

/// How the daemon works.
#[derive(Debug, Clone, Copy)]
pub struct DaemonOptions {
    /// Time between two pulls.
    pub interval: Duration,
    /// Never pull.
    pub push_only: bool,
    /// End when no client runs and nothing is queued.
    pub on_demand: bool,
}

/// Why the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonEnd {
    /// Another daemon runs.
    OtherRuns,
    /// It was asked to end, or has nothing left to do.
    Done,
}

struct Daemon<'a> {
    env: &'a Env,
    clock: &'a dyn Clock,
    options: DaemonOptions,
    keeper: Keeper<'a>,
    watch: FileWatch,
    /// When there last was something to do.
    busy: Duration,
    /// A step has failed since this process was asked to end: another one would fail, too.
    has_given_up: bool,
    status: DaemonStatus,
    /// The status as it is in its file.
    written: Option<DaemonStatus>,
}

/// Works until it is asked to end, or until nothing is left to do if it was started on demand.
///
/// # Errors
/// [`DaemonError`] if it cannot find out whether another daemon runs. A failed step is logged, in
/// the status file, and tried again.
pub fn run<'a>(
    env: &'a Env,
    clock: &'a dyn Clock,
    context: ContextSource<'a>,
    options: DaemonOptions,
    mut watch: FileWatch,
) -> Result<DaemonEnd, DaemonError> {
    let mut end = DaemonEnd::OtherRuns;
    while let Some(lock) = become_daemon(env, clock)? {
        let mut daemon = Daemon::new(env, clock, context, options, watch);
        let is_idle = daemon.run();
        watch = daemon.watch;
        drop(lock);
        end = DaemonEnd::Done;
        // An event that came before the lock was free has started no other daemon.
        if !is_idle || !is_anything_left(env) {
            break;
        }
    }
    Ok(end)
}

/// Returns true if an event or a request waits for a daemon.
fn is_anything_left(env: &Env) -> bool {
    !spool::is_empty(env) || is_asked_to_pull(env)
}

impl<'a> Daemon<'a> {
    fn new(
        env: &'a Env,
        clock: &'a dyn Clock,
        context: ContextSource<'a>,
        options: DaemonOptions,
        watch: FileWatch,
    ) -> Self {
        let machine = context().map(|ctx| ctx.settings.machine.name);
        let now = clock.monotonic();
        let mut keeper = Keeper::new(
            env,
            clock,
            context,
            OpenSessions::default(),
            options.interval,
        );
        // Turns that earlier clients left are sent, too.
        keeper.pace.changed(now);
        Self {
            env,
            clock,
            options,
            keeper,
            watch,
            busy: now,
            has_given_up: false,
            status: DaemonStatus {
                // It may last since before this process.
                failure: DaemonStatus::read(env).and_then(|status| status.failure),
                ..DaemonStatus::new(machine.unwrap_or_default(), clock.now())
            },
            written: None,
        }
    }

    /// Returns true if it ended because nothing was left to do.
    fn run(&mut self) -> bool {
        log::add(self.env, self.clock, "started");
        // `ccsync resume` knows by it whose locks it waits for.
        self.write_status();
        while !self.is_asked_to_end() && !self.is_idle() {
            self.work();
            self.rest();
        }
        let is_asked = self.is_asked_to_end();
        self.end();
        !is_asked
    }

    /// Waits until something has changed or is due.
    fn rest(&self) {
        let is_calm = self.watch.is_complete && self.keeper.sessions.is_empty();
        let poll = match is_calm && !self.options.on_demand {
            true => IDLE_POLL,
            false => POLL,
        };
        let now = || self.clock.monotonic();
        let end = self.keeper.pace.next_due().min(now() + poll);
        loop {
            let left = end.saturating_sub(now());
            if self.watch.wait(left, self.clock) || now() >= end || interrupted() {
                break;
            }
        }
    }

    fn is_asked_to_end(&self) -> bool {
        interrupted() || is_asked_to_end(self.env)
    }

    fn is_idle(&mut self) -> bool {
        let now = self.clock.monotonic();
        if !self.keeper.sessions.is_empty() || self.keeper.pace.is_waiting() {
            self.busy = now;
        }
        self.options.on_demand && now.saturating_sub(self.busy) >= MAX_IDLE
    }

    /// One round.
    fn work(&mut self) {
        let is_asked = is_asked_to_pull(self.env);
        if is_asked {
            self.keeper.pace.pull_soon();
        }
        let changed = self.watch.take_changed(self.env, self.clock.monotonic());
        let live = live_sessions(&self.env.claude_dir);
        self.keeper.observe(&live, spool::take(self.env));
        self.keeper.record_changed(changed);

        for done in self.keeper.work() {
            self.record(done);
        }
        if self.keeper.pace.pull_is_due(self.clock.monotonic())
            && let Err(failure) = self.fetch()
        {
            self.record_failure(failure);
        }
        if is_asked {
            answer_pull(self.env);
        }
        self.write_status();
    }

    /// Pulls what other machines pushed, and looks who has gone further in an open session.
    fn fetch(&mut self) -> Result<(), StepFailure> {
        if !self.options.push_only && !self.keeper.sessions.are_unknown_to_clients() {
            self.keeper.step(|ctx| pull(ctx, &PullRequest::default()))?;
            self.keeper.pace.succeeded();
            // A pull does not solve that the remote refuses something.
            self.status.failure.take_if(|failure| !failure.is_refusal);
        }
        self.keeper.pace.pulled(self.clock.monotonic());
        let running = self.keeper.sessions.running();
        if !running.is_empty() {
            let further = self.keeper.step(|ctx| turns_elsewhere(ctx, &running))?;
            self.keeper.sessions.record_turns_elsewhere(&further);
        }
        Ok(())
    }

    /// Takes a push into the status.
    fn record(&mut self, done: Result<Pushed, StepFailure>) {
        let Pushed { report, lost } = match done {
            Ok(pushed) => pushed,
            Err(failure) => return self.record_failure(failure),
        };
        // To learn who has them.
        self.keeper.sessions.want_locks_of(&lost);
        if let Some(failure) = StepFailure::of_push(&report) {
            return self.record_failure(failure);
        }
        let before = self.status.failure.take();
        self.status.failure = match report.refusals.first() {
            Some(refusal) => Some(DaemonFailure {
                since: before
                    .filter(|before| before.message == refusal.message)
                    .map_or_else(|| self.clock.now(), |before| before.since),
                message: refusal.message.clone(),
                is_refusal: true,
            }),
            // Nothing was to be sent: the remote may still be out of reach.
            None if report.remote == RemoteState::NotContacted => {
                before.filter(|failure| !failure.is_refusal)
            }
            None => None,
        };
        self.status.synced = Some(self.clock.now());
        let stored = report.sessions.iter().filter(|s| s.outcome.is_stored());
        let stored = stored.count();
        if stored > 0 {
            log::add(self.env, self.clock, &format!("pushed {stored} sessions"));
        }
        let sessions = report.sessions.into_iter();
        let excluded = sessions.filter(|s| matches!(s.outcome, Outcome::Excluded { .. }));
        match self.keeper.release(excluded.map(|s| s.session).collect()) {
            Ok(sessions) => sessions.iter().for_each(|session| {
                let message = format!("{session} is excluded: lock released");
                log::add(self.env, self.clock, &message);
            }),
            Err(failure) => self.record_failure(failure),
        }
    }

    fn record_failure(&mut self, failure: StepFailure) {
        self.has_given_up |= is_asked_to_end(self.env);
        let message = failure.message;
        log::add(self.env, self.clock, &format!("failed: {message}"));
        let since = self.status.failure.as_ref().map(|failure| failure.since);
        self.status.failure = Some(DaemonFailure {
            since: since.unwrap_or_else(|| self.clock.now()),
            message,
            is_refusal: failure.is_refusal,
        });
    }

    fn write_status(&mut self) {
        let now = self.clock.now();
        self.status.sessions = self.keeper.sessions.status();
        let is_old = (now - self.status.updated).abs() >= STATUS_AGE;
        if self.written.as_ref() != Some(&self.status) || is_old {
            self.status.updated = now;
            // After a failure, the next round tries again.
            let is_written = self.status.write(self.env).is_ok();
            self.written = is_written.then(|| self.status.clone());
        }
    }

    /// Sends the rest and releases the locks, if the remote answers soon. What is left is sent by
    /// the next daemon, and locks expire.
    fn end(&mut self) {
        if interrupted() {
            // If it cannot be written, a silent remote takes longer.
            let _ = ask_to_end(self.env);
            answer_interruption();
        }
        if !self.has_given_up
            && let Some(done) = self.keeper.end()
        {
            self.record(done);
        }
        self.write_status();
        log::add(self.env, self.clock, "ended");
    }
}
