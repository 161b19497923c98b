//! Taking the lock of a session, and what is asked of the person about it.

use super::error::ResumeError;
use crate::cli::app::App;
use crate::cli::error::CliError;
use crate::domain::id::SessionId;
use crate::lock::state::{Standing, TakeOver};
use crate::sync::locks::{self, Acquired, LockView};
use crate::ui::format::age;
use crate::ui::{prompt, sanitize};

/// Without the remote there is no lock: goes on only if the person wants that.
pub(super) fn agree_to_go_on_alone(reason: &str, offline: bool, app: &mut App) -> Result<(), CliError> {
    app.out.note(&sanitize::one_line(reason));
    app.out.note(
        "without the remote there is no lock; if another machine goes on with the session too, both sides are kept, yours as a fork",
    );
    if offline {
        return Ok(());
    }
    if !app.is_interactive() {
        return Err(ResumeError::Offline(reason.to_owned()).into());
    }
    match prompt::confirm("Go on without a lock?").map_err(CliError::terminal)? {
        Some(true) => Ok(()),
        _ => Err(CliError::cancelled()),
    }
}

/// Makes a new session this process's; where the remote cannot be reached, goes on without if the person wants that.
pub(in crate::cli::command) fn take_or_go_on_alone(
    session: &SessionId,
    offline: bool,
    app: &mut App,
) -> Result<(), CliError> {
    match take(session, false, app) {
        Err(e) if e.is_remote_trouble() => agree_to_go_on_alone(&e.message(), offline, app),
        taken => taken,
    }
}

/// Makes the session this process's, asking where somebody else has it.
pub(super) fn take(session: &SessionId, take_over: bool, app: &mut App) -> Result<(), CliError> {
    let held = match locks::acquire(&app.context()?, session, TakeOver::Expired)? {
        Acquired::Yes(_) => return Ok(()),
        Acquired::HeldBy(lock) => lock,
    };
    if let Some(pid) = held.running.filter(|_| held.is_own()) {
        return Err(ResumeError::HeldHere { session: session.clone(), pid }.into());
    }
    if !take_over {
        agree_to_take_over(session, &held, app)?;
    }
    match locks::take_over(&app.context()?, &held)? {
        Acquired::Yes(_) => Ok(()),
        Acquired::HeldBy(lock) => Err(ResumeError::HeldBy { session: session.clone(), by: holder(&lock, app) }.into()),
    }
}

fn agree_to_take_over(session: &SessionId, held: &LockView, app: &mut App) -> Result<(), CliError> {
    let refusal = |app: &App| Err(ResumeError::HeldBy { session: session.clone(), by: holder(held, app) }.into());
    if !app.is_interactive() {
        return refusal(app);
    }
    app.out.note(&format!("{} has this session open; its turns from now on would become a fork", holder(held, app)));
    match prompt::confirm("Take it over?").map_err(CliError::terminal)? {
        Some(true) => Ok(()),
        _ => refusal(app),
    }
}

/// Who has it, in a person's words.
fn holder(lock: &LockView, app: &App) -> String {
    use crate::sys::clock::Clock;
    let now = app.clock.now();
    match (lock.record(), lock.standing()) {
        (Some(record), Some(Standing::Held { .. })) => {
            format!("{} (last heard of {})", sanitize::one_line(&record.host), age(record.renewed, now))
        }
        (Some(record), _) => sanitize::one_line(&record.host).into_owned(),
        (None, _) => "somebody (the lock cannot be read)".to_owned(),
    }
}
