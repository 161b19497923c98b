//! `ccsync delete`: takes sessions out of the store, and brings them back.

use clap::ValueHint;
use serde::Serialize;

use crate::cli::{
    app::App, args::JsonFlag, ask, complete, error::CliError, error::CommandError, exit::Exit,
};
use crate::deletion::{
    delete::DeleteReport, plan::DeletePlan, plan::DeleteRequest, plan::DeletedSession,
    undelete::DeletedRow, undelete::UndeleteReport,
};
use crate::domain::{ProjectPattern, SessionId, history_point::HistoryPoint};
use crate::sys::{Clock, clock::to_local};
use crate::ui::{
    Cell, HEADING, Table, format::age, format::bytes, format::count, format::moment,
    format::project, format::short_id, report::at_most, report::machine, report::remote,
    report::title,
};

/// Columns of titles and of projects, which shrink on a narrow screen.
const TITLE: usize = 1;
const PROJECT: usize = 2;

/// Delete sessions from the store
///
/// They disappear from the lists of all machines and stay out: a machine that has one keeps its
/// files, does not send it again, and says so. Their sub-agents and other files go with them, and
/// so do the other ids of a conversation that went on under a new one. Forks stay, because they
/// are conversations of their own; they are named. The memory of a project stays.
///
/// The history of the store keeps what was deleted until `ccsync purge`; until then
/// `ccsync delete --undo` brings it back. A session on which another machine works is refused
/// (exit code 4).
///
/// WHEN is a time as for `ccsync restore`: `2026-11-20`, `3d`, `last friday`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["sessions", "project", "before", "list"]))]
pub(crate) struct DeleteArgs {
    /// Session ids or unique prefixes
    #[arg(value_name = "SESSION", add = complete::session(), conflicts_with_all = ["project", "before", "list"])]
    sessions: Vec<SessionId>,
    /// All sessions of these projects: a directory, a git remote, or the name of a directory
    #[arg(long, value_name = "PATTERN", value_hint = ValueHint::DirPath)]
    project: Vec<ProjectPattern>,
    /// Only sessions that were not active since then
    #[arg(long, value_name = "WHEN")]
    before: Option<String>,
    /// Also remove their files on this machine; `ccsync undo` restores them
    #[arg(long)]
    local: bool,
    /// Even if another machine works on one
    #[arg(long)]
    force: bool,
    /// Bring the sessions back
    #[arg(long, conflicts_with_all = ["project", "before", "list", "local", "force", "dry_run"])]
    undo: bool,
    /// List the deleted sessions, as of the last fetch
    #[arg(long, conflicts_with_all = ["project", "before", "local", "force"])]
    list: bool,
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: each deleted session has the fields of [`DeletedRow`].
#[derive(Serialize)]
struct DeletedDocument {
    deleted: Vec<DeletedRow>,
}

pub(in crate::cli) fn run(args: &DeleteArgs, app: &mut App) -> Result<Exit, CliError> {
    if args.list {
        return list(args.json.json, app);
    }
    if args.undo {
        return undo(args, app);
    }
    let request = request(args, app)?;
    let plan = crate::deletion::plan::plan(&app.context()?, &request)?;
    if args.dry_run {
        let report = DeleteReport {
            dry_run: true,
            ..plan.into()
        };
        return show(&report, args, app);
    }
    crate::deletion::delete::check(&app.context()?, &request, &plan)?;
    if !args.yes && !plan.sessions.is_empty() {
        confirm(&plan, args, app)?;
    }
    let report = crate::deletion::delete::delete(&app.context()?, &request, plan)?;
    show(&report, args, app)
}

fn request(args: &DeleteArgs, app: &App) -> Result<DeleteRequest, CliError> {
    let now = to_local(app.clock.now());
    let before = match args.before.as_deref() {
        Some(text) => match HistoryPoint::parse(text, &now)? {
            HistoryPoint::Time(time) => Some(time),
            HistoryPoint::Commit(commit) => {
                return Err(CommandError::NotATime(commit).into());
            }
        },
        None => None,
    };
    Ok(DeleteRequest {
        sessions: args.sessions.clone(),
        projects: args.project.clone(),
        before,
        local: args.local,
        force: args.force,
    })
}

fn confirm(plan: &DeletePlan, args: &DeleteArgs, app: &mut App) -> Result<(), CliError> {
    let what = amount(&plan.sessions);
    app.require_terminal(format!("deleting {what}"))?;
    let rows = rows(&plan.sessions, app);
    for line in at_most(rows, app.out.screen().height.saturating_sub(3), "sessions") {
        app.out.note(&line);
    }
    let also = if args.local {
        " and remove the files on this machine"
    } else {
        ""
    };
    if ask::confirm(&format!("Delete {what} from the store{also}?"))? {
        return Ok(());
    }
    Err(CommandError::Declined("nothing was deleted".to_owned()).into())
}

/// JSON document: the fields of [`DeleteReport`].
fn show(report: &DeleteReport, args: &DeleteArgs, app: &mut App) -> Result<Exit, CliError> {
    if args.json.json {
        app.print_json("delete", report)?;
        return Ok(Exit::from_remote(&report.remote));
    }
    let mut lines = rows(&report.sessions, app);
    for session in &report.already {
        lines.push(format!("  {}  deleted before", short_id(session.as_str())));
    }
    lines.push(summary(report));
    app.print(&lines)?;
    app.explain_queued(&report.remote);
    if !report.forks.is_empty() {
        let forks: Vec<&str> = report
            .forks
            .iter()
            .map(|id| short_id(id.as_str()))
            .collect();
        app.out.note(&format!(
            "{} with the same beginning stays: {}",
            count(forks.len() as u64, "fork"),
            forks.join(", ")
        ));
    }
    let are_here = report.sessions.iter().any(|session| session.here);
    if are_here && !args.local {
        app.out.note("their files stay on this machine");
    }
    if !report.sessions.is_empty() && !report.dry_run {
        app.out.hint(
            "to bring them back: `ccsync delete --undo SESSION`; to remove them from the history, too: `ccsync purge`",
        );
    }
    Ok(Exit::from_remote(&report.remote))
}

fn summary(report: &DeleteReport) -> String {
    let would = if report.dry_run { "would be " } else { "" };
    let files = match report.removed_files {
        0 => String::new(),
        n => format!("; {} removed here", count(n, "file")),
    };
    match report.sessions.is_empty() {
        true => format!("delete: no session {would}deleted{files}"),
        false => format!(
            "delete: {} {would}deleted{files}{}",
            amount(&report.sessions),
            remote(&report.remote, report.dry_run)
        ),
    }
}

fn amount(sessions: &[DeletedSession]) -> String {
    let size = sessions.iter().map(|session| session.bytes).sum();
    let number = count(sessions.len() as u64, "session");
    format!("{number} ({})", bytes(size))
}

fn rows(sessions: &[DeletedSession], app: &App) -> Vec<String> {
    let mut table = Table::new(0, TITLE).with_paths(PROJECT);
    for session in sessions {
        let last = session.last_activity.map(|then| age(then, app.clock.now()));
        table.row([
            Cell::new(format!("  {}", short_id(session.session.as_str()))),
            Cell::new(title(session.title.as_deref())),
            Cell::new(session.project.as_deref().map(project).unwrap_or_default()),
            Cell::new(last.unwrap_or_default()),
            Cell::right(bytes(session.bytes)),
        ]);
    }
    table.lines(app.out.width())
}

/// JSON document: the fields of [`UndeleteReport`].
fn undo(args: &DeleteArgs, app: &mut App) -> Result<Exit, CliError> {
    let report = crate::deletion::undelete::undelete(&app.context()?, &args.sessions)?;
    if args.json.json {
        app.print_json("delete", &report)?;
        return Ok(Exit::from_remote(&report.remote));
    }
    app.print(&undone(&report))?;
    app.explain_queued(&report.remote);
    if !report.to_push.is_empty() {
        app.out.hint("send it from this machine with `ccsync push`");
    }
    Ok(Exit::from_remote(&report.remote))
}

fn undone(report: &UndeleteReport) -> Vec<String> {
    let line = |what: &str, id: &SessionId| format!("  {what}  {}", short_id(id.as_str()));
    let restored = report
        .restored
        .iter()
        .map(|id| line("back in the store", id));
    let to_push = report
        .to_push
        .iter()
        .map(|id| line("only here, to push", id));
    let total = (report.restored.len() + report.to_push.len()) as u64;
    let summary = format!(
        "delete: {} not deleted any more{}",
        count(total, "session"),
        remote(&report.remote, false)
    );
    restored.chain(to_push).chain([summary]).collect()
}

fn list(json: bool, app: &mut App) -> Result<Exit, CliError> {
    let deleted = crate::deletion::undelete::deleted(&app.context()?)?;
    if json {
        app.print_json("delete", &DeletedDocument { deleted })?;
    } else if deleted.is_empty() {
        app.out.note("no deleted sessions");
    } else {
        let lines = deleted_table(&deleted).lines(app.out.width());
        app.print(&lines)?;
    }
    Ok(Exit::Done)
}

fn deleted_table(deleted: &[DeletedRow]) -> Table {
    let mut table = Table::new(0, TITLE);
    let heading = |text: &str| Cell::new(text).style(HEADING);
    table.row(["session", "deleted", "machine", "history"].map(heading));
    for row in deleted {
        table.row([
            Cell::new(short_id(row.session.as_str())),
            Cell::new(row.time.map(moment).unwrap_or_default()),
            Cell::new(row.machine.as_ref().map(machine).unwrap_or_default()),
            Cell::new(if row.purged { "purged" } else { "keeps it" }),
        ]);
    }
    table
}
