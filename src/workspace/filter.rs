//! Which sessions travel, by the settings: what is left out, and why.
//!
//! The settings speak of projects, and the client's directory names do not say which project a session belongs to: its records do. So
//! what was read of each session is kept in the index, and read again when its transcript has changed. Without patterns nothing is read.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::checkouts::clones::WorkingTree;
use crate::checkouts::identity::portable;
use crate::checkouts::locate::{identity, is_below_repo};
use crate::config::{Choice, Settings};
use crate::domain::id::SessionId;
use crate::domain::path::PortablePath;
use crate::domain::pattern::{Matcher, ProjectNames, ProjectPattern, Subject};
use crate::domain::placeholder::Placeholders;
use crate::domain::project::ProjectIdentity;
use crate::domain::session_file::SessionFile;
use crate::domain::size::ByteSize;
use crate::flows::plan::Local;
use crate::rewrite::{collapse_path, expand_path};
use crate::session::discover::LocalSession;
use crate::session::facts::Facts;
use crate::store::manifest::Manifest;
use crate::workspace::context::Context;
use crate::workspace::index::{ProjectLocation, ProjectOfSession, StoreOnlySession};
use crate::workspace::open::Workspace;

/// Why a session is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExcludeReason {
    /// Its project is excluded.
    Excluded(ProjectPattern),
    /// There are projects that are included, and its is not among them.
    NotIncluded,
    /// It has more bytes.
    LargerThan(ByteSize),
    /// It was not active for so many days.
    OlderThan(u32),
}

impl ExcludeReason {
    /// Whether going on with the session would not change it.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::OlderThan(_))
    }
}

/// In words, with the command that changes it.
impl fmt::Display for ExcludeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Excluded(pattern) => write!(
                f,
                "`{pattern}` is excluded: ccsync config exclude --remove '{pattern}'"
            ),
            Self::NotIncluded => {
                f.write_str("its project is not included: ccsync config include PATTERN")
            }
            Self::LargerThan(size) => write!(
                f,
                "larger than {size}: ccsync config set max_size none, or SIZE"
            ),
            Self::OlderThan(days) => write!(
                f,
                "not active for {days} days: ccsync config set max_age none, or DAYS"
            ),
        }
    }
}

/// One run's own choice among what the settings let travel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only projects that one of these covers; none: all.
    pub projects: Vec<ProjectPattern>,
    /// Only sessions that were active in the last so many days.
    pub days: Option<u32>,
}

/// The settings, ready to be asked.
pub(crate) struct SessionFilter {
    include: Vec<Matcher>,
    exclude: Vec<(ProjectPattern, Matcher)>,
    max_size: Option<ByteSize>,
    max_age: Option<u32>,
    /// What was found out in this run.
    learned: Mutex<BTreeMap<SessionId, ProjectOfSession>>,
    /// What was decided in this run: many sessions share a project.
    decided: Mutex<HashMap<Project, Decision>>,
}

/// The working directory, and what the addresses of its remote have in common.
type Project = (Option<String>, Option<String>);

/// Whether a project is left out, and its portable path.
type Decision = (Option<ExcludeReason>, Option<String>);

impl SessionFilter {
    pub(crate) fn new(settings: &Settings) -> Self {
        let Choice {
            include,
            exclude,
            max_size,
            max_age,
        } = &settings.sync;
        let exclude = exclude.iter().filter_map(|pattern| {
            Some((pattern.clone(), matcher(pattern, &settings.placeholders)?))
        });
        Self {
            include: include
                .iter()
                .filter_map(|pattern| matcher(pattern, &settings.placeholders))
                .collect(),
            exclude: exclude.collect(),
            max_size: *max_size,
            max_age: *max_age,
            learned: Mutex::default(),
            decided: Mutex::default(),
        }
    }

    /// Whether it depends on the project what is left out.
    pub(crate) fn asks_for_projects(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }

    /// Whether a session of this project is left out, whatever is in it.
    pub(crate) fn leaves_out_project(&self, project: &ProjectNames<'_>) -> Option<ExcludeReason> {
        if let Some((pattern, _)) = self
            .exclude
            .iter()
            .find(|(_, matcher)| matcher.matches(project))
        {
            return Some(ExcludeReason::Excluded(pattern.clone()));
        }
        let included =
            self.include.is_empty() || self.include.iter().any(|matcher| matcher.matches(project));
        (!included).then_some(ExcludeReason::NotIncluded)
    }

    /// Whether a project of this remote is left out for the same reason wherever it lies.
    fn holds_anywhere(&self, why: &ExcludeReason, remote: Option<&str>) -> bool {
        let known_by_remote = ProjectNames {
            remote,
            ..ProjectNames::default()
        };
        match why {
            ExcludeReason::Excluded(_) => self
                .exclude
                .iter()
                .any(|(_, matcher)| matcher.matches(&known_by_remote)),
            ExcludeReason::NotIncluded => {
                self.include.iter().all(|matcher| !matcher.asks_for_place())
            }
            ExcludeReason::LargerThan(_) | ExcludeReason::OlderThan(_) => true,
        }
    }

    pub(crate) fn leaves_out_size(&self, bytes: u64) -> Option<ExcludeReason> {
        self.max_size
            .filter(|size| bytes > size.bytes())
            .map(ExcludeReason::LargerThan)
    }

    fn leaves_out_age(&self, session: &LocalSession, now: DateTime<Utc>) -> Option<ExcludeReason> {
        self.max_age
            .filter(|days| !is_active(session, *days, now))
            .map(ExcludeReason::OlderThan)
    }

