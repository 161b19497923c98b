//! The keeper: decides in each round what to do for the open sessions, and does it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::client_event::ClientEvent;
use super::open_sessions::{LockState, OpenSessions};
use super::pace::Pace;
use super::send::{back_up, finish, push};
use super::session_status::Elsewhere;
use crate::domain::{SessionId, error::error_chain};
use crate::flows::push::Pushed;
use crate::leasing::{LockView, acquire::AcquireOutcome, acquire::acquire_while_open};
use crate::lock::{lease::is_held_by_other_process, record::RENEWAL};
use crate::report::{RemoteState, Report};
use crate::session::live::ClientProcess;
use crate::sys::{Clock, Env, clock::Moment};
use crate::workspace::{
    Context, SyncError, exclusion::directory_exclude_reason, paths::leases_path,
};

/// Makes the context of one step from the configuration as it is now; the error in one line.
pub type ContextSource<'a> = &'a dyn Fn() -> Result<Context<'a>, String>;

/// Keeps the open sessions of one or of all clients.
pub struct Keeper<'a> {
    env: &'a Env,
    clock: &'a dyn Clock,
    context: ContextSource<'a>,
    /// The sessions.
    pub sessions: OpenSessions,
    /// When it pushes and pulls.
    pub pace: Pace,
    /// When the locks were renewed or asked for.
    renewed: Moment,
}

/// Why a step of a keeper failed. It is tried again after a pause.
#[derive(Debug)]
pub struct StepFailure {
    /// Its message in one line. Untrusted text.
    pub message: String,
    /// The remote refuses something: waiting does not help.
    pub is_refusal: bool,
}

impl<'a> Keeper<'a> {
    /// Creates a keeper of `sessions`; its pulls are `interval` apart.
    pub fn new(
        env: &'a Env,
        clock: &'a dyn Clock,
        context: ContextSource<'a>,
        sessions: OpenSessions,
        interval: Duration,
    ) -> Self {
        Self {
            env,
            clock,
            context,
            sessions,
            pace: Pace::new(interval),
            renewed: Moment::now(clock),
        }
    }

    /// Takes in the events of hooks, and the sessions of running clients.
    pub fn observe(&mut self, live: &BTreeMap<SessionId, ClientProcess>, events: Vec<ClientEvent>) {
        let (now, leases) = (self.clock.now(), leases_path(self.env));
        let is_kept = |session: &SessionId| is_held_by_other_process(&leases, session, now);
        let seen = self
            .sessions
            .observe(&self.env.claude_dir, live, events, now, is_kept);
        if seen.begun {
            self.pace.pull_soon();
        }
        if seen.changed {
            self.pace.changed(self.clock.monotonic());
        }
    }

    /// Takes in changed transcripts; `None` if it is unknown which changed. A session that is not
    /// known to be open belongs to a client that tells nothing: it is backed up without a lock.
    pub fn record_changed(&mut self, sessions: Option<BTreeSet<SessionId>>) {
        let (now, leases) = (self.clock.now(), leases_path(self.env));
        let is_known = |session: &SessionId| {
            self.sessions.contains(session) || is_held_by_other_process(&leases, session, now)
        };
        if sessions.is_none_or(|sessions| !sessions.iter().all(is_known)) {
            self.pace.changed(self.clock.monotonic());
        }
    }

    /// One round: takes locks, and pushes or renews if it is time. Returns the pushes and failures.
    pub fn work(&mut self) -> Vec<Result<Pushed, StepFailure>> {
        let mut done = Vec::new();
        let is_renewal = self.renewed.elapsed(self.clock) >= RENEWAL;
        if is_renewal {
            if self.renewed.has_slept_since(self.clock) {
                self.pace.wake();
            }
            self.renewed = Moment::now(self.clock);
            self.sessions.want_foreign_locks();
        }
        done.extend(self.take_locks().err().map(Err));
        if is_renewal && self.sessions.has_locks() {
            done.push(self.send(back_up));
        } else if self.pace.push_is_due(self.clock.monotonic()) {
            done.push(self.send(push));
        }
        done
    }

    /// Releases the locks that this keeper has of these sessions, which stay open without one.
    /// Returns them.
    ///
    /// # Errors
    /// [`StepFailure`]
    pub fn release(
        &mut self,
        mut sessions: BTreeSet<SessionId>,
    ) -> Result<BTreeSet<SessionId>, StepFailure> {
        sessions.retain(|session| self.sessions.holds_lock(session));
        if !sessions.is_empty() {
            self.push(|ctx| finish(ctx, &sessions))?;
            self.sessions.go_without_lock(&sessions);
        }
        Ok(sessions)
    }

