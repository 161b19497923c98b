//! Chooses the session: by its id, the most recent one, or from the list.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::args::ResumeArgs;
use super::error::{ResumeError, WITHOUT_LOCK};
use super::lease;
use crate::browse::list::{ListFilter, SessionRow};
use crate::cli::{app::App, error::CliError, error::CommandError};
use crate::domain::{
    PlaceholderName, Placeholders, PortablePath, ProjectIdentity, SessionId, Turn, composed,
    progress::Silent,
};
use crate::handoff::resume::{ResumeCandidate, ResumeCandidates, candidates, candidates_on_disk};
use crate::leasing::LockView;
use crate::lock::LockStatus;
use crate::rewrite::{collapse_path, expand_path};
use crate::sys::signal;
use crate::ui::format::{age, successor_note};
use crate::ui::picker::{Fetched, Item, Picked, PickerOptions, Preview, pick};
use crate::workspace::{Context, ExcludeReason, exclusion::identity_at};

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
    let (sender, fetched) = mpsc::channel();
    let picked = std::thread::scope(|scope| {
        let fetch = (!args.run.offline).then(|| {
            scope.spawn(move || {
                // The list may be closed.
                let _ = sender.send(fetch_items(&quiet, filter));
            })
        });
        let picked = ask(offered, fetch.as_ref().map(|_| &fetched), &ctx, app);
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
        Some(_) => ask(&offered, None, &ctx, app),
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
    fetch: Option<&Receiver<Fetched>>,
    ctx: &Context<'_>,
    app: &App,
) -> Result<SessionId, CliError> {
    let items = items(candidates, ctx);
    let options = PickerOptions {
        colors: app.stderr_colors,
        only_lines: app.env.only_lines,
        columns: app.out.width(),
    };
    let mut preview = LastTurns { ctx };
    let picked = pick(items, fetch, ctx.clock.now(), options, &mut preview);
    match picked.map_err(ResumeError::Picker)? {
        Picked::Chosen(session) => Ok(session),
        Picked::Cancelled => Err(CommandError::Cancelled.into()),
    }
}

fn items(candidates: &[ResumeCandidate], ctx: &Context<'_>) -> Vec<Item> {
    let now = ctx.clock.now();
    let current = CurrentProject::new(ctx);
    let placeholders = &ctx.settings.placeholders;
    let items = candidates
        .iter()
        .map(|candidate| item(candidate, &current, placeholders, now));
    items.collect()
}

/// The project of the current directory.
struct CurrentProject {
    /// The current directory, portable.
    directory: Option<PortablePath>,
    /// The identity of the clone that contains it.
    identity: Option<ProjectIdentity>,
}

impl CurrentProject {
    fn new(ctx: &Context<'_>) -> Self {
        let directory = ctx.env.directory.as_deref();
        Self {
            identity: directory.and_then(|directory| identity_at(ctx, directory)),
            directory: directory
                .map(|cwd| collapse_path(&ctx.settings.placeholders, &cwd.to_string_lossy())),
        }
    }

    /// Returns true if the session belongs to this project, in any clone of it.
    fn contains(&self, row: &SessionRow) -> bool {
        let is_below = |here: &PortablePath| {
            row.project
                .as_deref()
                .is_some_and(|p| is_same_or_below(here.as_str(), p))
        };
        self.directory.as_ref().is_some_and(is_below)
            || self.identity.is_some() && self.identity == identity(row)
    }
}

fn identity(row: &SessionRow) -> Option<ProjectIdentity> {
    row.identity.as_deref()?.parse().ok()
}

fn item(
    candidate: &ResumeCandidate,
    current: &CurrentProject,
    placeholders: &Placeholders,
    now: DateTime<Utc>,
) -> Item {
    let row = &candidate.row;
    Item {
        session: row.session.clone(),
        is_of_this_project: current.contains(row),
        last_activity: row.last_activity,
        project: row
            .project
            .as_deref()
            .map(|project| project_path(project, placeholders))
            .unwrap_or_default(),
        title: row.title.clone().unwrap_or_default(),
        first_words: row.first_prompt.clone().unwrap_or_default(),
        machine: row.machine.clone().unwrap_or_default(),
        bytes: row.bytes,
        lock: candidate.lock.as_ref().map(|lock| holder(lock, now)),
        is_fork: row.fork_of.is_some(),
        is_here: row.here,
    }
}

/// Returns the path of a project on this machine, with `~` for the home directory. A
/// project without a directory here keeps its portable path.
fn project_path(portable: &str, placeholders: &Placeholders) -> String {
    let home = placeholders.get(PlaceholderName::home().as_str()).cloned();
    let native = expand_path(&PortablePath::new(portable), placeholders);
    native.map_or_else(
        || portable.to_owned(),
        |native| collapse_path(&Placeholders::new(placeholders.system, home), &native).to_string(),
    )
}

/// Returns true if a portable path is `directory` or below it.
fn is_same_or_below(path: &str, directory: &str) -> bool {
    let (path, directory) = (composed(path), composed(directory));
    Path::new(&*path).starts_with(Path::new(&*directory))
}

/// Describes the holder of a session's lock in a few words.
fn holder(lock: &LockView, now: DateTime<Utc>) -> String {
    match (lock.record(), lock.status()) {
        (Some(_), Some(LockStatus::Expired { .. })) => "expired".to_owned(),
        (Some(_), _) if lock.is_own() => "this machine".to_owned(),
        (Some(record), _) => format!("{}, {}", record.host, age(record.renewed, now)),
        (None, _) => "unreadable".to_owned(),
    }
}

/// Shows the last turns of a session in the picker.
struct LastTurns<'a> {
    ctx: &'a Context<'a>,
}

impl Preview for LastTurns<'_> {
    fn turns(&mut self, session: &SessionId) -> Result<Vec<Turn>, String> {
        const MAX_TURNS: usize = 20;
        crate::browse::preview::last_turns(self.ctx, session, MAX_TURNS)
            .map_err(|e| CliError::from(e).message())
    }
}
