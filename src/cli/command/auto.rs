//! `ccsync auto`: turns working by itself on and off.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, ask, error::CliError, exit::Exit};
use crate::daemon::{
    remove_files, service::Service, silenced::silence_open_clients, start::is_running, start::stop,
};
use crate::domain::HookEvent;
use crate::session::auto::{
    AutoChange, AutoFault, AutoState, ClientFileChange, HookPlace, auto_state, plan_off, plan_on,
    turn_off, turn_on,
};
use crate::ui::{difference, sanitize::one_line};

/// Sync by itself, also sessions that you start with `claude`
///
/// Adds hooks to Claude Code's `settings.json`, or as a plugin. At its events they start `ccsync
/// daemon`, which takes the lock of the session, pushes new turns within seconds, and pulls what
/// other machines pushed.
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
    /// Write a plugin instead: the same hooks, `/ccsync:status` and `/ccsync:note`
    #[arg(long)]
    plugin: bool,
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
            let place = match args.plugin {
                true => HookPlace::Plugin,
                false => HookPlace::Settings,
            };
            on(place, wants_line, app)
        }
        AutoAction::Off => off(app),
        AutoAction::Status(args) => status(args, app),
    }
}

/// Turns it on, and shows the change.
pub(in crate::cli) fn on(
    place: HookPlace,
    status_line: bool,
    app: &mut App,
) -> Result<Exit, CliError> {
    let change = plan_on(&app.env, place, status_line)?;
    show(&change, app)?;
    turn_on(&app.env, &change)?;
    let line = match change.is_empty() {
        true => "auto: on already",
        false => "auto: on, from the next start of Claude Code; `ccsync auto off` undoes it",
    };
    app.print(&[line.to_owned()])?;
    if let Some(AutoFault::Off(reason)) = auto_state(&app.env)?.fault() {
        app.out.attention(&format!(
            "Claude Code runs no hooks: {}",
            one_line(&reason.to_string())
        ));
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
    silence_open_clients(&app.env)?;
    let line = match change.is_empty() {
        true => "auto: off already",
        false => "auto: off",
    };
    app.print(&[line.to_owned()])?;
    if Service::of_this_user(&app.env).is_ok_and(|service| service.is_installed()) {
        app.out
            .hint("the service still syncs; to remove it: ccsync service remove");
    }
    Ok(Exit::Done)
}

/// Shows what is written where, and what stays.
fn show(change: &AutoChange, app: &mut App) -> Result<(), CliError> {
    let changed = change.files.iter().filter(|file| !file.is_empty());
    let mut lines: Vec<String> = changed.flat_map(file_lines).collect();
    let staying = change.staying.iter();
    lines.extend(staying.map(|file| format!("kept, because it is yours: {}", shown(file))));
    app.print(&lines)
}

fn file_lines(change: &ClientFileChange) -> Vec<String> {
    let path = shown(&change.path);
    let Some(after) = &change.after else {
        return vec![format!("{path} (removed)")];
    };
    let before = change.before.as_deref().unwrap_or_default();
    std::iter::once(path)
        .chain(difference::lines(before, after))
        .collect()
}

fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy()).into_owned()
}

/// JSON document.
#[derive(Serialize)]
struct Status {
    on: bool,
    daemon_is_running: bool,
    settings: PathBuf,
    /// The places of hooks.
    places: Vec<HookPlace>,
    hooks: BTreeSet<HookEvent>,
    hooks_are_off: bool,
    /// Another version of ccsync has written them.
    hooks_are_outdated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hooks_off_reason: Option<String>,
    has_status_line: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<PathBuf>,
}

impl Status {
    fn new(state: &AutoState, daemon_is_running: bool) -> Self {
        let installed = &state.installed;
        let events = installed.iter().flat_map(|hooks| hooks.events.iter());
        Self {
            on: state.is_on(),
            daemon_is_running,
            settings: state.settings.clone(),
            places: installed.iter().map(|hooks| hooks.place).collect(),
            hooks: events.copied().collect(),
            hooks_are_off: state.no_hooks.is_some(),
            hooks_are_outdated: installed.iter().any(|hooks| hooks.are_outdated),
            hooks_off_reason: state.no_hooks.as_ref().map(ToString::to_string),
            has_status_line: state.has_status_line,
            program: installed.iter().find_map(|hooks| hooks.program.clone()),
        }
    }
}

fn status(args: &StatusArgs, app: &mut App) -> Result<Exit, CliError> {
    let state = auto_state(&app.env)?;
    let daemon_is_running = is_running(&app.env, &app.clock)?;
    if args.json.json {
        app.print_json("auto", &Status::new(&state, daemon_is_running))?;
    } else {
        let daemon = match daemon_is_running {
            true => "running",
            false => "not running; it is started when it is needed",
        };
        app.print(&[
            format!("auto:   {}", hooks(&state)),
            format!("daemon: {daemon}"),
        ])?;
    }
    Ok(Exit::Done)
}

fn hooks(state: &AutoState) -> String {
    let Some(hooks) = state.installed.first() else {
        let settings = shown(&state.settings);
        return format!("off: no hooks in {settings}; `ccsync auto on` adds them");
    };
    let command = hooks.command();
    match state.fault() {
        None => format!("on: hooks in {}", shown(&hooks.file)),
        Some(AutoFault::Off(reason)) => format!("off: {}", one_line(&reason.to_string())),
        Some(fault) => format!("faulty: {}; run `{command}`", one_line(&fault.to_string())),
    }
}