    /// Sends what is queued, and releases all locks: no one renews them from now on.
    pub fn end(&mut self) -> Option<Result<Pushed, StepFailure>> {
        let is_anything_left = self.sessions.has_locks() || self.pace.is_waiting();
        let all = std::mem::take(&mut self.sessions).all();
        is_anything_left.then(|| self.push(|ctx| finish(ctx, &all)))
    }

    /// Does one step with the present configuration.
    ///
    /// # Errors
    /// [`StepFailure`]; then the next attempts wait.
    pub fn step<T>(
        &mut self,
        step: impl FnOnce(&Context<'_>) -> Result<T, SyncError>,
    ) -> Result<T, StepFailure> {
        let context = (self.context)().map_err(|message| StepFailure {
            message,
            is_refusal: false,
        });
        let done = context.and_then(|ctx| step(&ctx).map_err(|e| StepFailure::of_error(&e)));
        done.inspect_err(|_| self.pace.failed(self.clock.monotonic()))
    }

    /// Takes the locks of sessions that were opened. After a failure, it is tried again after a
    /// pause.
    fn take_locks(&mut self) -> Result<(), StepFailure> {
        for (session, directory) in self.sessions.without_lock() {
            if !self.pace.may_try(self.clock.monotonic()) {
                break;
            }
            let (lock, elsewhere) = self.step(|ctx| take_lock(ctx, &session, &directory))?;
            if let Some(open) = self.sessions.get_mut(&session) {
                open.lock = lock;
                open.elsewhere = elsewhere;
            }
            // Another machine may have released it with turns that are not here.
            self.pace.pull_soon();
        }
        Ok(())
    }

    /// Pushes what is new, or releases the locks of sessions that have ended with it.
    fn send(
        &mut self,
        push: impl FnOnce(&Context<'_>) -> Result<Pushed, SyncError>,
    ) -> Result<Pushed, StepFailure> {
        self.pace.push_begins(self.clock.monotonic());
        let ended = self.sessions.ended();
        let pushed = match ended.is_empty() {
            true => self.push(push),
            false => self.push(|ctx| finish(ctx, &ended)),
        };
        let is_sent = |pushed: &Pushed| StepFailure::of_push(&pushed.report).is_none();
        if pushed.as_ref().is_ok_and(is_sent) {
            self.sessions.record_pushed();
            if self.sessions.record_finished(&ended) {
                // The user may open the session again, to have the other machine's turns.
                self.pace.pull_soon();
            }
        } else {
            // Tried again after a pause.
            self.pace.changed(self.clock.monotonic());
        }
        pushed
    }

    fn push(
        &mut self,
        push: impl FnOnce(&Context<'_>) -> Result<Pushed, SyncError>,
    ) -> Result<Pushed, StepFailure> {
        let pushed = self.step(push)?;
        match StepFailure::of_push(&pushed.report) {
            Some(_) => self.pace.failed(self.clock.monotonic()),
            // Nothing was to be sent: the remote may still be out of reach.
            None if pushed.report.remote == RemoteState::NotContacted => {}
            None => self.pace.succeeded(),
        }
        Ok(pushed)
    }
}

impl StepFailure {
    fn of_error(e: &SyncError) -> Self {
        Self {
            message: error_chain(e),
            is_refusal: matches!(e, SyncError::Remote(e) if e.is_rejection()),
        }
    }

    /// Returns the reason why the remote does not have everything after a push.
    pub fn of_push(report: &Report) -> Option<Self> {
        let (message, is_refusal) = match &report.remote {
            RemoteState::Queued { reason, .. } => (reason.clone(), false),
            RemoteState::Refused { reason, .. } => (reason.clone(), true),
            RemoteState::UpToDate { .. }
            | RemoteState::SavedOnDisk { .. }
            | RemoteState::NotContacted => return None,
        };
        Some(Self {
            message,
            is_refusal,
        })
    }
}

/// Takes the lock of a session. Returns who else has it.
fn take_lock(
    ctx: &Context<'_>,
    session: &SessionId,
    directory: &Path,
) -> Result<(LockState, Option<Elsewhere>), SyncError> {
    if directory_exclude_reason(ctx, directory).is_some() {
        return Ok((LockState::None, None));
    }
    Ok(match acquire_while_open(ctx, session)? {
        Some(AcquireOutcome::Acquired(_)) => (LockState::Held(ctx.clock.now()), None),
        Some(AcquireOutcome::HeldBy(view)) => (LockState::Foreign, elsewhere(&view)),
        Some(AcquireOutcome::NoLocks { .. }) => (LockState::None, None),
        // Another machine had it, and the turns here are a fork.
        None => (LockState::Foreign, None),
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
