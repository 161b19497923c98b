//! `ccsync log`: history of the store or of one session.

use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, complete, error::CliError, exit::Exit};
use crate::domain::SessionId;
use crate::history::{log::LogEntry, log::LogRequest, log::SessionChange, log::SessionChangeKind};
use crate::ui::{
    ATTENTION, Cell, HEADING, QUIET, Table, format::count, format::moment, format::short_id,
    report::at_most_of, report::machine, report::title, sanitize::one_line, style::GOOD,
    style::paint,
};

/// Maximum number of sessions printed for one commit.
const MAX_SESSIONS: usize = 5;

/// Show the history of the store or of one session, the newest first
///
/// Each entry is a commit; `ccsync restore SESSION --at` takes its id. With SESSION, each
/// line is a state of that session. Times are those of storing, by the clock of the
/// machine that stored.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Session id or unique prefix
    #[arg(add = complete::session())]
    session: Option<SessionId>,
    /// Maximum number of entries
    #[arg(short = 'n', long = "entries", value_name = "N", default_value_t = 10, value_parser = entries)]
    entries: usize,
    /// Fetch first
    #[arg(long)]
    remote: bool,
    #[command(flatten)]
    json: JsonFlag,
}

fn entries(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|_| "not a number".to_owned())?;
    if number > 0 {
        Ok(number)
    } else {
        Err("must be at least 1".to_owned())
    }
}

/// JSON document: each entry has the fields of `LogEntry`.
#[derive(Serialize)]
struct LogDocument<'a> {
    entries: &'a [LogEntry],
}

pub(in crate::cli) fn run(args: &LogArgs, app: &mut App) -> Result<Exit, CliError> {
    let request = LogRequest {
        session: args.session.clone(),
        max: args.entries,
        remote: args.remote,
    };
    let entries = crate::history::log::log(&app.context()?, &request)?;
    if args.json.json {
        app.print_json("log", &LogDocument { entries: &entries })?;
    } else if entries.is_empty() {
        app.out.note("log: the store is empty");
    } else {
        let width = app.out.width();
        let lines = if args.session.is_some() {
            session_lines(&entries, width)
        } else {
            store_lines(&entries, width)
        };
        app.print(&lines)?;
    }
    Ok(Exit::Done)
}

fn store_lines(entries: &[LogEntry], width: usize) -> Vec<String> {
    entries
        .iter()
        .flat_map(|entry| commit(entry, width))
        .collect()
}

fn commit(entry: &LogEntry, width: usize) -> Vec<String> {
    let head = format!(
        "{}  {}  {}",
        entry.commit.short(),
        moment(entry.time),
        who(entry)
    );
    let mut lines = vec![paint(HEADING, &head)];
    let mut table = Table::new(2, 1);
    for change in entry.sessions.iter().take(MAX_SESSIONS) {
        table.row(session(change));
    }
    lines.extend(table.lines(width));
    let more = entry.sessions.len().saturating_sub(MAX_SESSIONS);
    if more > 0 {
        lines.push(format!(
            "  {}",
            at_most_of(more as u64, "more session", "--json")
        ));
    }
    lines.extend(
        entry
            .milestones
            .iter()
            .map(|name| format!("  milestone {}", one_line(name))),
    );
    if entry.notes > 0 {
        lines.push(format!("  {}", count(entry.notes, "note")));
    }
    lines
}

fn who(entry: &LogEntry) -> String {
    entry
        .machine
        .as_ref()
        .map_or_else(|| "(not ccsync)".to_owned(), machine)
}

fn session(change: &SessionChange) -> Vec<Cell> {
    let (what, style) = match change.change {
        SessionChangeKind::Added => ("added", GOOD),
        SessionChangeKind::Forked => ("added as a fork", GOOD),
        SessionChangeKind::Extended => ("extended", GOOD),
        SessionChangeKind::Removed => ("removed", ATTENTION),
        SessionChangeKind::Unreadable => ("unreadable", ATTENTION),
    };
    vec![
        Cell::new(short_id(change.session.as_str())).style(QUIET),
        Cell::new(title(change.title.as_deref())),
        Cell::new(what).style(style),
        Cell::right(turns(change.turns_added.filter(|n| *n > 0), "+")),
        Cell::right(if change.lines_added == 0 {
            String::new()
        } else {
            lines(change.lines_added)
        }),
    ]
}

fn turns(turns: Option<u64>, sign: &str) -> String {
    turns
        .map(|turns| format!("{sign}{}", count(turns, "turn")))
        .unwrap_or_default()
}

fn lines(added: i64) -> String {
    let sign = if added < 0 { "-" } else { "+" };
    format!("{sign}{}", count(added.unsigned_abs(), "line"))
}

/// Returns one line for each state.
fn session_lines(entries: &[LogEntry], width: usize) -> Vec<String> {
    let mut rows = Table::new(0, 2);
    let heading = |text: &str| Cell::new(text).style(HEADING);
    let number = |text: &str| Cell::right(text).style(HEADING);
    rows.row([
        heading("commit"),
        heading("stored"),
        heading("machine"),
        number("turns"),
        number("lines"),
        heading(""),
    ]);
    for entry in entries {
        for change in &entry.sessions {
            let what = match change.change {
                SessionChangeKind::Added => "first state".to_owned(),
                SessionChangeKind::Forked => "first state of a fork".to_owned(),
                SessionChangeKind::Removed => "removed".to_owned(),
                SessionChangeKind::Unreadable => "unreadable".to_owned(),
                SessionChangeKind::Extended if change.lines_added == 0 => "other files".to_owned(),
                SessionChangeKind::Extended => lines(change.lines_added),
            };
            rows.row([
                Cell::new(entry.commit.short()),
                Cell::new(moment(entry.time)),
                Cell::new(who(entry)),
                Cell::right(
                    change
                        .turns
                        .map(|turns| turns.to_string())
                        .unwrap_or_default(),
                ),
                Cell::right(change.lines.to_string()),
                Cell::new(what).style(QUIET),
            ]);
        }
    }
    rows.lines(width)
}
