//! Runs `ccsync resume`: pull, choose, lock, run Claude Code with backups, push, release.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::args::ResumeArgs;
use super::error::ResumeError;
use super::run::{give_back, run_client};
use super::{choose, lease, place};
use crate::browse::list::ListFilter;
use crate::cli::app::App;
use crate::cli::command::init;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::id::SessionId;
use crate::flows::pull_request::PullRequest;
use crate::lock::record::RENEWAL;
use crate::project::difference;
use crate::report::transfer::{Outcome, Report};
use crate::session::launch::{Conversation, Launch, session_option};
use crate::sys::clock::Clock;
use crate::sys::fail_point::fail_point;
use crate::sys::fs::write_atomic;
use crate::ui::sanitize;
use crate::workspace::filter::Selection;

pub(in crate::cli) fn run(args: &ResumeArgs, app: &mut App) -> Result<Exit, CliError> {
    begin(&args.run.client, app)?;
    let filter = ListFilter {
        project: args.project.clone(),
        from: args.from.clone(),
        ..ListFilter::default()
    };
    let candidates = crate::handoff::resume::candidates(&app.context()?, &filter)?;
    let offline = candidates.unreached.is_some();
    if let Some(reason) = &candidates.unreached {
        lease::agree_to_go_on_alone(reason, args.run.offline, app)?;
    }
    let session = choose::session(args, candidates, app)?;
    lease::refuse_if_open_here(&session, app)?;
    if !offline {
        lease::take(&session, args.take_over, app)?;
    }
    let prepared = prepare(&session, offline, app);
    let (directory, note) = match prepared {
        Ok(prepared) => prepared,
        Err(e) => {
            give_back(&session, app);
            return Err(e);
        }
    };
    let launch = Launch {
        conversation: Conversation::Resumed(&session),
        directory: &directory,
        path_notice: note.as_deref(),
        args: &args.run.client,
    };
    run_client(&launch, &session, !offline, app)
}

/// Before anything else: the session is chosen here and not by the client, and this machine is set up.
pub(in crate::cli) fn begin(for_client: &[OsString], app: &mut App) -> Result<(), CliError> {
    match session_option(for_client) {
        Some(option) => Err(ResumeError::ChosenTwice(option.to_string_lossy().into_owned()).into()),
        None => init::ensure(app),
    }
}

/// Brings the session here. Gives the directory in which the client runs, and the file with what the model is told.
fn prepare(
    session: &SessionId,
    offline: bool,
    app: &mut App,
) -> Result<(PathBuf, Option<PathBuf>), CliError> {
    // What was never pushed is pushed first: the store knows where a session belongs, and the other machines should know of it.
    crate::flows::push::push(&app.context()?, &Selection::default(), false)?;
    let asked = app.clock.now();
    let (directory, git) = place::directory(session, app)?;
    if !offline {
        if app.clock.now() - asked >= RENEWAL {
            // A question was open, or a clone took its time, and nobody has given a sign of life.
            lease::take(session, false, app)?;
        }
        // What was put back to an earlier state is continued from there.
        let request = PullRequest {
            sessions: vec![session.clone()],
            keep_pinned: true,
            ..PullRequest::default()
        };
        let report = crate::flows::pull::pull(&app.context()?, &request)?;
        app.show_notes(&report);
        refuse_unless_here(&report)?;
    }
    if let Some(words) = git
        .and_then(|git| difference(&directory, &git))
        .and_then(|tree| tree.describe())
    {
        app.out.note(&sanitize::one_line(&words));
    }
    let note = tell(session, &directory, app)?;
    Ok((directory, note))
}

/// A session that could not be brought up to date is not continued: its newest turns would become a fork.
fn refuse_unless_here(report: &Report) -> Result<(), CliError> {
    let refused = report
        .sessions
        .iter()
        .find_map(|session| match &session.outcome {
            Outcome::Skipped { reason }
            | Outcome::NotPulled { reason }
            | Outcome::Excluded { reason, .. } => Some((session.session.clone(), reason.clone())),
            _ => None,
        });
    refused.map_or(Ok(()), |(session, reason)| {
        Err(ResumeError::NotBrought { session, reason }.into())
    })
}

/// Writes down what the model is told, for the hook that prints it.
fn tell(session: &SessionId, directory: &Path, app: &App) -> Result<Option<PathBuf>, CliError> {
    let Some(text) = crate::handoff::path_notice::path_notice(&app.context()?, session, directory)?
    else {
        return Ok(None);
    };
    let path = app
        .env
        .dirs
        .state
        .join("told")
        .join(format!("{session}.txt"));
    write_atomic(&path, text.as_bytes())?;
    fail_point("the path notice is written");
    Ok(Some(path))
}