    fn leaves_out_last_active(
        &self,
        last: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<ExcludeReason> {
        self.max_age
            .filter(|days| (now - last).num_days() >= i64::from(*days))
            .map(ExcludeReason::OlderThan)
    }

    /// What this run has found out, to be remembered.
    pub(crate) fn take_learned(&self) -> BTreeMap<SessionId, ProjectOfSession> {
        std::mem::take(&mut self.learned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether a push leaves a session of this machine out.
pub(crate) fn left_out(workspace: &Workspace<'_>, session: &LocalSession) -> Option<ExcludeReason> {
    let too_old = || {
        workspace
            .filter
            .leaves_out_age(session, workspace.ctx.clock.now())
    };
    stays_here(workspace, session).or_else(|| {
        if is_locked(workspace, session) {
            None
        } else {
            too_old()
        }
    })
}

/// Whether nothing that is said here in a session may go to the store.
pub(crate) fn stays_here(
    workspace: &Workspace<'_>,
    session: &LocalSession,
) -> Option<ExcludeReason> {
    let too_large = || workspace.filter.leaves_out_size(session.bytes());
    project_left_out(workspace, session).or_else(|| {
        if is_locked(workspace, session) {
            None
        } else {
            too_large()
        }
    })
}

/// A session that another program has stored.
pub(crate) struct ForeignSession<'a> {
    pub(crate) session: &'a SessionId,
    /// Portable path of its working directory.
    pub(crate) project: Option<PortablePath>,
    pub(crate) bytes: u64,
    /// Time of its newest record.
    pub(crate) last_activity: Option<DateTime<Utc>>,
}

/// Whether an import leaves out what another program has stored, as a push would if it lay here.
pub(crate) fn stranger_left_out(
    workspace: &Workspace<'_>,
    stranger: &ForeignSession<'_>,
) -> Option<ExcludeReason> {
    let by_project = || {
        let project = workspace
            .filter
            .asks_for_projects()
            .then_some(stranger.project.as_ref())
            .flatten();
        let directory =
            project.and_then(|path| expand_path(path, workspace.localizer.placeholders()));
        let here = directory
            .as_deref()
            .and_then(|path| workspace.localizer.clones().facts(Path::new(path)));
        let here =
            here.and_then(|facts| portable(facts, workspace.localizer.placeholders()).identity);
        let stored = || {
            workspace
                .store
                .head_snapshot()
                .ok()?
                .manifest(stranger.session)
                .ok()??
                .git?
                .identity
        };
        let remote = here.or_else(stored).map(String::from);
        let names = ProjectNames {
            directory: directory.as_deref(),
            portable: project.map(PortablePath::as_str),
            remote: remote.as_deref(),
        };
        workspace.filter.leaves_out_project(&names)
    };
    let by_others = || {
        let too_large = workspace.filter.leaves_out_size(stranger.bytes);
        too_large.or_else(|| {
            workspace
                .filter
                .leaves_out_last_active(stranger.last_activity?, workspace.ctx.clock.now())
        })
    };
    let is_locked = workspace.locks.any_claim(stranger.session).is_some();
    by_project().or_else(|| if is_locked { None } else { by_others() })
}

/// Whether an import leaves out a session in a copy of the client's directory, whose newest record is from `last_activity`: the times of
/// copied files say nothing.
pub(crate) fn exclude_reason(
    workspace: &Workspace<'_>,
    session: &LocalSession,
    last_activity: impl FnOnce() -> Option<DateTime<Utc>>,
) -> Option<ExcludeReason> {
    stays_here(workspace, session).or_else(|| {
        let asked = workspace.filter.max_age.is_some() && !is_locked(workspace, session);
        workspace
            .filter
            .leaves_out_last_active(asked.then(last_activity)??, workspace.ctx.clock.now())
    })
}

/// What is continued under a lock travels whatever its size and age: its lock would stand for turns that nobody else could get.
fn is_locked(workspace: &Workspace<'_>, session: &LocalSession) -> bool {
    workspace.locks.any_claim(&session.id).is_some()
}

/// Whether a pull leaves a session in the store of which nothing is here.
pub(crate) fn not_brought(workspace: &Workspace<'_>, manifest: &Manifest) -> Option<ExcludeReason> {
    let remote = identity(manifest).map(ProjectIdentity::as_str);
    let place = place(workspace, manifest);
    stored_left_out(
        workspace,
        place.as_ref().map(|place| place.path.as_str()),
        remote,
        manifest.local_bytes(),
    )
}

/// Where the project of a stored session is here, or would be, where the settings speak of projects.
pub(crate) fn place(workspace: &Workspace<'_>, manifest: &Manifest) -> Option<ProjectLocation> {
    let path = workspace
        .filter
        .asks_for_projects()
        .then(|| workspace.localizer.place_of_project(manifest))??
        .to_string();
    let remote = identity(manifest).filter(|_| is_below_repo(manifest));
    Some(ProjectLocation {
        path,
        trees: remote.map(|remote| tops(workspace.localizer.clones().present(remote))),
    })
}

/// As [`not_brought`], by what the index remembers.
pub(crate) fn remembered_left_out(
    workspace: &Workspace<'_>,
    known: &StoreOnlySession,
) -> Option<ExcludeReason> {
    stored_left_out(
        workspace,
        known.lies_at.as_ref().map(|place| place.path.as_str()),
        known.remote.as_deref(),
        known.bytes,
    )
}

/// Whether a session is left out still, as the index remembers it: its project may have come to lie elsewhere, where a clone has appeared. Looks
/// for one only if that would make a difference.
pub(crate) fn is_still_left_out(
    workspace: &Workspace<'_>,
    known: &StoreOnlySession,
    why: &ExcludeReason,
) -> bool {
    if workspace
        .filter
        .holds_anywhere(why, known.remote.as_deref())
    {
        return true;
    }
    let Some(ProjectLocation {
        path,
        trees: Some(trees),
    }) = &known.lies_at
    else {
        return true;
    };
    let Some(remote) = known
        .remote
        .as_deref()
        .and_then(|remote| ProjectIdentity::new(remote).ok())
    else {
        return true;
    };
    let clones = workspace.localizer.clones();
    if let Some(directory) =
        expand_path(&PortablePath::new(path), workspace.localizer.placeholders())
    {
        clones.learn_at(Path::new(&directory));
    }
    tops(clones.find(&remote)) == *trees
}

fn tops(trees: Vec<WorkingTree>) -> Vec<String> {
    trees
        .into_iter()
        .map(|tree| tree.top.to_string_lossy().into_owned())
        .collect()
}

fn stored_left_out(
    workspace: &Workspace<'_>,
    portable: Option<&str>,
    remote: Option<&str>,
    bytes: u64,
) -> Option<ExcludeReason> {
    let directory = portable
        .and_then(|path| expand_path(&PortablePath::new(path), workspace.localizer.placeholders()));
    let names = ProjectNames {
        directory: directory.as_deref(),
        portable,
        remote,
    };
    workspace
        .filter
        .leaves_out_project(&names)
        .or_else(|| workspace.filter.leaves_out_size(bytes))
}

fn project_left_out(workspace: &Workspace<'_>, session: &LocalSession) -> Option<ExcludeReason> {
    if workspace.filter.asks_for_projects() {
        decision(workspace, &project_of(workspace, session)).0
    } else {
        None
    }
}

fn decision(workspace: &Workspace<'_>, known: &ProjectOfSession) -> Decision {
    let key = (known.directory.clone(), known.remote.clone());
    let mut decided = workspace
        .filter
        .decided
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let decide = || {
        with_names(workspace, known, |names| {
            (
                workspace.filter.leaves_out_project(names),
                names.portable.map(str::to_owned),
            )
        })
    };
    decided.entry(key).or_insert_with(decide).clone()
}

/// Asks `question` of the names by which a project is known.
fn with_names<T>(
    workspace: &Workspace<'_>,
    known: &ProjectOfSession,
    question: impl FnOnce(&ProjectNames<'_>) -> T,
) -> T {
    let portable = known
        .directory
        .as_deref()
        .map(|directory| collapse_path(workspace.localizer.placeholders(), directory));
    question(&ProjectNames {
        directory: known.directory.as_deref(),
        portable: portable.as_ref().map(PortablePath::as_str),
        remote: known.remote.as_deref(),
    })
}

/// The portable path of the project of a session, where the settings speak of projects.
pub(crate) fn known_project(workspace: &Workspace<'_>, session: &LocalSession) -> Option<String> {
    if workspace.filter.asks_for_projects() {
        decision(workspace, &project_of(workspace, session)).1
    } else {
        None
    }
}

fn project_of(workspace: &Workspace<'_>, session: &LocalSession) -> ProjectOfSession {
    let learned = || {
        workspace
            .filter
            .learned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&session.id)
            .cloned()
    };
    if let Some(known) = workspace
        .index
        .project_of(session)
        .cloned()
        .or_else(learned)
    {
        return known;
    }
    let read = read_project(workspace, session);
    let mut learned = workspace
        .filter
        .learned
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    learned.insert(session.id.clone(), read.clone());
    read
}

/// Reads the first records, and the repository of the directory that they name; where that is not here, what the store has of it.
fn read_project(workspace: &Workspace<'_>, session: &LocalSession) -> ProjectOfSession {
    let mut facts = Facts::default();
    let first = Local {
        session,
        live: false,
    }
    .open(&SessionFile::Transcript, 0)
    .and_then(|mut text| text.next_lines());
    facts.absorb(&first.unwrap_or_default());
    let directory = facts.project(session.directory_name()).map(str::to_owned);
    let here = directory
        .as_deref()
        .and_then(|directory| workspace.localizer.clones().facts(Path::new(directory)));
    let here = here.and_then(|facts| portable(facts, workspace.localizer.placeholders()).identity);
    let stored = || {
        workspace
            .store
            .head_snapshot()
            .ok()?
            .manifest(&session.id)
            .ok()??
            .git?
            .identity
    };
    let remote = here.or_else(stored).map(String::from);
    ProjectOfSession::new(session, directory, remote)
}

impl Selection {
    /// Whether it is everything.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The sessions that it takes, for a function that may be asked often.
    pub(crate) fn predicate<'w>(
        &self,
        workspace: &'w Workspace<'_>,
    ) -> impl Fn(&LocalSession) -> bool + use<'w> {
        let placeholders = workspace.localizer.placeholders();
        let matchers: Vec<Matcher> = self
            .projects
            .iter()
            .filter_map(|pattern| matcher(pattern, placeholders))
            .collect();
        let (days, all, now) = (
            self.days,
            self.projects.is_empty(),
            workspace.ctx.clock.now(),
        );
        move |session| {
            days.is_none_or(|days| is_active(session, days, now))
                && (all
                    || with_names(workspace, &project_of(workspace, session), |names| {
                        matchers.iter().any(|m| m.matches(names))
                    }))
        }
    }
}

/// Whether the settings leave out what is said in `directory`.
pub fn directory_left_out(ctx: &Context<'_>, directory: &Path) -> Option<ExcludeReason> {
    let filter = SessionFilter::new(&ctx.settings);
    if !filter.asks_for_projects() {
        return None;
    }
    let placeholders = &ctx.settings.placeholders;
    // The client works with the resolved path.
    let real = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    let real = real.to_str()?;
    let remote = crate::project::read(Path::new(real))
        .and_then(|facts| portable(facts, placeholders).identity);
    let (collapsed, remote) = (
        collapse_path(placeholders, real),
        remote.as_ref().map(ProjectIdentity::as_str),
    );
    filter.leaves_out_project(&ProjectNames {
        directory: Some(real),
        portable: Some(collapsed.as_str()),
        remote,
    })
}

/// Whether the transcript was written to in the last so many days. A pull gives it the time of its newest record.
fn is_active(session: &LocalSession, days: u32, now: DateTime<Utc>) -> bool {
    let modified =
        DateTime::from_timestamp_nanos(session.files[&SessionFile::Transcript].modified_ns);
    (now - modified).num_days() < i64::from(days)
}

/// A pattern for this machine. One that says nothing here (a placeholder of other machines) matches by its own words.
fn matcher(pattern: &ProjectPattern, placeholders: &Placeholders) -> Option<Matcher> {
    pattern
        .compile(&spellings(pattern, placeholders), placeholders.system)
        .ok()
}

/// How the directory of a pattern may be spelled in a record: the client writes resolved paths.
fn spellings(pattern: &ProjectPattern, placeholders: &Placeholders) -> Vec<String> {
    let text = pattern.as_str();
    let mut spellings = vec![text.to_owned()];
    let below = match pattern.subject() {
        Subject::Directory => text.strip_prefix('~').map(|below| ("HOME", below)),
        Subject::Placeholder => text
            .strip_prefix("{{")
            .and_then(|rest| rest.split_once("}}")),
        Subject::Remote | Subject::Anywhere => None,
    };
    if let Some((name, below)) = below
        && let Some(root) = placeholders.get(name)
    {
        let paths = std::iter::once(root.path.as_str()).chain(root.resolved.as_deref());
        spellings.extend(paths.map(|path| format!("{}{below}", escaped(path))));
    }
    if pattern.subject() == Subject::Directory {
        let resolved: Vec<String> = spellings
            .iter()
            .filter_map(|spelling| resolved(spelling))
            .collect();
        spellings.extend(resolved);
    }
    spellings
}

/// A path in which nothing is a pattern.
fn escaped(path: &str) -> String {
    path.chars()
        .flat_map(|c| "*?[]{}".contains(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// A pattern with links resolved as far as it is a plain path that exists.
fn resolved(pattern: &str) -> Option<String> {
    let plain = pattern
        .split('/')
        .take_while(|part| !part.contains(['*', '?', '[', '{', '\\']));
    let plain = plain.collect::<Vec<_>>().join("/");
    let (real, rest) = Path::new(&plain).ancestors().find_map(|path| {
        let real = path.canonicalize().ok()?;
        Some((real, pattern.strip_prefix(path.to_str()?)?))
    })?;
    Some(format!(
        "{}{rest}",
        escaped(real.to_str()?.trim_end_matches('/'))
    ))
}
