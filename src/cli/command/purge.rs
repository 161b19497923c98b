//! `ccsync purge`: removes deleted sessions from the history of the store.

use crate::cli::{app::App, args::JsonFlag, ask, error::CliError, error::CommandError, exit::Exit};
use crate::deletion::purge::PurgeReport;
use crate::ui::{
    Cell, Table, format::bytes, format::count, format::short_id, report::at_most, report::remote,
};

/// The advice after a purge.
const REVOKE: &str = "a host may keep the former history: in backups, reflogs, forks and pull requests, \
     and for everybody who has fetched it. Revoke every secret that was in it";

/// Remove deleted sessions from the history of the store
///
/// Writes the history again without the sessions that `ccsync delete` has deleted, and replaces it
/// on the remote, which must allow a force push. The other machines follow with their next
/// command: what they have not sent yet is kept, and nothing that was purged comes back, neither
/// from their files nor from their former commits. The objects are removed from this machine, from
/// theirs, and from a remote that is a directory on this machine.
///
/// The ids of commits change; milestones name the new ones. After a purge, `ccsync delete --undo`
/// can bring a session back only from a machine that still has its files. Turns that a fork shares
/// with a purged session stay with the fork.
#[derive(Debug, clap::Args)]
pub(crate) struct PurgeArgs {
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: the fields of [`PurgeReport`].
pub(in crate::cli) fn run(args: &PurgeArgs, app: &mut App) -> Result<Exit, CliError> {
    let report = if args.dry_run {
        crate::deletion::purge::plan(&app.context()?)?
    } else {
        if !args.yes {
            confirm(app)?;
        }
        crate::deletion::purge::purge(&app.context()?)?
    };
    if args.json.json {
        app.print_json("purge", &report)?;
        return Ok(Exit::Done);
    }
    let mut lines = rows(&report, app);
    lines.push(summary(&report));
    app.print(&lines)?;
    if !report.sessions.is_empty() && !report.dry_run {
        app.out.attention(REVOKE);
    }
    Ok(Exit::Done)
}

fn confirm(app: &mut App) -> Result<(), CliError> {
    app.require_terminal("rewriting the history of the store")?;
    let plan = crate::deletion::purge::plan(&app.context()?)?;
    if plan.sessions.is_empty() {
        return Ok(());
    }
    let rows = rows(&plan, app);
    for line in at_most(rows, app.out.screen().height.saturating_sub(3), "sessions") {
        app.out.note(&line);
    }
    let question = format!(
        "Remove {} for good from the history, on all machines?",
        amount(&plan)
    );
    if ask::confirm(&question)? {
        return Ok(());
    }
    Err(CommandError::Declined("nothing was purged".to_owned()).into())
}

fn rows(report: &PurgeReport, app: &App) -> Vec<String> {
    let mut table = Table::new(0, 0);
    for session in &report.sessions {
        table.row([
            Cell::new(format!("  {}", short_id(session.session.as_str()))),
            Cell::right(bytes(session.bytes)),
        ]);
    }
    table.lines(app.out.width())
}

fn summary(report: &PurgeReport) -> String {
    if report.sessions.is_empty() {
        return "purge: the history has nothing that was deleted".to_owned();
    }
    if report.dry_run {
        return format!(
            "purge: {} would be removed from the history",
            amount(report)
        );
    }
    let dropped = if report.remote_dropped {
        ", and the remote has dropped the objects"
    } else {
        ""
    };
    format!(
        "purge: {} removed from the history; {} written again{}{dropped}",
        amount(report),
        count(report.commits, "commit"),
        remote(&report.remote, false)
    )
}

fn amount(report: &PurgeReport) -> String {
    let size = report.sessions.iter().map(|session| session.bytes).sum();
    let number = count(report.sessions.len() as u64, "deleted session");
    format!("{number} ({})", bytes(size))
}
