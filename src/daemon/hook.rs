//! Answers a hook of the client: leaves the event for the daemon, and looks at the status file.
//!
//! Must return at once and never fail: the client waits.

use std::path::PathBuf;

use chrono::TimeDelta;
use serde::Deserialize;

use super::spool::leave;
use super::status::{DaemonFailure, DaemonStatus};
use super::{directory, guard, log, start};
use crate::domain::{HookEvent, SessionId};
use crate::handoff::path_notice::{self, path_notice_without_waiting};
use crate::keeper::{client_event::ClientEvent, session_status::Elsewhere};
use crate::lock::lease::Holder;
use crate::sys::fs::{remove_file_if_exists, write_cache};
use crate::sys::{Clock, Env};
use crate::workspace::Context;

/// Age from which the user sees a failure when a client starts.
const FAILURE_AGE: TimeDelta = TimeDelta::hours(1);

/// The used part of the event's JSON. A prompt in it is not kept.
#[derive(Debug, Deserialize)]
struct HookInput {
    session_id: SessionId,
    #[serde(default)]
    transcript_path: Option<PathBuf>,
    #[serde(default)]
    cwd: Option<PathBuf>,
    /// How the conversation begins: `startup`, `resume`, `clear`, `compact`, `fork`.
    #[serde(default)]
    source: Option<String>,
}

/// A prompt that goes back to the user.
#[derive(Debug, PartialEq, Eq)]
pub struct RefusedPrompt {
    /// Its session.
    pub session: SessionId,
    /// The other machine that continues it.
    pub elsewhere: Elsewhere,
}

/// The answer to the client.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HookAnswer {
    /// The prompt goes back to the user, because this machine continues the session.
    pub refusal: Option<RefusedPrompt>,
    /// For the model: where directories are on this machine.
    pub path_notice: Option<String>,
    /// For the user: nothing was sent for long.
    pub failure: Option<DaemonFailure>,
}

/// Leaves an event for the daemon, and starts it if none runs. `json` is the event in the
/// words of the client. Failures are in the daemon's log only.
///
/// `context` is `None` without a valid configuration: then there is nothing to sync.
pub fn answer(
    env: &Env,
    clock: &dyn Clock,
    event: HookEvent,
    json: &[u8],
    context: Option<&Context<'_>>,
) -> HookAnswer {
    let Ok(input) = serde_json::from_slice::<HookInput>(json) else {
        log::add(env, clock, &format!("cannot read the event {event}"));
        return HookAnswer::default();
    };
    let Some(ctx) = context.filter(|_| !env.hook.in_cloud) else {
        return HookAnswer::default();
    };
    let session = input.session_id.clone();
    if event == HookEvent::SessionStart && input.source.as_deref() != Some("compact") {
        guard::forget(env, &session);
    }
    if let Err(e) = tell_daemon(env, clock, event, &input) {
        log::add(env, clock, &format!("{event}: {e}"));
    }
    if env.hook.headless {
        return HookAnswer::default();
    }

    match event {
        HookEvent::SessionStart => HookAnswer {
            path_notice: path_notice(ctx, &input),
            failure: failure_once(env, clock),
            refusal: None,
        },
        HookEvent::UserPromptSubmit => HookAnswer {
            refusal: guard::refuse_once(env, &session, clock.now())
                .map(|elsewhere| RefusedPrompt { session, elsewhere }),
            ..HookAnswer::default()
        },
        HookEvent::Stop | HookEvent::PreCompact | HookEvent::SessionEnd => HookAnswer::default(),
    }
}

fn tell_daemon(
    env: &Env,
    clock: &dyn Clock,
    event: HookEvent,
    input: &HookInput,
) -> Result<(), start::DaemonError> {
    let entry = ClientEvent {
        time: clock.now(),
        event,
        session: input.session_id.clone(),
        transcript: input.transcript_path.clone(),
        directory: input.cwd.clone(),
        headless: env.hook.headless,
        client: env.hook.client_pid.map(Holder::process),
    };
    let left = leave(env, &entry);
    // Without the event, the daemon sees the client's files.
    start::ensure_running(env, clock)?;
    Ok(left?)
}

/// Returns the path notice of a conversation that goes on here. It is kept for the time after a
/// compaction, when the model has forgotten it.
fn path_notice(ctx: &Context<'_>, input: &HookInput) -> Option<String> {
    let session = &input.session_id;
    let kept = directory(ctx.env)
        .join("path-notices")
        .join(session.as_str());
    match input.source.as_deref() {
        Some("compact") => std::fs::read_to_string(kept).ok(),
        // `ccsync resume` gives its own.
        Some("resume") if !path_notice::file(ctx.env, session).exists() => {
            let notice = path_notice_without_waiting(ctx, session, input.cwd.as_deref()?);
            let notice = notice.ok().flatten();
            // A notice that is not kept is only missing after a compaction.
            let _ = match &notice {
                Some(text) => write_cache(&kept, text.as_bytes()),
                None => remove_file_if_exists(&kept).map(drop),
            };
            notice
        }
        _ => None,
    }
}

/// Returns a failure that has lasted for long, unless the user has seen it.
fn failure_once(env: &Env, clock: &dyn Clock) -> Option<DaemonFailure> {
    let failure = DaemonStatus::read(env)?.failure?;
    let is_old = clock.now() - failure.since >= FAILURE_AGE;
    let record = directory(env).join("shown-failure");
    let since = failure.since.to_rfc3339();
    let is_shown = || std::fs::read(&record).is_ok_and(|known| known == since.as_bytes());
    if !(failure.is_refusal || is_old) || is_shown() {
        return None;
    }
    // Without the record, every start would show it.
    write_cache(&record, since.as_bytes()).ok()?;
    Some(failure)
}
