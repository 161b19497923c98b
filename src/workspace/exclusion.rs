//! The settings that exclude sessions, ready to be applied.
//!
//! Owns the reasons for an exclusion. Must not find out anything about a session.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::checkouts::{clones::Clones, identity::portable};
use crate::config::{SecretsMode, Settings, SyncRules};
use crate::domain::{
    id::SessionId, pattern::Matcher, pattern::PatternSubject, pattern::ProjectNames,
    pattern::ProjectPattern, placeholder::Placeholders, project::ProjectIdentity, size::ByteSize,
};
use crate::rewrite::collapse_path;
use crate::sys::fs::resolve_links;
use crate::workspace::{context::Context, session_project::SessionProject};

/// Why a session is excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExcludeReason {
    /// Its project is excluded.
    Excluded(ProjectPattern),
    /// Some projects are included, and its project is not among them.
    NotIncluded,
    /// No record names its directory, so that the patterns cannot be applied.
    UnknownProject,
    /// The directory cannot be examined, so that patterns for git remotes cannot be applied.
    UnknownRemote {
        /// The working directory.
        directory: String,
        /// A pattern that may exclude the project.
        pattern: ProjectPattern,
    },
    /// It has more bytes.
    LargerThan(ByteSize),
    /// It had no activity for this many days.
    OlderThan(u32),
    /// It was deleted from the store.
    Deleted {
        /// Name of the machine that did, if known. Not sanitized.
        by: Option<String>,
    },
}

impl ExcludeReason {
    /// Returns true if new activity in the session would not end the exclusion.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::OlderThan(_) | Self::UnknownProject)
    }
}

/// The reason, with the command that changes it.
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
            Self::UnknownProject => {
                f.write_str("projects are excluded, and no record of it names its directory yet")
            }
            Self::UnknownRemote { directory, pattern } => write!(
                f,
                "its git remote is unknown, and `{pattern}` may exclude it: clone or create {}",
                directory.escape_debug()
            ),
            Self::LargerThan(size) => write!(
                f,
                "larger than {size}: ccsync config set max_size none, or SIZE"
            ),
            Self::OlderThan(days) => write!(
                f,
                "not active for {days} days: ccsync config set push_max_age none, or DAYS"
            ),
            Self::Deleted { by } => write!(
                f,
                "deleted from the store by {}; to bring it back: ccsync delete --undo SESSION",
                by.as_deref().unwrap_or("another machine")
            ),
        }
    }
}

/// The settings of this machine that exclude sessions, and what this run found out for them.
pub(crate) struct ExcludeRules {
    include: Vec<Matcher>,
    exclude: Vec<(ProjectPattern, Matcher)>,
    /// Treatment of secrets in some projects, and in the others.
    project_secrets: Vec<(Matcher, SecretsMode)>,
    secrets: SecretsMode,
    max_size: Option<ByteSize>,
    max_age: Option<u32>,
    /// Projects of sessions that the index did not have.
    new_projects: Mutex<BTreeMap<SessionId, SessionProject>>,
    /// Decisions of this run; many sessions share a project.
    decided: Mutex<HashMap<Vec<LocalProject>, Option<ExcludeReason>>>,
}

/// A directory in which a session worked. The first one of a session decides if it is included.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LocalProject {
    /// The working directory.
    pub(crate) directory: Option<String>,
    /// The normalized URL of its git remote.
    pub(crate) remote: Option<String>,
}

impl ExcludeRules {
    pub(crate) fn new(settings: &Settings) -> Self {
        let SyncRules {
            include,
            exclude,
            max_size,
            push_max_age: max_age,
            pull_max_age: _,
        } = &settings.sync;
        let compile = |pattern: &ProjectPattern| compile(pattern, &settings.placeholders);
        let exclude = exclude.iter();
        let exclude = exclude.filter_map(|pattern| Some((pattern.clone(), compile(pattern)?)));
        let project_secrets = settings.project_secrets.iter();
        let project_secrets =
            project_secrets.filter_map(|(pattern, mode)| Some((compile(pattern)?, *mode)));
        Self {
            include: include.iter().filter_map(compile).collect(),
            exclude: exclude.collect(),
            project_secrets: project_secrets.collect(),
            secrets: settings.secrets,
            max_size: *max_size,
            max_age: *max_age,
            new_projects: Mutex::default(),
            decided: Mutex::default(),
        }
    }

