//! `ccsync statusline`: one line for the status line of Claude Code.

use std::io::{IsTerminal, Read};

use chrono::{DateTime, Utc};

use crate::cli::{app::App, error::CliError, exit::Exit};
use crate::daemon::status::DaemonStatus;
use crate::domain::SessionId;
use crate::keeper::session_status::SessionStatus;
use crate::sys::{Clock, clock::to_local};
use crate::ui::{format::age, sanitize};

/// Maximum size of what the client tells.
const MAX_INPUT: u64 = 1 << 20;

/// Longest name of a machine, in characters.
const MAX_NAME: usize = 30;

/// Longest message of a failure, in characters.
const MAX_MESSAGE: usize = 60;

/// Print the line for Claude Code's status line
///
/// Says when the session was last synced, since when this machine has its lock, how many turns
/// wait to be sent, and whether another machine continues it. Reads the status file of `ccsync
/// daemon` only. `ccsync auto on --statusline` sets it up.
#[derive(Debug, clap::Args)]
pub(crate) struct StatuslineArgs {}

pub(in crate::cli) fn run(_: &StatuslineArgs, app: &mut App) -> Result<Exit, CliError> {
    let session = session_on_stdin();
    let line = match DaemonStatus::read(&app.env) {
        Some(status) if !status.is_stale(app.clock.now()) => {
            line(&status, session.as_ref(), app.clock.now())
        }
        Some(_) | None => "ccsync: not running".to_owned(),
    };
    app.print(&[line])?;
    Ok(Exit::Done)
}

/// Returns the session that the client names on standard input.
fn session_on_stdin() -> Option<SessionId> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return None;
    }
    let mut json = Vec::new();
    stdin.lock().take(MAX_INPUT).read_to_end(&mut json).ok()?;
    let input: serde_json::Value = serde_json::from_slice(&json).ok()?;
    input["session_id"].as_str()?.parse().ok()
}

fn line(status: &DaemonStatus, session: Option<&SessionId>, now: DateTime<Utc>) -> String {
    let session = session.and_then(|session| status.sessions.get(session));
    let mut parts = vec![synced(status, now)];
    if let Some(session) = session {
        parts.extend(lock(session, &status.machine));
        parts.extend(queued(session));
    }
    parts.join(" · ")
}

fn synced(status: &DaemonStatus, now: DateTime<Utc>) -> String {
    match (&status.failure, status.synced) {
        (Some(failure), _) => {
            let message: String = sanitize::one_line(&failure.message)
                .chars()
                .take(MAX_MESSAGE)
                .collect();
            format!("not synced since {}: {message}", time(failure.since))
        }
        (None, Some(synced)) => match (now - synced).num_seconds() {
            seconds @ 0..60 => format!("synced {seconds} s ago"),
            _ => format!("synced {}", age(synced, now)),
        },
        (None, None) => "not synced yet".to_owned(),
    }
}

/// Says which machine has the session.
fn lock(session: &SessionStatus, this_machine: &str) -> Option<String> {
    if let Some(elsewhere) = &session.elsewhere {
        let machine = sanitize::one_line(&elsewhere.machine);
        let machine: String = machine.chars().take(MAX_NAME).collect();
        return Some(match elsewhere.turns {
            0 => format!("open on {machine}"),
            1 => format!("1 turn of {machine} is not here"),
            turns => format!("{turns} turns of {machine} are not here"),
        });
    }
    let since = session.locked_since?;
    Some(format!("on {this_machine} since {}", time(since)))
}

fn queued(session: &SessionStatus) -> Option<String> {
    match session.queued_turns {
        0 => None,
        1 => Some("1 turn queued".to_owned()),
        turns => Some(format!("{turns} turns queued")),
    }
}

fn time(time: DateTime<Utc>) -> String {
    to_local(time).format("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statusline_says_lock_and_queue() {
        let session = SessionStatus {
            locked_since: None,
            queued_turns: 2,
            elsewhere: None,
        };
        assert_eq!(queued(&session).as_deref(), Some("2 turns queued"));
        assert_eq!(lock(&session, "desk"), None);
    }
}
