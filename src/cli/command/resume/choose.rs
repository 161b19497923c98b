//! Chooses the session: by its id, the most recent one, or from the list.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::args::ResumeArgs;
use super::error::ResumeError;
use crate::browse::list::SessionRow;
use crate::cli::{app::App, error::CliError, error::CommandError};
use crate::domain::{
    PlaceholderName, Placeholders, PortablePath, ProjectIdentity, SessionId, Turn,
};
use crate::handoff::{resume::ResumeCandidate, resume::ResumeCandidates};
use crate::leasing::LockView;
use crate::lock::LockStatus;
use crate::rewrite::{collapse_path, expand_path};
use crate::ui::format::{age, successor_note};
use crate::ui::picker::{Item, Picked, PickerOptions, Preview, pick};
use crate::workspace::{Context, ExcludeReason, exclusion::identity_at};

/// Returns the session that the arguments name, or that the user chooses.
pub(super) fn session(
    args: &ResumeArgs,
    candidates: ResumeCandidates,
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
    offered.retain(|candidate| exclude_reason(candidate).is_none());
    match offered.first() {
        None => Err(ResumeError::Nothing.into()),
        Some(newest) if args.latest => Ok(newest.row.session.clone()),
        Some(_) if !app.is_interactive() => Err(ResumeError::NoTerminal.into()),
        Some(_) => ask(&offered, &ctx, app),
    }
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
    ctx: &Context<'_>,
    app: &App,
) -> Result<SessionId, CliError> {
    let now = ctx.clock.now();
    let current = CurrentProject::new(ctx);
    let placeholders = &ctx.settings.placeholders;
    let items = candidates
        .iter()
        .map(|candidate| item(candidate, &current, placeholders, now))
        .collect();
    let options = PickerOptions {
        colors: app.stderr_colors,
        only_lines: app.env.only_lines,
        columns: app.out.width(),
    };
    match pick(items, now, options, &mut LastTurns { ctx }).map_err(ResumeError::Picker)? {
        Picked::Chosen(session) => Ok(session),
        Picked::Cancelled => Err(CommandError::Cancelled.into()),
    }
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
    Path::new(path).starts_with(Path::new(directory))
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
