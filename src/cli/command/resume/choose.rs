//! Chooses the session: by its id, the most recent one, or from the list.

use std::sync::Arc;
use std::time::Duration;

use super::args::ResumeArgs;
use super::error::{ResumeError, WITHOUT_LOCK};
use super::lease;
use super::listed::{DiskSessions, items, surroundings};
use crate::browse::list::ListFilter;
use crate::cli::{app::App, error::CliError, error::CommandError};
use crate::domain::{SessionId, progress::Silent};
use crate::handoff::resume::{ResumeCandidate, ResumeCandidates, candidates, candidates_on_disk};
use crate::sys::signal;
use crate::ui::format::successor_note;
use crate::ui::picker::{Fetched, PickError, Picked, PickerOptions, Updates, pick};
use crate::workspace::{Context, ExcludeReason};

/// Interval between two checks of whether the fetch has ended.
const POLL: Duration = Duration::from_millis(10);

/// The session to continue.
pub(super) struct ChosenSession {
    pub(super) session: SessionId,
    /// Without a lock, because the remote is not reached.
    pub(super) offline: bool,
}

/// Returns the session that the arguments name, or that the user chooses.
pub(super) fn session(args: &ResumeArgs, app: &mut App) -> Result<ChosenSession, CliError> {
    let filter = ListFilter {
        project: args.project.clone(),
        from: args.from.clone(),
        ..ListFilter::default()
    };
    let offline = args.run.offline;
    if let Some(candidates) = list_on_disk(args, &filter, app)? {
        if offline {
            app.out.note(WITHOUT_LOCK);
        }
        let session = choose_during_fetch(&candidates, args, &filter, app)?;
        return Ok(ChosenSession { session, offline });
    }
    let candidates = candidates(&app.context()?, &filter)?;
    if let Some(reason) = &candidates.unreached {
        lease::confirm_no_lock(reason, offline, app)?;
    }
    Ok(ChosenSession {
        offline: offline || candidates.unreached.is_some(),
        session: session_of(candidates, args, app)?,
    })
}

/// Returns the sessions to choose from at once: none if the arguments name one, if the terminal
/// cannot show a list that changes, or if there is nothing yet.
fn list_on_disk(
    args: &ResumeArgs,
    filter: &ListFilter,
    app: &App,
) -> Result<Option<Vec<ResumeCandidate>>, CliError> {
    let is_named = args.session.is_some() || args.latest;
    if is_named || !app.is_interactive() || app.env.only_lines {
        return Ok(None);
    }
    let ctx = app.context()?;
    // An error is reported after the fetch, which may fix it.
    let mut offered = candidates_on_disk(&ctx, filter).unwrap_or_default();
    retain_offered(&mut offered);
    Ok((!offered.is_empty()).then_some(offered))
}

/// Shows the list, and fetches meanwhile.
fn choose_during_fetch(
    offered: &[ResumeCandidate],
    args: &ResumeArgs,
    filter: &ListFilter,
    app: &mut App,
) -> Result<SessionId, CliError> {
    let ctx = app.context()?;
    // The terminal shows the list.
    let quiet = Context {
        progress: Arc::new(Silent),
        interactive: false,
        ..app.context()?
    };
    let mut out = app.secondary_output();
    let mut updates = updates(&ctx)?;
    let picked = std::thread::scope(|scope| {
        let fetch = (!args.run.offline).then(|| {
            let fetch = updates.announce_fetch();
            scope.spawn(move || fetch.run(|| fetch_items(&quiet, filter)))
        });
        let picked = ask(offered, updates, args, &ctx, app);
        let Some(fetch) = fetch else {
            return picked;
        };
        if picked.is_ok() && !fetch.is_finished() {
            out.note("waiting for the remote");
        }
        // The fetch may be about to start a program, which an earlier interruption does not stop.
        while picked.is_err() && !fetch.is_finished() {
            signal::interrupt();
            ctx.clock.sleep(POLL);
        }
        picked
    })?;
    signal::check()?;
    Ok(picked)
}

fn fetch_items(ctx: &Context<'_>, filter: &ListFilter) -> Fetched {
    let mut candidates = candidates(ctx, filter).map_err(|e| CliError::from(e).message())?;
    if let Some(reason) = candidates.unreached {
        return Err(reason);
    }
    retain_offered(&mut candidates.sessions);
    Ok(items(&candidates.sessions, ctx))
}

/// Returns the session of these candidates that the arguments name, or that the user chooses.
fn session_of(
    candidates: ResumeCandidates,
    args: &ResumeArgs,
    app: &mut App,
) -> Result<SessionId, CliError> {
    if let Some(wanted) = &args.session {
        let found = candidates.find(wanted)?;
        let Some(latest) = candidates.successors.latest(&found).cloned() else {
            return refuse_excluded(found, &candidates);
        };
        app.out.note(&successor_note(&found, &latest));
        return refuse_excluded(latest, &candidates);
    }

    let ctx = app.context()?;
    let mut offered = candidates.sessions;
    retain_offered(&mut offered);
    match offered.first() {
        None => Err(ResumeError::Nothing.into()),
        Some(newest) if args.latest => Ok(newest.row.session.clone()),
        Some(_) if !app.is_interactive() => Err(ResumeError::NoTerminal.into()),
        Some(_) => ask(&offered, updates(&ctx)?, args, &ctx, app),
    }
}

/// Keeps the sessions that are offered.
fn retain_offered(candidates: &mut Vec<ResumeCandidate>) {
    candidates.retain(|candidate| exclude_reason(candidate).is_none());
}

/// Refuses an excluded session: other machines cannot continue it, so a lock would have
/// no effect.
fn refuse_excluded(
    session: SessionId,
    candidates: &ResumeCandidates,
) -> Result<SessionId, CliError> {
    let candidate = candidates
        .sessions
        .iter()
        .find(|candidate| candidate.row.session == session);
    match candidate.and_then(exclude_reason).cloned() {
        Some(why) => Err(ResumeError::Excluded { session, why }.into()),
        None => Ok(session),
    }
}

fn exclude_reason(candidate: &ResumeCandidate) -> Option<&ExcludeReason> {
    candidate
        .row
        .exclude_reason
        .as_ref()
        .filter(|why| why.is_permanent())
}

fn ask(
    candidates: &[ResumeCandidate],
    updates: Updates,
    args: &ResumeArgs,
    ctx: &Context<'_>,
    app: &App,
) -> Result<SessionId, CliError> {
    let options = PickerOptions {
        colors: app.stderr_colors,
        only_lines: app.env.only_lines,
        columns: app.out.width(),
        // A search for certain sessions is one in all projects.
        all_projects: args.project.is_some() || args.from.is_some(),
    };
    let (items, here) = (items(candidates, ctx), surroundings(ctx));
    let picked = pick(items, updates, here, options, &DiskSessions::new(ctx));
    match picked.map_err(ResumeError::Picker)? {
        Picked::Chosen(session) => Ok(session),
        Picked::Cancelled => Err(CommandError::Cancelled.into()),
    }
}

fn updates(ctx: &Context<'_>) -> Result<Updates, CliError> {
    let updates = Updates::new(ctx.clock.now());
    Ok(updates.map_err(|e| ResumeError::Picker(PickError::Terminal(e)))?)
}
