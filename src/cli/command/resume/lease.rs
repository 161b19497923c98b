//! Takes the lock of a session, and asks the user about it if necessary.

use std::time::Duration;

use super::error::{ResumeError, WITHOUT_LOCK};
use crate::cli::{app::App, ask, error::CliError, error::CommandError};
use crate::daemon::status::DaemonStatus;
use crate::domain::SessionId;
use crate::leasing::{LockView, acquire::AcquireOutcome, trial::try_remote_once};
use crate::lock::{LockStatus, TakeOver};
use crate::session::{continued::running_as, live::live_sessions};
use crate::sys::Clock;
use crate::ui::{format::age, sanitize};

/// Time that the daemon gets to release the lock of a session that has ended.
const DAEMON_WAIT: Duration = Duration::from_secs(20);

/// Time between two attempts.
const DAEMON_POLL: Duration = Duration::from_millis(300);

/// Continues without a lock, because the remote cannot be reached, if the user agrees.
pub(super) fn confirm_no_lock(reason: &str, offline: bool, app: &mut App) -> Result<(), CliError> {
    if !offline && !app.is_interactive() {
        return Err(ResumeError::Offline(reason.to_owned()).into());
    }
    app.out.note(&sanitize::one_line(reason));
    app.out.note(WITHOUT_LOCK);
    if offline || ask::confirm("Continue without a lock?")? {
        return Ok(());
    }
    Err(CommandError::Declined("Claude Code was not started".to_owned()).into())
}

/// Takes the lock of a new session. If the remote cannot be reached, continues without a lock if
/// the user agrees. Returns true if there is a lock.
pub(in crate::cli) fn take_if_reachable(
    session: &SessionId,
    offline: bool,
    app: &mut App,
) -> Result<bool, CliError> {
    if offline {
        app.out.note(WITHOUT_LOCK);
        return Ok(false);
    }
    match acquire_lock(session, false, app) {
        Err(e) if e.is_remote_trouble() => {
            confirm_no_lock(&e.message(), offline, app).map(|()| false)
        }
        taken => taken,
    }
}

/// Refuses a session that is open in Claude Code on this machine, even if the lock is
/// free: two processes would write into one file.
pub(super) fn refuse_if_open_here(session: &SessionId, app: &App) -> Result<(), CliError> {
    let live = live_sessions(&app.env.claude_dir);
    match running_as(&app.env.claude_dir, session, &live) {
        Some((session, client)) => Err(ResumeError::OpenHere {
            session: session.clone(),
            client,
        }
        .into()),
        None => Ok(()),
    }
}

/// Takes the lock of a session. Asks if another machine holds it. Returns false if the remote
/// allows no locks, after saying so.
pub(super) fn acquire_lock(
    session: &SessionId,
    take_over: bool,
    app: &mut App,
) -> Result<bool, CliError> {
    for consequence in try_remote_once(&app.context()?)? {
        app.out.note(&sanitize::one_line(&consequence));
    }
    let acquired = acquire_when_released(session, app)?;
    let held = match acquired {
        AcquireOutcome::Acquired(_) => return Ok(true),
        AcquireOutcome::NoLocks { reason } => return Ok(go_without(&reason, app)),
        AcquireOutcome::HeldBy(held) => held,
    };
    if let Some(pid) = held.running.filter(|_| held.is_own()) {
        return Err(ResumeError::HeldHere {
            session: session.clone(),
            pid,
        }
        .into());
    }
    if !take_over {
        confirm_take_over(session, &held, app)?;
    }
    match crate::leasing::acquire::take_over(&app.context()?, &held)? {
        AcquireOutcome::Acquired(_) => Ok(true),
        AcquireOutcome::NoLocks { reason } => Ok(go_without(&reason, app)),
        AcquireOutcome::HeldBy(held) => Err(held_by(session, &held, app)),
    }
}

/// Acquires the lock; waits for the daemon, which may still hold that of a session that has just
/// ended.
fn acquire_when_released(session: &SessionId, app: &App) -> Result<AcquireOutcome, CliError> {
    let ctx = app.context()?;
    let begin = app.clock.monotonic();
    loop {
        let acquired = crate::leasing::acquire::acquire(&ctx, session, TakeOver::Expired)?;
        let is_over = app.clock.monotonic().saturating_sub(begin) >= DAEMON_WAIT;
        match &acquired {
            AcquireOutcome::HeldBy(held) if !is_over && is_of_daemon(held, app) => {
                app.clock.sleep(DAEMON_POLL);
            }
            _ => return Ok(acquired),
        }
    }
}

fn is_of_daemon(held: &LockView, app: &App) -> bool {
    let daemon = DaemonStatus::read(&app.env).map(|status| status.pid);
    held.is_own() && held.running.is_some() && held.running == daemon
}

/// Says that the rules of the remote allow no lock. Returns false: the session has no lock.
fn go_without(reason: &str, app: &mut App) -> bool {
    let reason = sanitize::one_line(reason);
    app.out
        .note(&format!("continuing without a lock: {reason}"));
    app.out.note(WITHOUT_LOCK);
    false
}

/// Asks whether to take the lock over. Without a terminal, refuses to.
fn confirm_take_over(session: &SessionId, held: &LockView, app: &mut App) -> Result<(), CliError> {
    if !app.is_interactive() {
        return Err(held_by(session, held, app));
    }
    let holder = holder(held, app);
    app.out.note(&format!("this session is open on {holder}"));
    app.out
        .note("if you take it over, what that machine adds from now on becomes a fork");
    if ask::confirm("Take it over?")? {
        return Ok(());
    }
    Err(CommandError::Declined(format!("the session stays with {holder}")).into())
}

fn held_by(session: &SessionId, held: &LockView, app: &App) -> CliError {
    ResumeError::HeldBy {
        session: session.clone(),
        by: holder(held, app),
    }
    .into()
}

/// Returns the name of the holder, and when it last renewed the lock.
fn holder(lock: &LockView, app: &App) -> String {
    let now = app.clock.now();
    match (lock.record(), lock.status()) {
        (Some(record), Some(LockStatus::Held { .. })) => {
            format!(
                "{} (seen {})",
                sanitize::one_line(&record.host),
                age(record.renewed, now)
            )
        }
        (Some(record), _) => sanitize::one_line(&record.host).into_owned(),
        (None, _) => "an unknown machine (the lock is unreadable)".to_owned(),
    }
}
