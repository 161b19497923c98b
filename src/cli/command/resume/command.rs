//! Runs `ccsync resume`: pull, choose, lock, run Claude Code with backups, push, release.

use std::path::{Path, PathBuf};

use super::args::{ResumeArgs, RunArgs};
use super::choose::ChosenSession;
use super::error::ResumeError;
use super::place::Place;
use super::run::{release, run_client};
use super::{choose, lease, place};
use crate::cli::{app::App, command::init, error::CliError, exit::Exit};
use crate::domain::SessionId;
use crate::flows::{PullRequest, pull::pull, push::push};
use crate::handoff::path_notice;
use crate::lock::record::RENEWAL;
use crate::project::difference;
use crate::report::{Outcome, Report};
use crate::session::{
    launch::Conversation, launch::Launch, launch::leaving_option, launch::session_option,
};
use crate::sys::{Clock, fail_point::fail_point, fs::write_atomic};
use crate::ui::sanitize;
use crate::workspace::{Context, Selection};

/// Notice about a session that was pulled without the remote.
const FROM_STORE: &str = "the session is from the store of this machine, as of the last fetch; \
     the remote was not contacted";

pub(in crate::cli) fn run(args: &ResumeArgs, app: &mut App) -> Result<Exit, CliError> {
    begin(&args.run, app)?;
    let ChosenSession {
        session,
        mut offline,
    } = choose::session(args, app)?;
    lease::refuse_if_open_here(&session, app)?;
    let mut locked = false;
    if !offline {
        match lease::acquire_lock(&session, args.take_over, app) {
            Ok(taken) => locked = taken,
            Err(e) if e.is_remote_trouble() => {
                lease::confirm_no_lock(&e.message(), false, app)?;
                offline = true;
            }
            Err(e) => return Err(e),
        }
    }

    let prepared = prepare(&session, args, offline, app);
    let prepared = prepared.inspect_err(|_| release(&session, app))?;
    let launch = Launch {
        conversation: Conversation::Resumed(&session),
        directory: &prepared.directory,
        path_notice: prepared.path_notice.as_deref(),
        args: &args.run.client,
    };
    run_client(&launch, &session, locked, app)
}

/// Refuses arguments that let Claude Code choose the session or go on elsewhere, and sets this
/// machine up.
pub(in crate::cli) fn begin(args: &RunArgs, app: &mut App) -> Result<(), CliError> {
    app.offline = args.offline;
    if let Some(option) = session_option(&args.client) {
        return Err(ResumeError::ChosenTwice(option.to_string_lossy().into_owned()).into());
    }
    if let Some(option) = leaving_option(&args.client) {
        return Err(ResumeError::LeavesTerminal(option.to_string_lossy().into_owned()).into());
    }
    init::ensure(app)
}

/// A session that can be continued on this machine.
struct PreparedSession {
    /// The directory in which Claude Code runs.
    directory: PathBuf,
    /// The file with the path notice for the model.
    path_notice: Option<PathBuf>,
}

/// Pulls the session and finds its directory.
fn prepare(
    session: &SessionId,
    args: &ResumeArgs,
    offline: bool,
    app: &mut App,
) -> Result<PreparedSession, CliError> {
    // Push new sessions first: the store knows where a session belongs, and the other
    // machines need to know it. A remote that has just not answered is not asked again.
    let ctx = Context {
        offline,
        ..app.context()?
    };
    push(&ctx, &Selection::default(), false)?;
    let begin = app.clock.now();
    let Place { directory, git } = place::directory(session, args, app)?;
    if !offline && app.clock.now() - begin >= RENEWAL {
        // An open question or a clone has delayed the renewal of the lock.
        lease::acquire_lock(session, false, app)?;
    }
    pull_session(session, &directory, offline, app)?;

    let difference = git.and_then(|git| difference(&directory, &git));
    if let Some(text) = difference.and_then(|tree| tree.describe()) {
        app.out.note(&sanitize::one_line(&text));
    }
    Ok(PreparedSession {
        path_notice: write_path_notice(session, &directory, app)?,
        directory,
    })
}

/// Pulls one session, for a run in `directory`; offline, from the store of this machine. A pinned
/// session stays in its earlier state.
fn pull_session(
    session: &SessionId,
    directory: &Path,
    offline: bool,
    app: &mut App,
) -> Result<(), CliError> {
    let request = PullRequest {
        sessions: vec![session.clone()],
        keep_pinned: true,
        directory: Some(directory.to_owned()),
        ..PullRequest::default()
    };
    let ctx = Context {
        offline,
        ..app.context()?
    };
    let report = pull(&ctx, &request)?;
    if offline && is_written(&report) {
        app.out.note(FROM_STORE);
    }
    app.show_notes(&report);
    let warnings = report.sessions.iter().flat_map(|session| &session.warnings);
    warnings.for_each(|warning| app.out.attention(&sanitize::one_line(warning)));
    refuse_unless_here(&report)
}

/// Returns true if the pull wrote the session, or a part of it.
fn is_written(report: &Report) -> bool {
    let mut outcomes = report.sessions.iter().map(|session| &session.outcome);
    outcomes.any(|outcome| matches!(outcome, Outcome::Added { .. } | Outcome::Extended { .. }))
}

/// Refuses a session that could not be pulled: its newest turns would become a fork.
fn refuse_unless_here(report: &Report) -> Result<(), CliError> {
    for session in &report.sessions {
        if let Outcome::Skipped { reason }
        | Outcome::NotPulled { reason }
        | Outcome::Excluded { reason, .. } = &session.outcome
        {
            let (session, reason) = (session.session.clone(), reason.clone());
            return Err(ResumeError::NotPulled { session, reason }.into());
        }
    }
    Ok(())
}

/// Writes the path notice, if the session needs one, for the hook that prints it.
fn write_path_notice(
    session: &SessionId,
    directory: &Path,
    app: &App,
) -> Result<Option<PathBuf>, CliError> {
    let Some(text) = path_notice::path_notice(&app.context()?, session, directory)? else {
        return Ok(None);
    };
    let path = path_notice::file(&app.env, session);
    write_atomic(&path, text.as_bytes())?;
    fail_point("the path notice is written");
    Ok(Some(path))
}
