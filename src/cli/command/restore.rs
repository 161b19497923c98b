//! `ccsync restore`: earlier states of sessions, from the history of the store.

use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::{CliError, Kind};
use crate::cli::exit::Exit;
use crate::domain::id::SessionId;
use crate::domain::when::{InvalidWhen, When};
use crate::history::restore::{RestoreReport, RestoreRequest, RestoreWhat, RestoredSession};
use crate::report::transfer::{ExtraOutcome, ExtraReport};
use crate::store::milestone::MilestoneName;
use crate::sys::clock::{Clock, of_local};
use crate::ui::format::{count, moment, short_id};
use crate::ui::prompt;
use crate::ui::report::{at_most, at_most_of, extras, remote, title};
use crate::ui::sanitize::one_line;
use crate::ui::style::{ATTENTION, GOOD, QUIET, paint};
use crate::ui::table::{Cell, Table};

/// So many sessions are put back without a question.
const A_FEW: usize = 3;

/// Put sessions back to an earlier state of the store's history
///
/// What is here is stored first, and what is replaced is kept: `ccsync undo` puts it back. A session that was put back stays so until
/// `ccsync pull SESSION`, or until it changes on another machine; what is said in it here becomes a fork. A session that is running here is
/// refused. A milestone brings memory, plans and CLAUDE.md back, too, as they were then; the next push sends that as this machine's change.
///
/// WHEN is a time (`2026-11-20T14:00:00Z`; `2026-11-20 14:00` or the end of `2026-11-20` in this machine's time zone; `2h`, `3d`, `2 weeks ago`)
/// or the id of a commit as `ccsync log` shows it.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["session", "milestone"]))]
pub(crate) struct Args {
    /// The session's id, or a beginning of it that only one has
    #[arg(requires = "at")]
    session: Option<SessionId>,
    /// To its state at this time, or in this commit
    #[arg(long, value_name = "WHEN", requires = "session")]
    at: Option<String>,
    /// Every session, to its state when this milestone was named
    #[arg(long, value_name = "NAME")]
    milestone: Option<MilestoneName>,
    /// As sessions of their own, with ids of their own; what is here stays as it is
    #[arg(long)]
    as_fork: bool,
    /// Show what would be done, and do nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask, however many sessions change
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// What goes wrong before anything is restored.
#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error("{0} would change, and there is nobody to ask")]
    NobodyToAsk(String),
}

/// JSON schema, version 1: the fields of [`RestoreReport`].
pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    let request = RestoreRequest {
        what: what(args, app)?,
        as_fork: args.as_fork,
        dry_run: args.dry_run,
    };
    if args.milestone.is_some() && !args.yes && !args.dry_run {
        let plan = crate::history::restore::restore(
            &app.context()?,
            &RestoreRequest {
                dry_run: true,
                ..request.clone()
            },
        )?;
        if plan.sessions.len() + files_put_back(&plan) > A_FEW {
            ask(&plan, app)?;
        }
    }
    let report = crate::history::restore::restore(&app.context()?, &request)?;
    if args.json.json {
        app.print_json("restore", &report)?;
    } else {
        let lines = lines(&report, app.out.screen().height, app.out.width());
        app.print(&lines)?;
        app.explain_queued(&report.remote);
        hint(&report, app);
    }
    let is_skipped = |file: &ExtraReport| matches!(file.outcome, ExtraOutcome::Skipped { .. });
    let is_whole = report.skipped.is_empty()
        && !report
            .extras
            .iter()
            .flat_map(|bundle| &bundle.files)
            .any(is_skipped);
    let skipped = if is_whole { Exit::Done } else { Exit::Skipped };
    Ok(skipped.max_severity(Exit::of_remote(&report.remote)))
}

fn what(args: &Args, app: &App) -> Result<RestoreWhat, CliError> {
    if let Some(name) = &args.milestone {
        return Ok(RestoreWhat::Milestone(name.clone()));
    }
    let (session, at) = args
        .session
        .as_ref()
        .zip(args.at.as_deref())
        .expect("the command line asks for both or a milestone");
    let when = When::parse(at, app.clock.now(), &of_local)?;
    Ok(RestoreWhat::Session(session.clone(), when))
}

fn ask(plan: &RestoreReport, app: &mut App) -> Result<(), CliError> {
    if !app.is_interactive() {
        return Err(RestoreError::NobodyToAsk(what_changes(plan)).into());
    }
    let height = app.out.screen().height;
    lines(plan, height.saturating_sub(2), app.out.width())
        .iter()
        .for_each(|line| app.out.note(line));
    let question = format!("Put {} back?", what_changes(plan));
    match prompt::confirm(&question).map_err(CliError::terminal)? {
        Some(true) => Ok(()),
        _ => Err(CliError::cancelled()),
    }
}

/// How many files beside sessions are put back.
fn files_put_back(report: &RestoreReport) -> usize {
    let files = report.extras.iter().flat_map(|bundle| &bundle.files);
    files
        .filter(|file| file.outcome == ExtraOutcome::PutBack)
        .count()
}

