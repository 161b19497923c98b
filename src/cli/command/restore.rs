//! `ccsync restore`: restores earlier states of sessions from the history of the store.

use crate::cli::{
    app::App, args::JsonFlag, ask, complete, error::CliError, error::CommandError, exit::Exit,
};
use crate::domain::{SessionId, history_point::HistoryPoint};
use crate::history::restore_request::{
    RestoreReport, RestoreRequest, RestoreWhat, RestoredSession,
};
use crate::report::{ExtraOutcome, ExtraReport};
use crate::store::milestone::MilestoneName;
use crate::sys::{Clock, clock::to_local};
use crate::ui::{
    ATTENTION, Cell, QUIET, Table, extras, format::count, format::moment, format::short_id,
    report::at_most, report::at_most_of, report::remote, report::title, sanitize::one_line,
    style::GOOD, style::paint,
};

/// Maximum number of sessions and files that are restored without confirmation.
const MAX_UNCONFIRMED: usize = 3;

/// Restore sessions to an earlier state
///
/// Data that is only here is stored first, and replaced files are kept: `ccsync undo`
/// reverts a restore. A restored session stays in that state until `ccsync pull SESSION`,
/// or until another machine changes it. If you continue it here, your version becomes a
/// fork. A session that is open in Claude Code is refused. --milestone also restores
/// memory, plans and CLAUDE.md; the next push sends them as a change of this machine.
///
/// WHEN is a time (`2026-11-20T14:00:00Z`; `2026-11-20 14:00` or the end of `2026-11-20`
/// in this machine's time zone; `2h`, `3d`, `2 weeks ago`, `yesterday`, `last friday`) or
/// the id of a commit that `ccsync log` shows.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["session", "milestone"]))]
pub(crate) struct RestoreArgs {
    /// Session id or unique prefix
    #[arg(requires = "at", add = complete::session())]
    session: Option<SessionId>,
    /// Restore the state at this time, or in this commit
    #[arg(long, value_name = "WHEN", requires = "session")]
    at: Option<String>,
    /// Restore every session to its state at this milestone
    #[arg(long, value_name = "NAME", add = complete::milestone())]
    milestone: Option<MilestoneName>,
    /// Restore as a new session; leave the current one alone
    #[arg(long)]
    as_fork: bool,
    /// Show what would be done and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: the fields of [`RestoreReport`].
pub(in crate::cli) fn run(args: &RestoreArgs, app: &mut App) -> Result<Exit, CliError> {
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
        if plan.sessions.len() + restored_extras(&plan) > MAX_UNCONFIRMED {
            confirm(&plan, app)?;
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
    Ok(skipped.max_severity(Exit::from_remote(&report.remote)))
}

fn what(args: &RestoreArgs, app: &App) -> Result<RestoreWhat, CliError> {
    if let Some(name) = &args.milestone {
        return Ok(RestoreWhat::Milestone(name.clone()));
    }
    let (session, at) = args
        .session
        .as_ref()
        .zip(args.at.as_deref())
        .expect("the command line asks for both or a milestone");
    let when = HistoryPoint::parse(at, &to_local(app.clock.now()))?;
    Ok(RestoreWhat::Session(session.clone(), when))
}

fn confirm(plan: &RestoreReport, app: &mut App) -> Result<(), CliError> {
    app.require_terminal(format!("restoring {}", summary_of(plan)))?;
    let height = app.out.screen().height;
    lines(plan, height.saturating_sub(2), app.out.width())
        .iter()
        .for_each(|line| app.out.note(line));
    let question = format!("Restore {}?", summary_of(plan));
    if ask::confirm(&question)? {
        return Ok(());
    }
    Err(CommandError::Declined("nothing was restored".to_owned()).into())
}

/// Returns the number of restored extras.
fn restored_extras(report: &RestoreReport) -> usize {
    let files = report.extras.iter().flat_map(|bundle| &bundle.files);
    files
        .filter(|file| file.outcome == ExtraOutcome::Restored)
        .count()
}

fn summary_of(plan: &RestoreReport) -> String {
    let extras = count(restored_extras(plan) as u64, "extra");
    let sessions = count(plan.sessions.len() as u64, "session");
    match (plan.sessions.len(), restored_extras(plan)) {
        (_, 0) => sessions,
        (0, _) => extras,
        _ => format!("{sessions} and {extras}"),
    }
}

/// Returns the report, which fits one screen.
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
                    &format!("            new lines of this machine are kept as {fork}"),
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
        .flat_map(|bundle| extras::lines(bundle, report.dry_run, false))
        .collect();
    shown.extend(at_most(files, room, "extras"));
    shown.push(summary(report));
    shown
}

fn row(session: &RestoredSession, would: bool) -> Vec<Cell> {
    let what = match (&session.fork, would) {
        (Some(fork), false) => format!("is {}", short_id(fork.as_str())),
        (Some(fork), true) => format!("would become {}", short_id(fork.as_str())),
        (None, false) => "restored".to_owned(),
        (None, true) => "would be restored".to_owned(),
    };
    let turns = session
        .turns
        .map(|turns| count(turns, "turn"))
        .unwrap_or_default();
    let fewer = if session.lines_removed > 0 {
        format!("-{}", count(session.lines_removed, "line"))
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
        "to be restored"
    } else {
        "restored"
    };
    let all = [
        (report.sessions.len() as u64, what),
        (report.unchanged, "unchanged"),
        (report.newer, "newer, kept"),
        (
            restored_extras(report) as u64,
            if report.dry_run {
                "extras to be restored"
            } else {
                "extras restored"
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

/// Suggests the next command.
fn hint(report: &RestoreReport, app: &mut App) {
    if !report.dry_run && restored_extras(report) > 0 {
        app.out.hint(
            "the next push sends the restored extras to the other machines; to revert: `ccsync undo`",
        );
    }
    match report.sessions.as_slice() {
        _ if report.dry_run => {}
        [
            RestoredSession {
                fork: Some(fork), ..
            },
        ] => app
            .out
            .hint(&format!("to continue it: `ccsync resume {fork}`")),
        [one] if one.lines_removed > 0 => {
            app.out.hint(&format!(
                "the later state is in the store: `ccsync pull {}`",
                one.session
            ));
        }
        _ => {}
    }
}