    /// Returns true if the settings include or exclude projects.
    pub(crate) fn ask_for_projects(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }

    /// Returns true if the treatment of secrets depends on the project.
    pub(crate) fn ask_for_secrets(&self) -> bool {
        !self.project_secrets.is_empty()
    }

    /// Returns the strictest treatment of secrets that the patterns give a project. An unknown
    /// remote is any remote.
    pub(crate) fn secrets_mode(&self, project: &ProjectNames<'_>, is_known: bool) -> SecretsMode {
        let modes = |accept: fn(&Matcher, &ProjectNames<'_>) -> bool| {
            let mut modes = self.project_secrets.iter();
            let modes = modes
                .by_ref()
                .filter(move |(matcher, _)| accept(matcher, project));
            modes.map(|(_, mode)| *mode).max()
        };
        let by_name = modes(|matcher, project| matcher.matches(project));
        let possible = modes(|matcher, _| matcher.depends_on_remote());
        let decided = by_name.unwrap_or(self.secrets);
        match possible {
            Some(possible) if !is_known => decided.max(possible).max(self.secrets),
            _ => decided,
        }
    }

    /// Returns a pattern that excludes projects by their git remote, if any.
    pub(crate) fn remote_pattern(&self) -> Option<&ProjectPattern> {
        let mut patterns = self.exclude.iter();
        patterns
            .find(|(_, matcher)| matcher.depends_on_remote())
            .map(|(pattern, _)| pattern)
    }

    /// Returns the first of the patterns that the settings still have.
    pub(crate) fn first_set(&self, patterns: &BTreeSet<ProjectPattern>) -> Option<ExcludeReason> {
        let mut set = self.exclude.iter().map(|(pattern, _)| pattern);
        let pattern = set.find(|pattern| patterns.contains(pattern))?;
        Some(ExcludeReason::Excluded(pattern.clone()))
    }

    /// Returns true if the settings exclude by age.
    pub(crate) fn ask_for_age(&self) -> bool {
        self.max_age.is_some()
    }

    /// Returns why every session of a project is excluded, if it is.
    pub(crate) fn by_project(&self, project: &ProjectNames<'_>) -> Option<ExcludeReason> {
        self.by_pattern(project).or_else(|| {
            let included = self.include.is_empty()
                || self.include.iter().any(|matcher| matcher.matches(project));
            (!included).then_some(ExcludeReason::NotIncluded)
        })
    }

    /// Returns the pattern that excludes a project, if any.
    pub(crate) fn by_pattern(&self, project: &ProjectNames<'_>) -> Option<ExcludeReason> {
        let matches = |(_, matcher): &&(_, Matcher)| matcher.matches(project);
        let (pattern, _) = self.exclude.iter().find(matches)?;
        Some(ExcludeReason::Excluded(pattern.clone()))
    }

    /// Returns why a session of this size is excluded, if it is.
    pub(crate) fn by_size(&self, bytes: u64) -> Option<ExcludeReason> {
        let max = self.max_size.filter(|max| bytes > max.bytes());
        max.map(ExcludeReason::LargerThan)
    }