fn what_changes(plan: &RestoreReport) -> String {
    let files = count(files_put_back(plan) as u64, "file");
    let sessions = count(plan.sessions.len() as u64, "session");
    match (plan.sessions.len(), files_put_back(plan)) {
        (_, 0) => sessions,
        (0, _) => format!("{files} beside sessions"),
        _ => format!("{sessions} and {files} beside sessions"),
    }
}

impl From<RestoreError> for CliError {
    fn from(error: RestoreError) -> Self {
        let hints = [
            "to see which: the same with --dry-run",
            "if you are sure: the same with --yes",
        ];
        Self::new(Kind::Usage, error, hints.map(str::to_owned).to_vec())
    }
}

impl From<InvalidWhen> for CliError {
    fn from(error: InvalidWhen) -> Self {
        let hint =
            "for instance: --at \"2026-11-20 14:00\", --at 3d, or --at with a commit of ccsync log";
        Self::new(Kind::Usage, error, vec![hint.to_owned()])
    }
}

/// What was done, in one screen.
fn lines(report: &RestoreReport, height: usize, width: usize) -> Vec<String> {
    let mut table = Table::new(2, 1);
    report
        .sessions
        .iter()
        .for_each(|session| table.row(row(session, report.dry_run)));
    let mut shown = table.lines(width);
    for (at, session) in report.sessions.iter().enumerate().rev() {
        if let Some(fork) = &session.kept_as {
            shown.insert(
                at + 1,
                paint(
                    ATTENTION,
                    &format!("            what was said only here is kept as {fork}"),
                ),
            );
        }
    }
    let room = height.saturating_sub(4).max(1);
    if shown.len() > room {
        let more = shown.len() - (room - 1).min(shown.len());
        shown.truncate(room - 1);
        shown.push(at_most_of(more as u64, "more line", "--json"));
    }
    let skipped = report.skipped.iter().take(room);
    shown.extend(skipped.map(|s| {
        paint(
            ATTENTION,
            &format!(
                "  {}  skipped: {}",
                short_id(s.session.as_str()),
                one_line(&s.reason)
            ),
        )
    }));
    let files = report
        .extras
        .iter()
        .flat_map(|bundle| extras(bundle, report.dry_run, false))
        .collect();
    shown.extend(at_most(files, room, "files beside sessions"));
    shown.push(summary(report));
    shown
}

fn row(session: &RestoredSession, would: bool) -> Vec<Cell> {
    let what = match (&session.fork, would) {
        (Some(fork), false) => format!("is {}", short_id(fork.as_str())),
        (Some(fork), true) => format!("would become {}", short_id(fork.as_str())),
        (None, false) => "put back".to_owned(),
        (None, true) => "would be put back".to_owned(),
    };
    let turns = session
        .turns
        .map(|turns| count(turns, "turn"))
        .unwrap_or_default();
    let fewer = if session.lines_fewer > 0 {
        format!("-{}", count(session.lines_fewer, "line"))
    } else {
        String::new()
    };
    vec![
        Cell::new(short_id(session.session.as_str())).style(QUIET),
        Cell::new(title(session.title.as_deref())),
        Cell::new(what).style(GOOD),
        Cell::new(format!("as of {}", moment(session.time))),
        Cell::right(turns),
        Cell::right(count(session.lines, "line")),
        Cell::right(fewer),
    ]
}

fn summary(report: &RestoreReport) -> String {
    let mut counts = Vec::new();
    let what = if report.dry_run {
        "to be put back"
    } else {
        "put back"
    };
    let all = [
        (report.sessions.len() as u64, what),
        (report.unchanged, "as then already"),
        (report.newer, "newer, left as they are"),
        (
            files_put_back(report) as u64,
            if report.dry_run {
                "beside sessions to be put back"
            } else {
                "beside sessions put back"
            },
        ),
        (report.skipped.len() as u64, "skipped"),
    ];
    counts.extend(
        all.iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}")),
    );
    if counts.is_empty() {
        counts.push("no sessions".to_owned());
    }
    let dry = if report.dry_run {
        " (dry run, nothing was done)"
    } else {
        ""
    };
    format!(
        "restore{dry}: {}{}",
        counts.join(", "),
        remote(&report.remote, true)
    )
}

/// What may come next.
fn hint(report: &RestoreReport, app: &mut App) {
    if !report.dry_run && files_put_back(report) > 0 {
        app.out.hint(
            "the next push sends what was put back beside sessions to the other machines; to take it back: ccsync undo",
        );
    }
    match report.sessions.as_slice() {
        _ if report.dry_run => {}
        [
            RestoredSession {
                fork: Some(fork), ..
            },
        ] => app.out.hint(&format!("ccsync resume {fork}")),
        [one] if one.lines_fewer > 0 => {
            app.out.hint(&format!(
                "what came later is in the store: ccsync pull {}",
                one.session
            ));
        }
        _ => {}
    }
}
