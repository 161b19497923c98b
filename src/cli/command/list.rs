//! `ccsync list`: sessions of this machine and of the store.

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use serde::Serialize;

use crate::browse::{list::ListFilter, list::SessionRow};
use crate::cli::{app::App, args::JsonFlag, complete, error::CliError, exit::Exit};
use crate::domain::SessionId;
use crate::sys::Clock;
use crate::ui::{
    Cell, HEADING, QUIET, Table, format::age, format::bytes, format::count, format::project,
    format::short_id, json, report::title, sanitize::one_line,
};
use crate::workspace::exclusion::ExcludeReason;

/// Columns of titles and of projects, which shrink on a narrow screen.
const TITLE: usize = 1;
const PROJECT: usize = 2;

/// List sessions, the most recent first
///
/// Shows all sessions of the store, as of the last fetch, and those of this machine.
/// Every command accepts the start of an id that is shown here. `--json` has the full
/// ids.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Fetch from the remote first
    #[arg(long, alias = "remote")]
    fetch: bool,
    /// Only sessions whose files are on this machine
    #[arg(long)]
    here: bool,
    /// The former name of --json
    #[arg(long, value_enum, default_value_t, hide = true)]
    format: ListFormat,
    /// Only sessions whose project path contains this text
    #[arg(long, value_name = "TEXT")]
    project: Option<String>,
    /// Only sessions last written by this machine
    #[arg(long, value_name = "MACHINE", add = complete::machine())]
    from: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    #[default]
    Table,
    Json,
}

/// JSON document.
#[derive(Serialize)]
struct ListDocument<'a> {
    sessions: Vec<ListRow<'a>>,
}

#[derive(Serialize)]
struct ListRow<'a> {
    session: &'a SessionId,
    /// Portable path.
    project: Option<&'a str>,
    title: Option<&'a str>,
    last_activity: Option<String>,
    /// The machine that wrote it last.
    machine: Option<&'a str>,
    lines: u64,
    bytes: u64,
    here: bool,
    in_store: bool,
    fork_of: Option<&'a SessionId>,
    /// Reason why the settings exclude it; null if they do not.
    excluded: Option<String>,
}

pub(in crate::cli) fn run(args: &ListArgs, app: &mut App) -> Result<Exit, CliError> {
    let filter = ListFilter {
        fetch: args.fetch,
        here: args.here,
        project: args.project.clone(),
        from: args.from.clone(),
    };
    let rows = crate::browse::list::list(&app.context()?, &filter)?;
    if args.json.json || args.format == ListFormat::Json {
        app.print_json(
            "list",
            &ListDocument {
                sessions: rows.iter().map(document).collect(),
            },
        )?;
    } else {
        show(&rows, args, app)?;
    }
    Ok(Exit::Done)
}

fn show(rows: &[SessionRow], args: &ListArgs, app: &mut App) -> Result<(), CliError> {
    if rows.is_empty() {
        app.out.note("list: no sessions found");
    } else {
        let lines = table(rows, app.clock.now()).lines(app.out.width());
        app.print(&lines)?;
    }
    if rows.iter().any(|row| row.here) {
        return Ok(());
    }
    let stored = crate::browse::list::count_stored(&app.context()?)?;
    if args.here && stored > 0 {
        let sessions = count(stored, "session");
        app.out.hint(&format!(
            "the store has {sessions}: `ccsync list`; bring all of them here: `ccsync pull --all`"
        ));
    } else if !rows.is_empty() {
        app.out.hint(
            "continue one here: `ccsync resume SESSION`; bring all of them here: `ccsync pull --all`",
        );
    }
    Ok(())
}

fn document(row: &SessionRow) -> ListRow<'_> {
    ListRow {
        session: &row.session,
        project: row.project.as_deref(),
        title: row.title.as_deref(),
        last_activity: row.last_activity.map(json::time),
        machine: row.machine.as_deref(),
        lines: row.lines,
        bytes: row.bytes,
        here: row.here,
        in_store: row.in_store,
        fork_of: row.fork_of.as_ref(),
        excluded: row.exclude_reason.as_ref().map(ToString::to_string),
    }
}

fn table(rows: &[SessionRow], now: DateTime<Utc>) -> Table {
    let mut table = Table::new(0, TITLE).with_paths(PROJECT);
    let heading = |text: &str| Cell::new(text).style(HEADING);
    table.row([
        heading("session"),
        heading("title"),
        heading("project"),
        heading("active"),
        heading("machine"),
        heading("where"),
        Cell::right("size").style(HEADING),
    ]);
    for row in rows {
        let title = match &row.fork_of {
            Some(origin) => format!(
                "{} (fork of {})",
                title(row.title.as_deref()),
                short_id(origin.as_str())
            ),
            None => title(row.title.as_deref()),
        };
        table.row([
            Cell::new(short_id(row.session.as_str())),
            Cell::new(title),
            Cell::new(row.project.as_deref().map(project).unwrap_or_default()),
            Cell::new(row.last_activity.map(|t| age(t, now)).unwrap_or_default()),
            Cell::new(one_line(row.machine.as_deref().unwrap_or_default())),
            Cell::new(location(row)).style(QUIET),
            Cell::right(bytes(row.bytes)),
        ]);
    }
    table
}

fn location(row: &SessionRow) -> String {
    let location = match (row.here, row.in_store) {
        (true, true) => "both",
        (true, false) => "here",
        (false, _) => "store",
    };
    match row.exclude_reason {
        Some(ExcludeReason::Deleted { .. }) => format!("{location}, deleted"),
        Some(_) => format!("{location}, excluded"),
        None => location.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<SessionRow> {
        let row = SessionRow {
            session: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
            project: Some("{{HOME}}/work/app".to_owned()),
            identity: None,
            title: Some("fix the login form\u{202e}".to_owned()),
            first_prompt: None,
            last_activity: Some("2026-03-10T11:00:00Z".parse().unwrap()),
            machine: Some("laptop".to_owned()),
            lines: 12,
            bytes: 34_000,
            here: true,
            in_store: true,
            branch: None,
            tag: None,
            headless: false,
            archived: false,
            fork_of: None,
            exclude_reason: None,
        };
        let fork = SessionRow {
            session: "22222222-0000-4000-8000-000000000002".parse().unwrap(),
            title: None,
            here: false,
            fork_of: Some(row.session.clone()),
            exclude_reason: Some(ExcludeReason::NotIncluded),
            machine: None,
            ..row.clone()
        };
        vec![row, fork]
    }

    #[test]
    fn list_table_aligns_and_escapes_rows() {
        let text = table(&rows(), "2026-03-10T12:00:00Z".parse().unwrap())
            .lines(140)
            .join("\n");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }

    #[test]
    fn list_long_path_leaves_title_readable() {
        let mut rows = rows();
        rows.truncate(1);
        rows[0].project =
            Some("{{HOME}}/work/customers/a-rather-long-name/website/frontend".to_owned());
        rows[0].title =
            Some("fix the login form of the shop for customers without a password".to_owned());
        let lines = table(&rows, "2026-03-10T12:00:00Z".parse().unwrap()).lines(80);
        let line = anstream::adapter::strip_str(&lines[1]).to_string();
        assert_eq!(
            line,
            "11111111  fix the login form of…  ~/wo…/frontend  1 h ago  laptop   both   34 kB"
        );
    }

    #[test]
    fn list_json_has_every_field() {
        let rows = rows();
        let document = ListDocument {
            sessions: rows.iter().map(document).collect(),
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
    }
}
