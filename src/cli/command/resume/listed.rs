//! The rows of the session list, and what it shows and changes of a session on this disk.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::browse::list::SessionRow;
use crate::browse::preview::last_turns;
use crate::cli::error::CliError;
use crate::domain::{
    PlaceholderName, Placeholders, PortablePath, ProjectIdentity, SessionId, Turn, composed,
};
use crate::handoff::rename::rename;
use crate::handoff::resume::ResumeCandidate;
use crate::leasing::LockView;
use crate::lock::LockStatus;
use crate::project::read;
use crate::rewrite::{collapse_path, expand_path};
use crate::ui::format::age;
use crate::ui::picker::{Item, SessionSource, Surroundings};
use crate::workspace::{Context, exclusion::identity_at};

/// Maximum number of turns in a preview.
const MAX_TURNS: usize = 20;

/// The sessions on this disk.
pub(super) struct DiskSessions<'a> {
    ctx: &'a Context<'a>,
}

impl<'a> DiskSessions<'a> {
    pub(super) fn new(ctx: &'a Context<'a>) -> Self {
        Self { ctx }
    }
}

impl SessionSource for DiskSessions<'_> {
    fn turns(&self, session: &SessionId) -> Result<Vec<Turn>, String> {
        let turns = last_turns(self.ctx, session, MAX_TURNS);
        turns.map_err(|e| CliError::from(e).message())
    }

    fn rename(&self, session: &SessionId, title: &str) -> Result<String, String> {
        let renamed = rename(self.ctx, session, title);
        renamed.map_err(|e| CliError::from(e).message())
    }
}

/// Returns the branch of the current directory, and this machine.
pub(super) fn surroundings(ctx: &Context<'_>) -> Surroundings {
    let git = ctx.env.directory.as_deref().and_then(read);
    let branch = git.and_then(|git| git.branch);
    Surroundings {
        branch: branch.map(|branch| branch.to_string()),
        machine: ctx.settings.machine.name.clone(),
    }
}

/// Returns the rows of the picker.
pub(super) fn items(candidates: &[ResumeCandidate], ctx: &Context<'_>) -> Vec<Item> {
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
        branch: row.branch.clone().unwrap_or_default(),
        title: row.title.clone().unwrap_or_default(),
        first_words: row.first_prompt.clone().unwrap_or_default(),
        machine: row.machine.clone().unwrap_or_default(),
        bytes: row.bytes,
        lock: candidate.lock.as_ref().map(|lock| holder(lock, now)),
        tag: row.tag.clone().unwrap_or_default(),
        is_fork: row.fork_of.is_some(),
        is_here: row.here,
        is_headless: row.headless,
        is_archived: row.archived,
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
