//! `ccsync import`: adds the sessions of claude-session-sync, or of a copy of `~/.claude`.

use clap::ValueHint;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

use super::init;
use crate::cli::{
    app::App, app::current_dir, args::JsonFlag, error::CliError, error::CommandError, exit::Exit,
};
use crate::domain::shell::shell_word;
use crate::import::{source::ImportSource, source::usual_source};
use crate::report::import::{ForeignLock, ImportReport, Layout, SuggestedPlaceholder};
use crate::report::transfer::SkippedFile;
use crate::ui::{
    ATTENTION, format::count, format::short_id, output::Screen, report, sanitize::one_line,
    style::paint,
};

/// Import sessions of claude-session-sync, or of a copy of ~/.claude
///
/// Nothing at the source changes, and its locks are not taken. Sessions keep their ids.
/// If the store already has a session, the import extends it or adds a fork. `ccsync
/// pull` then puts the sessions where Claude Code looks for them.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// A directory with `projects/` in it, or a git repository [default:
    /// ~/.claude-session-sync/repo]
    #[arg(value_name = "PATH|URL", value_hint = ValueHint::AnyPath)]
    source: Option<String>,
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: the fields of [`ImportReport`], and the command
/// for each suggested placeholder.
#[derive(Serialize)]
struct ImportDocument<'a> {
    #[serde(flatten)]
    report: &'a ImportReport,
    commands: Vec<String>,
}

pub(in crate::cli) fn run(args: &ImportArgs, app: &mut App) -> Result<Exit, CliError> {
    if !args.dry_run {
        init::ensure(app)?;
    }
    let source = source(args, app)?;
    let report = crate::import::run::import(&app.context()?, &source, args.dry_run)?;
    if args.json.json {
        let commands = report.suggested_placeholders.iter().map(command).collect();
        app.print_json(
            "import",
            &ImportDocument {
                report: &report,
                commands,
            },
        )?;
    } else {
        let lines = lines(&report, app.out.screen(), app.out.is_quiet());
        app.print(&lines)?;
        hints(&report, app);
    }
    Ok(Exit::from_report(&report.report))
}

fn source(args: &ImportArgs, app: &App) -> Result<ImportSource, CliError> {
    let usual = || usual_source(&app.env).map(|path| path.to_string_lossy().into_owned());
    let text = args
        .source
        .clone()
        .or_else(usual)
        .ok_or(CommandError::NothingToImport)?;
    Ok(ImportSource::parse(&text, &app.env, &current_dir()?)?)
}

fn lines(report: &ImportReport, screen: Screen, quiet: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if !quiet {
        lines.push(heading(report));
        lines.extend(report.not_imported.iter().map(not_imported));
    }
    lines.extend(report.locks.iter().map(lock));
    let rest = Screen {
        height: screen.height.saturating_sub(lines.len()),
        ..screen
    };
    lines.extend(report::lines(
        "import",
        &report.report,
        rest,
        quiet,
        &BTreeSet::new(),
    ));
    lines
}

fn heading(report: &ImportReport) -> String {
    let kind = match report.layout {
        Layout::Shared => "a store of claude-session-sync",
        Layout::PerMachine => "a store of claude-session-sync with a copy for each machine",
        Layout::ClaudeDir => "a copy of the directory of Claude Code",
    };
    let whose = match report.machines.len() {
        0 => String::new(),
        n => format!(", {}", count(n as u64, "machine")),
    };
    format!(
        "{}: {kind}, {}{whose}",
        one_line(&report.source),
        count(report.found, "session")
    )
}

fn not_imported(file: &SkippedFile) -> String {
    format!(
        "not imported: {}: {}",
        one_line(&file.path),
        one_line(&file.reason)
    )
}

fn lock(lock: &ForeignLock) -> String {
    let machine = one_line(&lock.machine);
    let since = one_line(lock.since.as_deref().unwrap_or("an unknown time")).into_owned();
    let over = if lock.expired {
        ", expired"
    } else {
        ": exit the session there, then import again"
    };
    let line = format!(
        "locked at the source: {} by {machine} since {since}{over}",
        short_id(lock.session.as_str())
    );
    if lock.expired {
        line
    } else {
        paint(ATTENTION, &line)
    }
}

fn hints(report: &ImportReport, app: &mut App) {
    for proposal in &report.suggested_placeholders {
        let whose = match &proposal.machine {
            Some(machine) => format!("{} has", one_line(machine)),
            None => "this machine has".to_owned(),
        };
        let name = one_line(&proposal.placeholder);
        app.out.hint(&format!(
            "{whose} no directory for {name}; to set it: `{}`",
            command(proposal)
        ));
    }
    if !report.report.dry_run && !report.report.sessions.is_empty() {
        app.out.hint("to get them on this machine: `ccsync pull`");
    }
}

/// Returns the command that gives the placeholder its directory.
fn command(proposal: &SuggestedPlaceholder) -> String {
    let word = |text: &str| shell_word(Path::new(&*one_line(text)));
    let name = word(&proposal.placeholder);
    match (&proposal.machine, &proposal.directory) {
        (Some(machine), Some(path)) => format!(
            "ccsync config set-path {name} {} {}",
            word(machine),
            word(path)
        ),
        (None, Some(path)) => format!("ccsync config set-path {name} this {}", word(path)),
        (_, None) => format!("ccsync config add-placeholder {name}=PATH"),
    }
}
