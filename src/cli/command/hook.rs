//! `ccsync hook`: what Claude Code runs at its events. Always ends well, but for the guard.

use std::io::Read;

use serde_json::json;

use crate::cli::{app::App, error::CliError, exit::Exit};
use crate::daemon::hook::{HookAnswer, RefusedPrompt, answer};
use crate::daemon::status::DaemonFailure;
use crate::domain::HookEvent;
use crate::session::auto::are_hooks_set_up;
use crate::ui::{format::moment, sanitize};

/// Maximum size of an event: a prompt may hold a pasted file.
const MAX_INPUT: u64 = 64 << 20;

/// Tell ccsync of an event in Claude Code
///
/// `ccsync auto on` lets Claude Code run this at its events, with the event as JSON on
/// standard input. It leaves the event for `ccsync daemon`, starts that if it is not running,
/// and ends. After `ccsync auto off`, it does nothing. It fails in one case only: if another
/// machine continues the session, the first prompt goes back to you.
#[derive(Debug, clap::Args)]
pub(crate) struct HookArgs {
    /// The event: session-start, user-prompt-submit, stop, pre-compact or session-end
    event: String,
}

pub(in crate::cli) fn run(args: &HookArgs, app: &mut App) -> Result<Exit, CliError> {
    // Events of newer clients are of no use here, but no error either.
    let Ok(event) = args.event.parse::<HookEvent>() else {
        return Ok(Exit::Done);
    };
    let mut json = Vec::new();
    let stdin = std::io::stdin().lock();
    // An event that cannot be read is logged as one that cannot be parsed.
    let _ = stdin.take(MAX_INPUT).read_to_end(&mut json);
    // A client that was open at `auto off` keeps its hooks until it ends.
    if !are_hooks_set_up(&app.env) {
        return Ok(Exit::Done);
    }
    let context = app.context();
    if let (Err(e), true) = (&context, event == HookEvent::SessionStart) {
        let message = e.message();
        drop(context);
        return Ok(show_config_error(&message, app));
    }
    let answer = answer(&app.env, &app.clock, event, &json, context.as_ref().ok());
    drop(context);

    if let Some(refused) = &answer.refusal {
        app.out.message(&refusal(refused));
        return Ok(Exit::PromptRefused);
    }
    if let Some(output) = output(event, &answer) {
        // A client that does not listen needs no output.
        let _ = app.out.data(&output);
    }
    Ok(Exit::Done)
}

/// Shows why nothing is synced, unless this machine is not set up.
fn show_config_error(message: &str, app: &mut App) -> Exit {
    let is_set_up = !matches!(app.is_set_up(), Ok(false));
    if is_set_up && !app.env.hook.headless && !app.env.hook.in_cloud {
        let text = format!("ccsync: nothing is synced: {}", sanitize::one_line(message));
        // A client that does not listen needs no output.
        let _ = app.out.data(&json!({"systemMessage": text}).to_string());
    }
    Exit::Done
}

/// Returns the sentences that Claude Code shows above the prompt.
fn refusal(RefusedPrompt { session, elsewhere }: &RefusedPrompt) -> String {
    let machine = sanitize::one_line(&elsewhere.machine);
    let since = elsewhere.since.map(moment);
    let turns = match elsewhere.turns {
        0 => String::new(),
        1 => ", and 1 turn of it is not here".to_owned(),
        turns => format!(", and {turns} turns of it are not here"),
    };
    let what = match (elsewhere.holds_lock, since) {
        (true, Some(since)) => format!("open on {machine} since {since}"),
        (true, None) => format!("open on {machine}"),
        (false, Some(since)) => format!("continued on {machine} until {since}"),
        (false, None) => format!("continued on {machine}"),
    };
    format!(
        "ccsync: this session is {what}{turns}. To go on with all turns, leave with /exit and run \
         `claude --resume {session}`. To go on here as a fork, send the prompt again."
    )
}

/// Returns the JSON for the client: a message for the user, a text for the model.
fn output(event: HookEvent, answer: &HookAnswer) -> Option<String> {
    if answer.failure.is_none() && answer.path_notice.is_none() {
        return None;
    }
    let mut output = json!({});
    if let Some(failure) = &answer.failure {
        output["systemMessage"] = failure_text(failure).into();
    }
    if let Some(notice) = &answer.path_notice {
        output["hookSpecificOutput"] = json!({
            "hookEventName": event.client_name(),
            "additionalContext": notice,
        });
    }
    Some(output.to_string())
}

fn failure_text(failure: &DaemonFailure) -> String {
    let message = sanitize::one_line(&failure.message);
    let since = moment(failure.since);
    format!("ccsync: nothing was synced since {since}: {message}. See `ccsync status`.")
}
