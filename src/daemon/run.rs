//! The daemon: one process that takes locks, pushes and pulls while clients run.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;

use super::clients::{Clients, LockState};
use super::pace::Pace;
use super::start::{DaemonError, answer_pull, become_daemon, is_asked_to_end, is_asked_to_pull};
use super::status::{DaemonFailure, DaemonStatus, Elsewhere};
use super::{log, spool};
use crate::domain::{SessionId, error::error_chain};
use crate::flows::{
    PullRequest, pull::pull, push::PushReason, push::push_for, turns_elsewhere::turns_elsewhere,
};
use crate::handoff::resume::finish;
use crate::leasing::{LockView, acquire::AcquireOutcome, acquire::acquire_while_open};
use crate::lock::record::RENEWAL;
use crate::report::{Outcome, RemoteState, Report};
use crate::sys::signal::{answer_interruption, interrupted};
use crate::sys::{Clock, Env, clock::Moment};
use crate::workspace::{Context, Selection, SyncError, exclusion::directory_exclude_reason};

/// Time between two looks at the spool and the clients.
const ROUND: Duration = Duration::from_millis(200);

/// Time without a client after which a daemon that was started on demand ends.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// Longest time between two writes of the status file.
const STATUS_AGE: TimeDelta = TimeDelta::minutes(1);

