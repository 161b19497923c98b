//! `ccsync search`: finds text in the sessions of all machines.

use serde::Serialize;

use crate::browse::search::pattern::Case;
use crate::browse::search::request::{SearchReport, SearchRequest};
use crate::cli::{
    app::App, args::JsonFlag, complete, error::CliError, error::CommandError, exit::Exit,
};
use crate::domain::{SessionId, Speaker, hit::Hit, hit::SessionHits};
use crate::sys::Clock;
use crate::ui::{format::count, format::short_id, hits, json, sanitize::one_line};

/// Find text in the sessions of all machines
///
/// Searches what you and the model wrote, and the arguments and output of tools,
/// sub-agents included: in the store as of the last fetch, and in sessions that only this
/// machine has. The most recent session comes first. Paths match as they are on this
/// machine. Case matters only if TEXT contains an upper-case letter.
///
/// Exits with 0 if something was found, 1 if nothing was, and 3 if a session could not be
/// searched.
#[derive(Debug, clap::Args)]
pub(crate) struct SearchArgs {
    /// Text to search for
    #[arg(value_name = "TEXT")]
    text: String,
    /// TEXT is a regular expression
    #[arg(long, short = 'e')]
    regex: bool,
    /// Ignore case
    #[arg(long, short)]
    ignore_case: bool,
    /// Match case
    #[arg(long, short = 's', conflicts_with = "ignore_case")]
    case_sensitive: bool,
    /// Only sessions whose project path contains this text
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Only sessions in which this machine wrote
    #[arg(long, value_name = "MACHINE", add = complete::machine())]
    from: Option<String>,
    /// Hits to print for each session; up to a hundred more are counted
    #[arg(long, value_name = "N", default_value_t = 3)]
    hits: u32,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document.
#[derive(Serialize)]
struct SearchDocument<'a> {
    /// Number of sessions that were searched.
    searched: u64,
    /// Sessions with hits, the most recent first.
    sessions: Vec<Session>,
    /// Sessions that could not be searched completely.
    unreadable: Vec<UnreadableRow<'a>>,
}

#[derive(Serialize)]
struct Session {
    session: SessionId,
    /// Portable path.
    project: Option<String>,
    title: Option<String>,
    /// The machine that wrote it last.
    machine: Option<String>,
    last_activity: Option<String>,
    fork_of: Option<SessionId>,
    /// The first ones.
    hits: Vec<HitRow>,
    /// Number of further hits, up to 100.
    more_hits: u64,
    /// There can be more hits than that.
    truncated: bool,
}

#[derive(Serialize)]
struct HitRow {
    /// `user`, `assistant`, `summary`, `call` or `output`.
    speaker: &'static str,
    /// The tool that was called.
    tool: Option<String>,
    /// In a message to or from a sub-agent.
    agent: bool,
    time: Option<String>,
    /// The line; of a long line, the part around the first match.
    text: String,
    /// Matches in `text`: first byte, byte after the last.
    matches: Vec<(usize, usize)>,
}

#[derive(Serialize)]
struct UnreadableRow<'a> {
    session: &'a SessionId,
    reason: &'a str,
}

pub(in crate::cli) fn run(args: &SearchArgs, app: &mut App) -> Result<Exit, CliError> {
    let request = request(args);
    let (report, sessions) = if args.json.json {
        collect(&request, app)?
    } else {
        (print_hits(&request, app)?, Vec::new())
    };
    if args.json.json {
        let row = |one| UnreadableRow::new(one);
        let unreadable = report.unreadable.iter().map(row).collect();
        app.print_json(
            "search",
            &SearchDocument {
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

fn request(args: &SearchArgs) -> SearchRequest {
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

/// Nothing found is 1, like in `grep`, but only if every session was searched.
fn exit(report: &SearchReport) -> Exit {
    match (report.unreadable.is_empty(), report.found) {
        (false, _) => Exit::Skipped,
        (true, 0) => Exit::Failed,
        (true, _) => Exit::Done,
    }
}

/// Prints each hit as soon as it is found.
fn print_hits(request: &SearchRequest, app: &mut App) -> Result<SearchReport, CliError> {
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
    failed.map_or(Ok(report), |e| Err(CommandError::Stdout(e).into()))
}

/// Searches, and returns all hits.
fn collect(request: &SearchRequest, app: &App) -> Result<(SearchReport, Vec<Session>), CliError> {
    let mut sessions = Vec::new();
    let report = crate::browse::search::run::search(&app.context()?, request, &mut |found| {
        sessions.push(Session::from_hits(found));
        true
    })?;
    Ok((report, sessions))
}

impl Session {
    fn from_hits(found: SessionHits) -> Self {
        let SessionHits {
            name,
            hits,
            more: more_hits,
            truncated,
        } = found;
        Self {
            session: name.session,
            project: name.project,
            title: name.title,
            machine: name.machine,
            last_activity: name.last_activity.map(json::time),
            fork_of: name.fork_of,
            hits: hits.into_iter().map(HitRow::from_hit).collect(),
            more_hits,
            truncated,
        }
    }
}

impl HitRow {
    fn from_hit(hit: Hit) -> Self {
        let (speaker, tool) = match hit.speaker {
            Speaker::User => ("user", None),
            Speaker::Assistant => ("assistant", None),
            Speaker::Summary => ("summary", None),
            Speaker::Call(tool) => ("call", Some(tool)),
            Speaker::Output => ("output", None),
        };
        let matches = hit
            .marks
            .into_iter()
            .map(|mark| (mark.start, mark.end))
            .collect();
        Self {
            speaker,
            tool,
            agent: hit.is_agent,
            time: hit.time.map(json::time),
            text: hit.text,
            matches,
        }
    }
}

impl<'a> UnreadableRow<'a> {
    fn new(one: &'a crate::browse::search::request::Unreadable) -> Self {
        Self {
            session: &one.session,
            reason: &one.reason,
        }
    }
}
