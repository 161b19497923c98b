//! Sessions that run on after Claude Code has given the terminal back: in the background, or in
//! another terminal.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::SessionId;
use crate::session::continued::{Continued, continued_here, running_as};
use crate::session::live::{ClientProcess, live_sessions};
use crate::sys::signal;
use crate::ui::Output;
use crate::workspace::Context;

/// Interval between two looks at the running clients.
const POLL: Duration = Duration::from_millis(200);

/// Time in which a session that goes on under another id starts.
const MAX_START: Duration = Duration::from_secs(2);

/// Running sessions, with their processes.
pub(super) type RunningSessions = BTreeMap<SessionId, ClientProcess>;

/// Waits until none of `sessions` runs any more, also under another id, and adds these ids to them.
/// Returns those that still run if the user interrupts.
pub(super) fn wait_for_running(
    sessions: &Mutex<RunningSessions>,
    ctx: &Context<'_>,
    out: &mut Output,
) -> RunningSessions {
    let own = || sessions.lock().unwrap_or_else(PoisonError::into_inner);
    let mut running = running_soon(&own(), ctx);
    for (session, client) in &running {
        own().insert(session.clone(), *client);
        out.note(&format!("session {session} goes on in {client}"));
        out.note("ccsync keeps its lock and backs it up until it ends; Ctrl-C: leave it");
    }
    while !running.is_empty() && !signal::interrupted() {
        ctx.clock.sleep(POLL);
        running = running_now(&own(), ctx);
    }
    running
}

/// Returns the running ones of `sessions`, after the time in which they start.
fn running_soon(sessions: &RunningSessions, ctx: &Context<'_>) -> RunningSessions {
    let is_moved = |session: &SessionId| {
        matches!(
            continued_here(&ctx.env.claude_dir, session),
            Continued::In(_)
        )
    };
    let begin = ctx.clock.monotonic();
    loop {
        let running = running_now(sessions, ctx);
        let is_late = ctx.clock.monotonic().saturating_sub(begin) > MAX_START;
        if !running.is_empty() || is_late || !sessions.keys().any(is_moved) {
            return running;
        }
        ctx.clock.sleep(POLL);
    }
}

fn running_now(sessions: &RunningSessions, ctx: &Context<'_>) -> RunningSessions {
    let claude_dir = &ctx.env.claude_dir;
    let live = live_sessions(claude_dir);
    let running = sessions
        .keys()
        .filter_map(|session| running_as(claude_dir, session, &live));
    running
        .map(|(session, client)| (session.clone(), client))
        .collect()
}