/// Makes the context of one step from the configuration as it is now; the error in one line.
pub type ContextSource<'a> = &'a dyn Fn() -> Result<Context<'a>, String>;

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
    context: ContextSource<'a>,
    options: DaemonOptions,
    clients: Clients,
    pace: Pace,
    /// When the locks were renewed or asked for.
    renewed: Moment,
    /// When there last was something to do.
    busy: Duration,
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
) -> Result<DaemonEnd, DaemonError> {
    let mut end = DaemonEnd::OtherRuns;
    while let Some(lock) = become_daemon(env, clock)? {
        let is_idle = Daemon::new(env, clock, context, options).run();
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
    ) -> Self {
        let machine = context().map(|ctx| ctx.settings.machine.name);
        let now = clock.monotonic();
        let mut pace = Pace::new(options.interval);
        // Turns that earlier clients left are sent, too.
        pace.changed(now);
        Self {
            env,
            clock,
            context,
            options,
            clients: Clients::default(),
            pace,
            renewed: Moment::now(clock),
            busy: now,
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
        while !self.is_asked_to_end() && !self.is_idle() {
            self.work();
            self.clock.sleep(ROUND);
        }
        let is_asked = self.is_asked_to_end();
        self.end();
        !is_asked
    }

    fn is_asked_to_end(&self) -> bool {
        interrupted() || is_asked_to_end(self.env)
    }

    fn is_idle(&mut self) -> bool {
        let now = self.clock.monotonic();
        if !self.clients.is_empty() || self.pace.is_waiting() {
            self.busy = now;
        }
        self.options.on_demand && now.saturating_sub(self.busy) >= MAX_IDLE
    }

    /// One round.
    fn work(&mut self) {
        let events = spool::take(self.env);
        let seen = self
            .clients
            .observe(&self.env.claude_dir, events, self.clock.now());
        let now = self.clock.monotonic();
        let is_asked = is_asked_to_pull(self.env);
        if seen.begun || is_asked {
            self.pace.pull_soon();
        }
        if seen.changed {
            self.pace.changed(now);
        }

        self.take_locks();
        if self.pace.push_is_due(now) {
            self.send();
        } else if self.renewed.elapsed(self.clock) >= RENEWAL {
            self.renew();
        }
        if self.pace.pull_is_due(self.clock.monotonic()) {
            self.fetch();
        }
        if is_asked {
            answer_pull(self.env);
        }
        self.write_status();
    }

    /// Takes the locks of sessions that were opened.
    fn take_locks(&mut self) {
        for (session, directory) in self.clients.without_lock() {
            // After a failure, it is tried again after a pause.
            if !self.pace.may_try(self.clock.monotonic()) {
                return;
            }
            let (lock, elsewhere) = match self.step(|ctx| take_lock(ctx, &session, &directory)) {
                Some(TakenLock::Held) => (LockState::Held(self.clock.now()), None),
                Some(TakenLock::HeldBy(view)) => (LockState::Foreign, elsewhere(&view)),
                Some(TakenLock::Lost) => (LockState::Foreign, None),
                Some(TakenLock::None) => (LockState::None, None),
                None => continue,
            };
            if let Some(open) = self.clients.get_mut(&session) {
                open.lock = lock;
                open.elsewhere = elsewhere;
            }
            // Another machine may have released it with turns that are not here.
            self.pace.pull_soon();
        }
    }

    /// Pushes what is new, and releases the locks of sessions that have ended.
    fn send(&mut self) {
        self.pace.push_begins(self.clock.monotonic());
        let ended = self.clients.ended();
        let done: BTreeSet<SessionId> = ended.iter().cloned().collect();
        let pushed = if done.is_empty() {
            self.push(PushReason::Push)
        } else {
            self.step(|ctx| finish(ctx, &done).map(|finished| finished.report))
        };
        if pushed.is_some_and(|report| self.record(&report)) {
            self.clients.record_pushed();
            if self.clients.record_finished(&ended) {
                // The user may open the session again, to have the other machine's turns.
                self.pace.pull_soon();
            }
        } else {
            // Tried again after a pause.
            self.pace.changed(self.clock.monotonic());
        }
    }

    /// Renews the locks, and asks again for those that others held.
    fn renew(&mut self) {
        self.renewed = Moment::now(self.clock);
        self.clients.want_foreign_locks();
        if self.clients.has_locks()
            && let Some(report) = self.push(PushReason::BackUp)
        {
            self.record(&report);
        }
    }

    /// Pushes everything. A lock that was lost is asked for again, to learn who has it.
    fn push(&mut self, reason: PushReason<'_>) -> Option<Report> {
        let pushed = self.step(|ctx| push_for(ctx, reason, &Selection::default()))?;
        self.clients.want_locks_of(&pushed.lost);
        Some(pushed.report)
    }

    /// Pulls what other machines pushed, and looks who has gone further in an open session.
    fn fetch(&mut self) {
        if !self.options.push_only && !self.clients.are_unknown_to_clients() {
            let pulled = self.step(|ctx| pull(ctx, &PullRequest::default()));
            if pulled.is_none() {
                return;
            }
            self.pace.succeeded();
            // A pull does not solve that the remote refuses something.
            self.status.failure.take_if(|failure| !failure.is_refusal);
        }
        self.pace.pulled(self.clock.monotonic());
        let running: BTreeSet<SessionId> = self.clients.running().into_iter().collect();
        if running.is_empty() {
            return;
        }
        let Some(further) = self.step(|ctx| turns_elsewhere(ctx, &running)) else {
            return;
        };
        for session in &running {
            if let Some(open) = self.clients.get_mut(session) {
                open.record_turns_elsewhere(further.get(session));
            }
        }
    }

    /// Does one step with the present configuration. `None` if it failed.
    fn step<T>(&mut self, step: impl FnOnce(&Context<'_>) -> Result<T, SyncError>) -> Option<T> {
        let result = match (self.context)() {
            Ok(ctx) => step(&ctx).map_err(|e| {
                (
                    error_chain(&e),
                    matches!(&e, SyncError::Remote(e) if e.is_rejection()),
                )
            }),
            Err(message) => Err((message, false)),
        };
        match result {
            Ok(done) => Some(done),
            Err((message, is_refusal)) => {
                self.record_failure(message, is_refusal);
                None
            }
        }
    }

    /// Takes the result of a push into the status. Returns true if the remote has everything.
    fn record(&mut self, report: &Report) -> bool {
        match &report.remote {
            RemoteState::Queued { reason, .. } => {
                self.record_failure(reason.clone(), false);
                return false;
            }
            RemoteState::Refused { reason, .. } => {
                self.record_failure(reason.clone(), true);
                return false;
            }
            RemoteState::UpToDate { .. }
            | RemoteState::SavedOnDisk { .. }
            | RemoteState::NotContacted => {
                self.pace.succeeded();
                let before = self.status.failure.take();
                self.status.failure = report.refusals.first().map(|refusal| DaemonFailure {
                    since: before
                        .filter(|before| before.message == refusal.message)
                        .map_or_else(|| self.clock.now(), |before| before.since),
                    message: refusal.message.clone(),
                    is_refusal: true,
                });
                self.status.synced = Some(self.clock.now());
            }
        }
        let stored = report.sessions.iter().filter(|s| s.outcome.is_stored());
        let stored = stored.count();
        if stored > 0 {
            log::add(self.env, self.clock, &format!("pushed {stored} sessions"));
        }
        self.release_excluded(report);
        true
    }

    /// Releases the locks of open sessions that the settings exclude by now.
    fn release_excluded(&mut self, report: &Report) {
        let sessions = report.sessions.iter();
        let excluded = sessions.filter(|s| matches!(s.outcome, Outcome::Excluded { .. }));
        let held: BTreeSet<SessionId> = excluded
            .map(|report| &report.session)
            .filter(|session| self.clients.holds_lock(session))
            .cloned()
            .collect();
        if held.is_empty() || self.step(|ctx| finish(ctx, &held)).is_none() {
            return;
        }
        for session in &held {
            log::add(
                self.env,
                self.clock,
                &format!("{session} is excluded: lock released"),
            );
            if let Some(open) = self.clients.get_mut(session) {
                open.lock = LockState::None;
            }
        }
    }

    fn record_failure(&mut self, message: String, is_refusal: bool) {
        log::add(self.env, self.clock, &format!("failed: {message}"));
        self.pace.failed(self.clock.monotonic());
        let since = self.status.failure.as_ref().map(|failure| failure.since);
        self.status.failure = Some(DaemonFailure {
            since: since.unwrap_or_else(|| self.clock.now()),
            message,
            is_refusal,
        });
    }

    fn write_status(&mut self) {
        let now = self.clock.now();
        self.status.sessions = self.clients.status();
        let is_old = (now - self.status.updated).abs() >= STATUS_AGE;
        if self.written.as_ref() != Some(&self.status) || is_old {
            self.status.updated = now;
            // After a failure, the next round tries again.
            let is_written = self.status.write(self.env).is_ok();
            self.written = is_written.then(|| self.status.clone());
        }
    }

    /// Sends what is queued, and releases all locks: no one renews them from now on.
    fn end(&mut self) {
        answer_interruption();
        let open: BTreeSet<SessionId> = self.clients.all().into_iter().collect();
        if self.clients.has_locks() || self.pace.is_waiting() {
            self.step(|ctx| finish(ctx, &open).map(drop));
        }
        self.clients = Clients::default();
        self.write_status();
        log::add(self.env, self.clock, "ended");
    }
}

enum TakenLock {
    Held,
    HeldBy(Box<LockView>),
    /// Another machine had it, and the turns here are a fork.
    Lost,
    /// The session stays here, or the remote allows no locks.
    None,
}

fn take_lock(
    ctx: &Context<'_>,
    session: &SessionId,
    directory: &Path,
) -> Result<TakenLock, SyncError> {
    if directory_exclude_reason(ctx, directory).is_some() {
        return Ok(TakenLock::None);
    }
    Ok(match acquire_while_open(ctx, session)? {
        Some(AcquireOutcome::Acquired(_)) => TakenLock::Held,
        Some(AcquireOutcome::HeldBy(view)) => TakenLock::HeldBy(Box::new(view)),
        Some(AcquireOutcome::NoLocks { .. }) => TakenLock::None,
        None => TakenLock::Lost,
    })
}

/// Returns who continues the session, unless it is another process of this machine.
fn elsewhere(view: &LockView) -> Option<Elsewhere> {
    let record = view.record().filter(|_| !view.is_own())?;
    Some(Elsewhere {
        machine: record.host.clone(),
        since: Some(record.acquired),
        turns: 0,
        holds_lock: true,
    })
}
