//! `ccsync auto`: turns working by itself on and off.

use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, ask, error::CliError, exit::Exit};
use crate::daemon::{remove_files, start::is_running, start::stop};
use crate::session::auto::{
    AutoState, SettingsChange, auto_state, plan_off, plan_on, turn_off, turn_on,
};
use crate::ui::difference;

/// Sync by itself, also sessions that you start with `claude`
///
/// Adds hooks to Claude Code's `settings.json`. At its events they start `ccsync daemon`, which
/// takes the lock of the session, pushes new turns within seconds, and pulls what other machines
/// pushed.
#[derive(Debug, clap::Args)]
pub(crate) struct AutoArgs {
    #[command(subcommand)]
    action: AutoAction,
}

#[derive(Debug, clap::Subcommand)]
enum AutoAction {
    /// Add the hooks, and show what is written
    On(OnArgs),
    /// Remove the hooks, and end the background process
    Off,
    /// Show whether the hooks are set up
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
struct OnArgs {
    /// Show the state of the session in Claude Code's status line
    #[arg(long, overrides_with = "no_statusline")]
    statusline: bool,
    /// Leave Claude Code's status line as it is
    #[arg(long)]
    no_statusline: bool,
}

#[derive(Debug, clap::Args)]
struct StatusArgs {
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &AutoArgs, app: &mut App) -> Result<Exit, CliError> {
    match &args.action {
        AutoAction::On(args) => {
            super::init::ensure(app)?;
            let state = auto_state(&app.env)?;
            let wants_line = wants_status_line(args, &state, app)?;
            on(wants_line, app)
        }
        AutoAction::Off => off(app),
        AutoAction::Status(args) => status(args, app),
    }
}

/// Turns it on, and shows the change.
pub(in crate::cli) fn on(status_line: bool, app: &mut App) -> Result<Exit, CliError> {
    let change = plan_on(&app.env, status_line)?;
    show(&change, app)?;
    turn_on(&app.env, &change)?;
    let line = match change.is_empty() {
        true => "auto: on already",
        false => "auto: on, from the next start of Claude Code; `ccsync auto off` undoes it",
    };
    app.print(&[line.to_owned()])?;
    if auto_state(&app.env)?.hooks_are_off {
        app.out
            .note("`disableAllHooks` in the settings turns the hooks off: remove it");
    }
    Ok(Exit::Done)
}

fn wants_status_line(args: &OnArgs, state: &AutoState, app: &App) -> Result<bool, CliError> {
    if args.statusline || args.no_statusline || state.has_status_line || !app.is_interactive() {
        return Ok(args.statusline);
    }
    ask::confirm_by_default("Show the state in Claude Code's status line?")
}

fn off(app: &mut App) -> Result<Exit, CliError> {
    let change = plan_off(&app.env)?;
    show(&change, app)?;
    turn_off(&app.env, &change)?;
    stop(&app.env, &app.clock)?;
    remove_files(&app.env)?;
    let line = match change.is_empty() {
        true => "auto: off already",
        false => "auto: off",
    };
    app.print(&[line.to_owned()])?;
    Ok(Exit::Done)
}

/// Shows what is written where.
fn show(change: &SettingsChange, app: &mut App) -> Result<(), CliError> {
    if change.is_empty() {
        return Ok(());
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut lines = vec![change.path.display().to_string()];
    lines.extend(difference::lines(
        &text(&change.before),
        &text(&change.after),
    ));
    app.print(&lines)
}

/// JSON document: the fields of `AutoState`, and of this.
#[derive(Serialize)]
struct Status {
    on: bool,
    daemon_is_running: bool,
    #[serde(flatten)]
    state: AutoState,
}

fn status(args: &StatusArgs, app: &mut App) -> Result<Exit, CliError> {
    let state = auto_state(&app.env)?;
    let status = Status {
        on: state.is_on(),
        daemon_is_running: is_running(&app.env, &app.clock)?,
        state,
    };
    if args.json.json {
        app.print_json("auto", &status)?;
    } else {
        app.print(&lines(&status))?;
    }
    Ok(Exit::Done)
}

fn lines(status: &Status) -> Vec<String> {
    let settings = status.state.settings.display();
    let hooks = match status.state.hooks.len() {
        0 => format!("off: no hooks in {settings}; `ccsync auto on` adds them"),
        _ if status.state.hooks_are_off => {
            format!("off: `disableAllHooks` is set in {settings}")
        }
        _ if status.on => format!("on: hooks in {settings}"),
        _ => format!("incomplete: some hooks are missing in {settings}; run `ccsync auto on`"),
    };
    let daemon = match status.daemon_is_running {
        true => "running",
        false => "not running; it is started when it is needed",
    };
    vec![format!("auto:   {hooks}"), format!("daemon: {daemon}")]
}