    /// Returns why a session that was last active at `last` is excluded, if it is.
    pub(crate) fn by_age(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<ExcludeReason> {
        let days = self.max_age.filter(|days| !is_active(last, *days, now));
        days.map(ExcludeReason::OlderThan)
    }

    /// Returns true if `reason` holds for a project of this remote in any directory.
    pub(crate) fn hold_anywhere(&self, reason: &ExcludeReason, remote: Option<&str>) -> bool {
        let known_by_remote = ProjectNames {
            remote,
            ..ProjectNames::default()
        };
        match reason {
            ExcludeReason::Excluded(_) => self
                .exclude
                .iter()
                .any(|(_, matcher)| matcher.matches(&known_by_remote)),
            ExcludeReason::NotIncluded => self
                .include
                .iter()
                .all(|matcher| !matcher.depends_on_directory()),
            ExcludeReason::UnknownProject | ExcludeReason::UnknownRemote { .. } => false,
            ExcludeReason::LargerThan(_)
            | ExcludeReason::OlderThan(_)
            | ExcludeReason::Deleted { .. } => true,
        }
    }

    /// Returns the decision about a session's directories, from `decide` the first time.
    pub(crate) fn decision(
        &self,
        projects: Vec<LocalProject>,
        decide: impl FnOnce(&[LocalProject]) -> Option<ExcludeReason>,
    ) -> Option<ExcludeReason> {
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = decided.get(&projects) {
            return reason.clone();
        }
        let reason = decide(&projects);
        decided.insert(projects, reason.clone());
        reason
    }

    /// Returns the projects of sessions that this run read.
    pub(crate) fn new_projects(&self) -> MutexGuard<'_, BTreeMap<SessionId, SessionProject>> {
        self.new_projects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if `last` is less than `days` days before `now`.
pub(crate) fn is_active(last: DateTime<Utc>, days: u32, now: DateTime<Utc>) -> bool {
    (now - last).num_days() < i64::from(days)
}

/// Returns why the settings exclude every session in `directory`, if they do.
pub fn directory_exclude_reason(ctx: &Context<'_>, directory: &Path) -> Option<ExcludeReason> {
    let rules = ExcludeRules::new(&ctx.settings);
    if !rules.ask_for_projects() {
        return None;
    }
    let placeholders = &ctx.settings.placeholders;
    // Claude Code works with the resolved path.
    let real = resolve_links(directory);
    let clones = Clones::new(ctx.env, placeholders, ctx.clock);
    let facts = clones.facts(&real);
    let remote = facts.and_then(|facts| portable(facts, placeholders).identity);
    let real = real.to_str()?;
    let collapsed = collapse_path(placeholders, real);
    rules.by_project(&ProjectNames {
        directory: Some(real),
        portable: Some(collapsed.as_str()),
        remote: remote.as_ref().map(ProjectIdentity::as_str),
    })
}

/// Returns the identity of the clone that contains `directory`.
pub fn identity_at(ctx: &Context<'_>, directory: &Path) -> Option<ProjectIdentity> {
    Clones::new(ctx.env, &ctx.settings.placeholders, ctx.clock).record_at(directory)
}

/// Compiles a pattern for this machine. Without a directory for its placeholder it matches only
/// its own text.
pub(crate) fn compile(pattern: &ProjectPattern, placeholders: &Placeholders) -> Option<Matcher> {
    let path_forms = path_forms(pattern, placeholders);
    pattern.compile(&path_forms, placeholders.system).ok()
}

/// Returns the forms that the directory of a pattern may have in a record: Claude Code writes
/// resolved paths.
fn path_forms(pattern: &ProjectPattern, placeholders: &Placeholders) -> Vec<String> {
    let text = pattern.as_str();
    let mut path_forms = vec![text.to_owned()];
    let below = match pattern.subject() {
        PatternSubject::Directory => text.strip_prefix('~').map(|below| ("HOME", below)),
        PatternSubject::Placeholder => text
            .strip_prefix("{{")
            .and_then(|rest| rest.split_once("}}")),
        PatternSubject::Remote | PatternSubject::Anywhere => None,
    };
    if let Some((name, below)) = below
        && let Some(placeholder) = placeholders.get(name)
    {
        let real = resolve_links(Path::new(&placeholder.directory));
        let resolved = placeholder.resolved.as_deref();
        let paths = std::iter::once(placeholder.directory.as_str()).chain(resolved);
        let paths = paths.chain(real.to_str());
        path_forms.extend(paths.map(|path| format!("{}{below}", escape(path))));
    }
    if pattern.subject() == PatternSubject::Directory {
        let resolved: Vec<String> = path_forms.iter().filter_map(|s| resolve(s)).collect();
        path_forms.extend(resolved);
    }
    path_forms.sort();
    path_forms.dedup();
    path_forms
}

/// Escapes the characters of a path that mean something in a pattern.
fn escape(path: &str) -> String {
    path.chars()
        .flat_map(|c| "*?[]{}".contains(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// Resolves the links of the part of a pattern that is a plain path, also those that lead to a
/// disk that is away.
fn resolve(pattern: &str) -> Option<String> {
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
    let plain: Vec<&str> = pattern.split('/').take_while(is_plain).collect();
    let plain = plain.join("/");
    let rest = pattern.strip_prefix(&plain)?;
    let real = resolve_links(Path::new(&plain));
    let real = real.to_str()?.trim_end_matches('/');
    Some(format!("{}{rest}", escape(real)))
}
