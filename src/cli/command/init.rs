//! `ccsync init`: this machine gets an id, a name and a remote. Can be run again to change any of them.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::args::{JsonFlag, PlaceholderArg};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::root::RootName;
use crate::sync::report::RemoteState;
use crate::sync::{self, SetUp, SetUpReport};
use crate::transport::url::{RemoteUrl, redact};
use crate::ui::format::count;
use crate::ui::sanitize::one_line;
use crate::ui::style::{HINT, paint};
use crate::ui::table::{Cell, Table};
use crate::ui::{prompt, sanitize};

/// Set up this machine: once, and again to change something
///
/// Without a remote, sessions are kept in a repository on this disk; a remote named later takes them over.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the sessions go: a private git repository of yours, or a directory on a shared disk
    #[arg(long, value_name = "URL|PATH")]
    remote: Option<String>,
    /// What this machine is called in lists [default: the host name]
    #[arg(long)]
    name: Option<String>,
    /// Give a directory a placeholder, so that it may lie elsewhere on other machines; may be repeated
    #[arg(long, value_name = "NAME=PATH")]
    add_placeholder: Vec<PlaceholderArg>,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON schema, version 1.
#[derive(Serialize)]
struct Document<'a> {
    machine: &'a str,
    /// Without its secrets.
    remote: &'a str,
    /// Whether the remote is the repository on this disk that stands in for a real one.
    embedded: bool,
    first_time: bool,
    other_machines: &'a [String],
    /// Sessions taken over from the embedded repository.
    carried_over: u64,
    roots: Vec<Root<'a>>,
    /// Placeholders that other machines have and this one lacks.
    unmapped: &'a [String],
    remote_state: &'a RemoteState,
}

#[derive(Serialize)]
struct Root<'a> {
    name: &'a str,
    path: &'a str,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    let remote = match &args.remote {
        Some(remote) => Some(remote.clone()),
        None if may_ask(args, app)? => ask_remote()?,
        None => None,
    };
    let request = SetUp {
        remote: remote.map(|r| parse_remote(&r)).transpose()?,
        name: args.name.clone(),
        placeholders: placeholders(&args.add_placeholder, app)?,
    };
    let report = set_up(request, app)?;
    if args.json.json {
        app.print_json("init", &document(&report))?;
    } else {
        app.print(&lines(&report))?;
        hints(&report, app);
    }
    let unreached = matches!(report.remote, RemoteState::Queued { .. });
    Ok(if unreached { Exit::Queued } else { Exit::Done })
}

/// Sets this machine up with nothing given, if it has not been yet, and says so.
pub(super) fn ensure(app: &mut App) -> Result<(), CliError> {
    if app.is_set_up()? {
        return Ok(());
    }
    let report = sync::set_up_by_default(&app.env, app.clock(), app.progress(), app.is_interactive())?;
    let remote = one_line(&report.remote_display);
    app.out.note(&format!(
        "first run: this machine is now `{}`; its sessions go to {remote}",
        one_line(&report.machine_name)
    ));
    if report.embedded {
        app.out.hint("that is on this disk only; to reach other machines: ccsync init --remote URL");
    }
    Ok(())
}

fn set_up(request: SetUp, app: &App) -> Result<SetUpReport, CliError> {
    Ok(sync::set_up(&app.env, app.clock(), app.progress(), app.is_interactive(), request)?)
}

/// The remote is all that cannot be found out, and it is asked for once only.
fn may_ask(args: &Args, app: &App) -> Result<bool, CliError> {
    Ok(!args.yes && !args.json.json && app.is_interactive() && !app.is_set_up()?)
}

/// `None` if the person leaves it open.
fn ask_remote() -> Result<Option<String>, CliError> {
    let question = "Private git repository for your sessions (URL or path; empty: only on this disk)";
    let answer = prompt::line(question).map_err(CliError::terminal)?.ok_or_else(CliError::cancelled)?;
    Ok(Some(answer).filter(|a| !a.is_empty()))
}

fn parse_remote(text: &str) -> Result<RemoteUrl, CliError> {
    Ok(RemoteUrl::parse(text, &current_dir()?)?)
}

fn placeholders(args: &[PlaceholderArg], app: &App) -> Result<Vec<(RootName, PathBuf)>, CliError> {
    let cwd = current_dir()?;
    Ok(args.iter().map(|arg| (arg.name.clone(), arg.directory(&app.env.home, &cwd))).collect())
}

/// Where a relative path given on the command line begins.
pub(super) fn current_dir() -> Result<PathBuf, CliError> {
    std::env::current_dir().map_err(CliError::current_dir)
}

fn document(report: &SetUpReport) -> Document<'_> {
    Document {
        machine: &report.machine_name,
        remote: &report.remote_display,
        embedded: report.embedded,
        first_time: report.first_time,
        other_machines: &report.other_machines,
        carried_over: report.carried,
        roots: report.roots.iter().map(|(name, path)| Root { name, path }).collect(),
        unmapped: &report.unmapped,
        remote_state: &report.remote,
    }
}

fn lines(report: &SetUpReport) -> Vec<String> {
    let mut facts = Table::new(2, 1);
    let mut fact = |name: &str, value: &str| facts.row([Cell::new(name), Cell::new(one_line(value))]);
    fact("machine", &report.machine_name);
    fact("remote", &redact(&report.remote_display));
    if !report.other_machines.is_empty() {
        fact("others", &report.other_machines.join(", "));
    }
    for (name, path) in &report.roots {
        fact(name, path);
    }
    let what = if report.first_time { "this machine is set up" } else { "this machine is up to date" };
    let carried = match report.carried {
        0 => String::new(),
        n => format!("; {} carried over from this disk", count(n, "session")),
    };
    let mut lines = facts.lines(usize::MAX);
    lines.push(format!("init: {what}{carried}"));
    if let RemoteState::Queued { reason, .. } = &report.remote {
        lines.push(format!("not on the remote yet: {}", sanitize::lines(reason)));
    }
    lines
}

fn hints(report: &SetUpReport, app: &mut App) {
    for name in &report.unmapped {
        let name = one_line(name);
        let command = paint(HINT, &format!("ccsync config add-placeholder {name}=PATH"));
        app.out.hint(&format!("other machines have a placeholder {name}; to give it a directory here: {command}"));
    }
    if report.embedded {
        app.out.hint("the sessions stay on this disk; to reach other machines: ccsync init --remote URL");
    }
    if report.first_time {
        app.out.hint("next: ccsync push");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::output::capture::captured;

    fn report() -> SetUpReport {
        SetUpReport {
            machine_name: "laptop".to_owned(),
            remote_display: "git@host:al/sessions.git".to_owned(),
            embedded: false,
            first_time: true,
            other_machines: vec!["desktop".to_owned(), "evil\u{1b}[2J".to_owned()],
            carried: 3,
            roots: vec![("HOME".to_owned(), "/home/al".to_owned()), ("WORK".to_owned(), "/srv/work".to_owned())],
            unmapped: vec!["PROJECTS".to_owned()],
            remote: RemoteState::UpToDate { commit: None },
        }
    }

    #[test]
    fn what_init_found_and_made_is_told() {
        insta::assert_snapshot!(lines(&report()).join("\n"));
    }

    #[test]
    fn the_document_has_every_field() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&document(&report())).unwrap());
    }

    #[test]
    fn streams_are_kept_apart() {
        let (out, err) = captured(|output| {
            output.data("data").unwrap();
            output.hint("type this");
        });
        assert_eq!((out.as_str(), err.as_str()), ("data\n", "hint: type this\n"));
    }
}
