//! Taking the lock of a session, and what is asked of the person about it.

use super::error::{ResumeError, WITHOUT_LOCK};
use crate::cli::app::App;
use crate::cli::error::{CliError, CommandError};
use crate::domain::id::SessionId;
use crate::leasing::acquire::Acquired;
use crate::leasing::view::LockView;
use crate::lock::state::{Standing, TakeOver};
use crate::session::live::live_sessions;
use crate::ui::format::age;
use crate::ui::{prompt, sanitize};

/// Without the remote there is no lock: goes on only if the person wants that.
pub(super) fn agree_to_go_on_alone(
    reason: &str,
    offline: bool,
    app: &mut App,
) -> Result<(), CliError> {
    if !offline && !app.is_interactive() {
        return Err(ResumeError::Offline(reason.to_owned()).into());
    }
    app.out.note(&sanitize::one_line(reason));
    app.out.note(WITHOUT_LOCK);
    if offline
        || prompt::confirm("Go on without a lock?").map_err(CommandError::Terminal)? == Some(true)
    {
        return Ok(());
    }
    Err(CommandError::Cancelled.into())
}

/// Makes a new session this process's; where the remote cannot be reached, goes on without if the person wants that. Says whether there is
/// a lock.
pub(in crate::cli) fn take_or_go_on_alone(
    session: &SessionId,
    offline: bool,
    app: &mut App,
) -> Result<bool, CliError> {
    match take(session, false, app) {
        Err(e) if e.is_remote_trouble() => {
            agree_to_go_on_alone(&e.message(), offline, app).map(|()| false)
        }
        taken => taken.map(|()| true),
    }
}

/// A session that a client of this machine has open is not opened twice, whatever the locks say: two clients write into one file.
pub(super) fn refuse_if_open_here(session: &SessionId, app: &App) -> Result<(), CliError> {
    match live_sessions(&app.env.claude_dir).get(session) {
        Some(pid) => Err(ResumeError::HeldHere {
            session: session.clone(),
            pid: *pid,
        }
        .into()),
        None => Ok(()),
    }
}

/// Makes the session this process's, asking where another machine has it.
pub(super) fn take(session: &SessionId, take_over: bool, app: &mut App) -> Result<(), CliError> {
    let Some(held) = in_the_way(crate::leasing::acquire::acquire(
        &app.context()?,
        session,
        TakeOver::Expired,
    )?) else {
        return Ok(());
    };
    if let Some(pid) = held.running.filter(|_| held.is_own()) {
        return Err(ResumeError::HeldHere {
            session: session.clone(),
            pid,
        }
        .into());
    }
    if !take_over && !agrees_to_take_over(&held, app)? {
        return Err(held_by(session, &held, app));
    }
    match in_the_way(crate::leasing::acquire::take_over(&app.context()?, &held)?) {
        None => Ok(()),
        Some(held) => Err(held_by(session, &held, app)),
    }
}

/// Who has the lock, if it was not to be had.
fn in_the_way(asked: Acquired) -> Option<LockView> {
    match asked {
        Acquired::Yes(_) => None,
        Acquired::HeldBy(lock) => Some(lock),
    }
}

fn agrees_to_take_over(held: &LockView, app: &mut App) -> Result<bool, CliError> {
    if !app.is_interactive() {
        return Ok(false);
    }
    app.out.note(&format!(
        "{} has this session open; what is said there from now on would become a fork",
        holder(held, app)
    ));
    Ok(prompt::confirm("Take it over?").map_err(CommandError::Terminal)? == Some(true))
}

fn held_by(session: &SessionId, held: &LockView, app: &App) -> CliError {
    ResumeError::HeldBy {
        session: session.clone(),
        by: holder(held, app),
    }
    .into()
}

/// Who has it, in a person's words.
fn holder(lock: &LockView, app: &App) -> String {
    use crate::sys::clock::Clock;
    let now = app.clock.now();
    match (lock.record(), lock.standing()) {
        (Some(record), Some(Standing::Held { .. })) => {
            format!(
                "{} (last heard of {})",
                sanitize::one_line(&record.host),
                age(record.renewed, now)
            )
        }
        (Some(record), _) => sanitize::one_line(&record.host).into_owned(),
        (None, _) => "somebody (the lock cannot be read)".to_owned(),
    }
}
