//! `ccsync search`: where something was said, on any machine.

use serde::Serialize;

use crate::browse::search::pattern::Case;
use crate::browse::search::run::{SearchReport, SearchRequest};
use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::found::{Hit, SessionHits, Speaker};
use crate::domain::id::SessionId;
use crate::sys::clock::Clock;
use crate::ui::format::{count, short_id};
use crate::ui::sanitize::one_line;
use crate::ui::{hits, json};

/// Find what was said in the sessions of all machines
///
/// Searches what you and the model said, what tools were given and what they printed, sub-agents included, in every session of the store as it was
/// last fetched, and in sessions that only this machine has; the most recent session first. Paths are found as they are on this machine. Upper and
/// lower case are one unless TEXT holds an upper-case letter.
///
/// The exit code is 0 if something was found, 1 if nothing was, and 3 if a session could not be searched.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to search for
    #[arg(value_name = "TEXT")]
    text: String,
    /// TEXT is a regular expression
    #[arg(long, short = 'e')]
    regex: bool,
    /// Upper and lower case are one, whatever TEXT is
    #[arg(long, short)]
    ignore_case: bool,
    /// Upper and lower case are two, whatever TEXT is
    #[arg(long, short = 's', conflicts_with = "ignore_case")]
    case_sensitive: bool,
    /// Only sessions whose project's path contains this
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Only sessions in which this machine wrote
    #[arg(long, value_name = "MACHINE")]
    from: Option<String>,
    /// How many hits of each session to print; a hundred more are counted
    #[arg(long, value_name = "N", default_value_t = 3)]
    hits: u32,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON schema, version 1.
#[derive(Serialize)]
struct Document<'a> {
    /// How many sessions were searched.
    searched: u64,
    /// Those in which something was found, the most recent first.
    sessions: Vec<Session>,
    /// Those that could not be searched, or not all of them.
    unreadable: Vec<UnreadableRow<'a>>,
}

#[derive(Serialize)]
struct Session {
    session: SessionId,
    /// Portable path.
    project: Option<String>,
    title: Option<String>,
    /// The machine that last wrote it.
    machine: Option<String>,
    last_activity: Option<String>,
    fork_of: Option<SessionId>,
    /// The first ones.
    hits: Vec<HitRow>,
    /// How many more there are, up to 100.
    more: u64,
    /// There may be more than that.
    more_still: bool,
}

#[derive(Serialize)]
struct HitRow {
    /// `user`, `assistant`, `summary`, `call` or `output`.
    who: &'static str,
    /// The tool that was called.
    tool: Option<String>,
    /// Whether it was said to or by a sub-agent.
    agent: bool,
    time: Option<String>,
    /// The line, or of a long one the part around the first place.
    text: String,
    /// Where in `text`: first byte, byte after the last.
    marks: Vec<(usize, usize)>,
}

#[derive(Serialize)]
struct UnreadableRow<'a> {
    session: &'a SessionId,
    reason: &'a str,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    let request = request(args);
    let (report, sessions) = if args.json.json {
        collected(&request, app)?
    } else {
        (printed(&request, app)?, Vec::new())
    };
    if args.json.json {
        let row = |one| UnreadableRow::of(one);
        let unreadable = report.unreadable.iter().map(row).collect();
        app.print_json(
            "search",
            &Document {
                searched: report.sessions,
                sessions,
                unreadable,
            },
        )?;
    }
    for one in &report.unreadable {
        let session = short_id(one.session.as_str());
        app.out.attention(&format!(
            "not searched: session {session}: {}",
            one_line(&one.reason)
        ));
    }
    if report.found == 0 && !args.json.json {
        app.out.note(&format!(
            "search: nothing found in {}",
            count(report.sessions, "session")
        ));
    }
    Ok(exit(&report))
}

fn request(args: &Args) -> SearchRequest {
    let case = match (args.ignore_case, args.case_sensitive) {
        (true, _) => Case::Ignore,
        (_, true) => Case::Exact,
        _ => Case::Smart,
    };
    SearchRequest {
        text: args.text.clone(),
        regex: args.regex,
        case,
        project: args.project.clone(),
        from: args.from.clone(),
        hits: args.hits as usize,
    }
}

/// Nothing found is 1, as of `grep`; but where something could not be searched, nobody knows.
fn exit(report: &SearchReport) -> Exit {
    match (report.unreadable.is_empty(), report.found) {
        (false, _) => Exit::Skipped,
        (true, 0) => Exit::Failed,
        (true, _) => Exit::Done,
    }
}

/// Prints what is found as it is found.
fn printed(request: &SearchRequest, app: &mut App) -> Result<SearchReport, CliError> {
    let now = app.clock.now();
    let ctx = app.context()?;
    let mut out = app.secondary_output();
    let mut failed = None;
    let mut is_first = true;
    let report = crate::browse::search::run::search(&ctx, request, &mut |found| {
        let mut lines = hits::lines(&found, now);
        if !std::mem::take(&mut is_first) {
            lines.insert(0, String::new());
        }
        failed = out.data(&lines.join("\n")).err();
        failed.is_none() && !out.is_closed()
    })?;
    failed.map_or(Ok(report), |e| Err(CliError::stdout(e)))
}

fn collected(request: &SearchRequest, app: &App) -> Result<(SearchReport, Vec<Session>), CliError> {
    let mut sessions = Vec::new();
    let report = crate::browse::search::run::search(&app.context()?, request, &mut |found| {
        sessions.push(Session::of(found));
        true
    })?;
    Ok((report, sessions))
}

impl Session {
    fn of(found: SessionHits) -> Self {
        let SessionHits {
            name,
            hits,
            more,
            more_still,
        } = found;
        Self {
            session: name.session,
            project: name.project,
            title: name.title,
            machine: name.machine,
            last_activity: name.last_activity.map(json::time),
            fork_of: name.fork_of,
            hits: hits.into_iter().map(HitRow::of).collect(),
            more,
            more_still,
        }
    }
}

impl HitRow {
    fn of(hit: Hit) -> Self {
        let (who, tool) = match hit.voice {
            Speaker::User => ("user", None),
            Speaker::Assistant => ("assistant", None),
            Speaker::Summary => ("summary", None),
            Speaker::Call(tool) => ("call", Some(tool)),
            Speaker::Output => ("output", None),
        };
        let marks = hit
            .marks
            .into_iter()
            .map(|mark| (mark.start, mark.end))
            .collect();
        Self {
            who,
            tool,
            agent: hit.agent,
            time: hit.time.map(json::time),
            text: hit.text,
            marks,
        }
    }
}

impl<'a> UnreadableRow<'a> {
    fn of(one: &'a crate::browse::search::run::Unreadable) -> Self {
        Self {
            session: &one.session,
            reason: &one.reason,
        }
    }
}
