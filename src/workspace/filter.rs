//! Which sessions the settings exclude from a push, a pull or an import.
//!
//! The settings name projects, and the directory names of Claude Code do not say which project a
//! session belongs to: its records do. So the project of each session is kept in the index, and
//! read again when its transcript has changed. Without patterns nothing is read.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::checkouts::{
    clones::WorkingTree, identity::portable, locate::identity, locate::is_below_repo,
    locate::place_of, remote_at::RemoteAt, remote_at::remote_at,
};
use crate::domain::{
    id::SessionId, path::PortablePath, pattern::Matcher, pattern::PatternSubject,
    pattern::ProjectNames, pattern::ProjectPattern, project::ProjectIdentity,
    session_file::SessionFile,
};
use crate::localize::{localizer::Localizer, stored_text::LocalText};
use crate::rewrite::collapse_path;
use crate::session::{LocalSession, mentions::Mentions};
use crate::store::{Store, manifest::Manifest};
use crate::sys::fs::{existing_spelling, resolve_links};
use crate::workspace::exclusion::{ExcludeReason, ExcludeRules, LocalProject, compile, is_active};
use crate::workspace::index::{Index, ProjectLocation, StoreOnlySession};
use crate::workspace::leases::Leases;
use crate::workspace::session_map::SessionMap;
use crate::workspace::session_project::SessionProject;

/// The sessions that one run is restricted to, among those that the settings do not exclude.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only projects that match one of these; empty: all.
    pub projects: Vec<ProjectPattern>,
    /// Only sessions with activity in the last days.
    pub days: Option<u32>,
    /// Also what was removed from the history of the remote.
    pub again: bool,
}

/// A session that another program stored.
pub(crate) struct ForeignSession<'a> {
    pub(crate) session: &'a SessionId,
    /// Portable path of its working directory.
    pub(crate) project: Option<PortablePath>,
    pub(crate) bytes: u64,
    /// Time of its newest record.
    pub(crate) last_activity: Option<DateTime<Utc>>,
}

/// Applies the settings to sessions.
#[derive(Clone, Copy)]
pub(crate) struct SessionFilter<'w> {
    pub(crate) rules: &'w ExcludeRules,
    pub(crate) localizer: &'w Localizer,
    pub(crate) store: &'w Store,
    pub(crate) index: &'w Index,
    pub(crate) projects: &'w SessionMap<SessionProject>,
    pub(crate) leases: &'w Leases,
    pub(crate) now: DateTime<Utc>,
}

impl<'w> SessionFilter<'w> {
    /// Returns why a push excludes a session of this machine, if it does.
    pub(crate) fn push_exclude_reason(&self, session: &LocalSession) -> Option<ExcludeReason> {
        let by_age = || self.rules.by_age(last_write(session), self.now);
        self.local_only_reason(session)
            .or_else(|| self.unless_locked(&session.id, by_age))
    }

    /// Returns why nothing of a session may go to the store, if it may not.
    pub(crate) fn local_only_reason(&self, session: &LocalSession) -> Option<ExcludeReason> {
        let by_size = || self.rules.by_size(session.bytes());
        self.project_reason(session)
            .or_else(|| self.unless_locked(&session.id, by_size))
    }

    /// Returns why an import excludes a session that another program stored, if it does.
    pub(crate) fn foreign_exclude_reason(
        &self,
        session: &ForeignSession<'_>,
    ) -> Option<ExcludeReason> {
        let asks_for_projects = self.rules.ask_for_projects();
        let project = session.project.as_ref().filter(|_| asks_for_projects);
        let directory = project.and_then(|path| self.expand(path));
        let remote = asks_for_projects
            .then(|| self.remote_of(directory.as_deref(), session.session))
            .flatten();
        let by_project = self.rules.by_project(&ProjectNames {
            directory: directory.as_deref(),
            portable: project.map(PortablePath::as_str),
            remote: remote.as_deref(),
        });
        let by_project = by_project.or_else(|| {
            let is_unknown = asks_for_projects && project.is_none() && remote.is_none();
            is_unknown.then_some(ExcludeReason::UnknownProject)
        });
        let by_age = || self.rules.by_age(session.last_activity?, self.now);
        let by_others = || self.rules.by_size(session.bytes).or_else(by_age);
        by_project.or_else(|| self.unless_locked(session.session, by_others))
    }

    /// Returns why an import excludes a session in a copy of Claude Code's directory, if it does.
    ///
    /// The times of copied files say nothing, so `last_activity` reads the newest record.
    pub(crate) fn copy_exclude_reason(
        &self,
        session: &LocalSession,
        last_activity: impl FnOnce() -> Option<DateTime<Utc>>,
    ) -> Option<ExcludeReason> {
        let by_age = || {
            let asks_for_age = self.rules.ask_for_age();
            self.rules
                .by_age(asks_for_age.then(last_activity)??, self.now)
        };
        self.local_only_reason(session)
            .or_else(|| self.unless_locked(&session.id, by_age))
    }

    /// Returns why a pull leaves a session in the store that is not on this machine, if it does.
    pub(crate) fn pull_exclude_reason(&self, manifest: &Manifest) -> Option<ExcludeReason> {
        let location = self.project_location(manifest);
        let path = location.as_ref().map(|location| location.path.as_str());
        let remote = identity(manifest).map(ProjectIdentity::as_str);
        self.stored_exclude_reason(path, remote, manifest.local_bytes())
    }

    /// Returns the reason as [`Self::pull_exclude_reason`], from the index.
    pub(crate) fn known_exclude_reason(&self, known: &StoreOnlySession) -> Option<ExcludeReason> {
        let path = known
            .location
            .as_ref()
            .map(|location| location.path.as_str());
        self.stored_exclude_reason(path, known.remote.as_deref(), known.bytes)
    }

    /// Returns true if `reason` still excludes a session that the index knows.
    ///
    /// Its project may have another location since a clone appeared. Searches for one only if
    /// that would make a difference.
    pub(crate) fn is_still_excluded(
        &self,
        known: &StoreOnlySession,
        reason: &ExcludeReason,
    ) -> bool {
        let remote = known.remote.as_deref();
        if self.rules.hold_anywhere(reason, remote) {
            return true;
        }
        let Some(ProjectLocation {
            path,
            worktrees: Some(trees),
        }) = &known.location
        else {
            return true;
        };
        let Some(remote) = remote.and_then(|remote| ProjectIdentity::new(remote).ok()) else {
            return true;
        };
        let clones = self.localizer.clones();
        if let Some(directory) = self.expand(&PortablePath::new(path)) {
            clones.record_at(Path::new(&directory));
        }
        tops(clones.find(&remote)) == *trees
    }

    /// Returns the location of a stored session's project on this machine, or where it would be;
    /// `None` if the settings do not name projects.
    pub(crate) fn project_location(&self, manifest: &Manifest) -> Option<ProjectLocation> {
        if !self.rules.ask_for_projects() {
            return None;
        }
        let path = self.localizer.project_location(manifest)?.to_string();
        let remote = identity(manifest).filter(|_| is_below_repo(manifest));
        Some(ProjectLocation {
            path,
            worktrees: remote.map(|remote| tops(self.localizer.clones().existing(remote))),
        })
    }

    /// Returns the portable path of a session's project, if the settings name projects.
    pub(crate) fn project(&self, session: &LocalSession) -> Option<String> {
        if !self.rules.ask_for_projects() {
            return None;
        }
        let project = self.project_of(session);
        let directory = project.main_directory()?;
        Some(collapse_path(self.localizer.placeholders(), directory).to_string())
    }

    /// Returns the predicate for the sessions of a selection.
    pub(crate) fn selected(
        self,
        selection: &Selection,
    ) -> impl Fn(&LocalSession) -> bool + use<'w> {
        let placeholders = self.localizer.placeholders();
        let patterns = selection.projects.iter();
        let matchers: Vec<Matcher> = patterns
            .filter_map(|pattern| compile(pattern, placeholders))
            .collect();
        let (days, all) = (selection.days, selection.projects.is_empty());
        move |session| {
            days.is_none_or(|days| is_active(last_write(session), days, self.now))
                && (all
                    || self.with_names(&self.main_project(session), |names| {
                        matchers.iter().any(|matcher| matcher.matches(names))
                    }))
        }
    }

    /// Returns the predicate for the stored sessions of these projects; without any, for all.
    pub(crate) fn stored_in(
        self,
        patterns: &[ProjectPattern],
    ) -> impl Fn(&Manifest) -> bool + use<'w> {
        let placeholders = self.localizer.placeholders();
        let compiled = patterns.iter().filter_map(|p| compile(p, placeholders));
        let (matchers, all): (Vec<Matcher>, bool) = (compiled.collect(), patterns.is_empty());
        move |manifest| {
            let portable = self.localizer.project_location(manifest);
            let directory = portable.as_ref().and_then(|path| self.expand(path));
            let names = ProjectNames {
                directory: directory.as_deref(),
                portable: portable.as_ref().map(PortablePath::as_str),
                remote: identity(manifest).map(ProjectIdentity::as_str),
            };
            all || matchers.iter().any(|matcher| matcher.matches(&names))
        }
    }

    /// Returns the directory that a session belongs to.
    fn main_project(&self, session: &LocalSession) -> LocalProject {
        let project = self.project_of(session);
        let directory = project.main_directory();
        let remote = directory.and_then(|directory| project.remote(directory).flatten());
        LocalProject {
            directory: directory.map(str::to_owned),
            remote: remote.map(str::to_owned),
        }
    }

    /// Skips `reason` for a locked session: it is synced whatever its size and age, because its
    /// lock would guard turns that no other machine could get.
    fn unless_locked(
        &self,
        session: &SessionId,
        reason: impl FnOnce() -> Option<ExcludeReason>,
    ) -> Option<ExcludeReason> {
        match self.leases.get(session) {
            Some(_) => None,
            None => reason(),
        }
    }

    fn stored_exclude_reason(
        &self,
        portable: Option<&str>,
        remote: Option<&str>,
        bytes: u64,
    ) -> Option<ExcludeReason> {
        let directory = portable.and_then(|path| self.expand(&PortablePath::new(path)));
        let names = ProjectNames {
            directory: directory.as_deref(),
            portable,
            remote,
        };
        self.rules
            .by_project(&names)
            .or_else(|| self.rules.by_size(bytes))
    }

    /// Returns why the project of a session is excluded, if it is. An unknown one is.
    fn project_reason(&self, session: &LocalSession) -> Option<ExcludeReason> {
        if !self.rules.ask_for_projects() {
            return None;
        }
        let project = self.project_of(session);
        let found = self.decide(&project);
        match found {
            Some(ExcludeReason::Excluded(pattern)) => {
                self.remember_exclusion(session, project, &pattern);
                Some(ExcludeReason::Excluded(pattern))
            }
            other => self
                .rules
                .first_set(&project.excluded_by)
                .or(other)
                .or_else(|| self.unknown_reason(session, &project)),
        }
    }

    /// Applies the patterns to every directory in which a session worked.
    pub(super) fn decide(&self, project: &SessionProject) -> Option<ExcludeReason> {
        let main = project.main_directory();
        let others = project.mentions.directories.iter().map(String::as_str);
        let others = others.filter(|directory| Some(*directory) != main);
        let local = |directory: &str| LocalProject {
            directory: Some(directory.to_owned()),
            remote: project.remote(directory).flatten().map(str::to_owned),
        };
        let projects: Vec<LocalProject> = main.into_iter().chain(others).map(local).collect();
        if projects.is_empty() {
            return None;
        }
        self.rules.decision(projects, |projects| {
            let by_pattern = |project: &LocalProject| self.pattern_reason(project);
            projects.iter().find_map(by_pattern).or_else(|| {
                let main = projects.first()?;
                self.with_names(main, |names| self.rules.by_project(names))
            })
        })
    }

    /// Returns the pattern that excludes a project under one of its paths, if any.
    pub(super) fn pattern_reason(&self, project: &LocalProject) -> Option<ExcludeReason> {
        let by_pattern =
            |project: &LocalProject| self.with_names(project, |names| self.rules.by_pattern(names));
        by_pattern(project).or_else(|| {
            let directory = project.directory.as_deref()?;
            let real = resolve_links(Path::new(directory)).to_str()?.to_owned();
            (real != directory)
                .then(|| LocalProject {
                    directory: Some(real),
                    ..project.clone()
                })
                .and_then(|real| by_pattern(&real))
        })
    }

    /// Returns what must be known to apply the patterns to a session that has something to send,
    /// and is not. What the store says of a session tells nothing: other machines write it.
    fn unknown_reason(
        &self,
        session: &LocalSession,
        project: &SessionProject,
    ) -> Option<ExcludeReason> {
        if self.index.is_up_to_date(session) {
            return None;
        }
        if project.mentions.directories.is_empty() {
            return Some(ExcludeReason::UnknownProject);
        }
        let pattern = self.rules.remote_pattern()?;
        let unsent = self.unsent_directories(session);
        let is_unsent = |directory: &&String| {
            let unsent = unsent.as_ref();
            unsent.is_none_or(|unsent| unsent.contains(directory))
        };
        let mut directories = project.mentions.directories.iter().filter(is_unsent);
        let unknown = directories.find(|directory| project.remote(directory).is_none())?;
        Some(ExcludeReason::UnknownRemote {
            directory: unknown.clone(),
            pattern: pattern.clone(),
        })
    }

    /// Lists the directories in the text that the store does not have; `None`: all of them.
    fn unsent_directories(&self, session: &LocalSession) -> Option<Vec<String>> {
        let entry = self.index.entry(session)?;
        let from = entry.appended_since(session)?;
        let changed = session.files.iter().filter(|(file, stamp)| {
            file.is_append_only() && (file.is_transcript() || entry.stamp(file) != Some(*stamp))
        });
        let mut mentions = Mentions::default();
        for (file, stamp) in changed {
            let from = if file.is_transcript() { from } else { 0 };
            let text = LocalText::open(&session.path(file), from, stamp.len).ok()?;
            text.each_piece(|piece| {
                mentions.absorb(piece);
                Ok(())
            })
            .ok()?;
        }
        Some(mentions.directories)
    }

    /// Records that a pattern excludes a session. That of a placeholder is the user's to move.
    fn remember_exclusion(
        &self,
        session: &LocalSession,
        mut project: SessionProject,
        pattern: &ProjectPattern,
    ) {
        let moves = pattern.subject() == PatternSubject::Placeholder;
        if !moves && project.excluded_by.insert(pattern.clone()) {
            self.rules
                .new_projects()
                .insert(session.id.clone(), project);
        }
    }

    /// Calls `question` with the names of a project.
    pub(super) fn with_names<T>(
        &self,
        project: &LocalProject,
        question: impl FnOnce(&ProjectNames<'_>) -> T,
    ) -> T {
        let directory = project.directory.as_deref();
        let placeholders = self.localizer.placeholders();
        let portable = directory.map(|directory| collapse_path(placeholders, directory));
        question(&ProjectNames {
            directory,
            portable: portable.as_ref().map(PortablePath::as_str),
            remote: project.remote.as_deref(),
        })
    }

    /// Returns the project of a session: as recorded, or from its records.
    pub(super) fn project_of(&self, session: &LocalSession) -> SessionProject {
        let known = self.rules.new_projects().get(&session.id).cloned();
        let is_read = known.is_some();
        let known = known.or_else(|| self.projects.get(&session.id).cloned());
        let known = known.unwrap_or_default();
        let is_current = known.describes(session);
        let directories = &known.mentions.directories;
        let is_known = directories.iter().all(|dir| known.remote(dir).is_some());
        if is_current && (is_read || is_known && self.index.is_up_to_date(session)) {
            return known;
        }
        let mut project = match is_current {
            true => known.clone(),
            // An unreadable transcript is not sent either.
            false => known.read_since(session).unwrap_or_default(),
        };
        self.examine_directories(&mut project);
        if project != known {
            self.rules
                .new_projects()
                .insert(session.id.clone(), project.clone());
        }
        project
    }

    /// Records the remotes of the directories in which a session worked.
    pub(super) fn examine_directories(&self, project: &mut SessionProject) {
        let main = project.main_directory().map(str::to_owned);
        for directory in project.mentions.directories.clone() {
            if let RemoteAt::Known(remote) = self.remote_at(&directory) {
                project.record_remote(&directory, remote.map(String::from));
            }
        }
        // A missing directory below the one that the session began in belongs to the same clone.
        let Some(main) = main else { return };
        let Some(Some(remote)) = project
            .remote(&main)
            .map(|remote| remote.map(str::to_owned))
        else {
            return;
        };
        for directory in project.mentions.directories.clone() {
            let is_below = Path::new(&directory).starts_with(&main);
            if is_below && project.remote(&directory).is_none() {
                project.record_remote(&directory, Some(remote.clone()));
            }
        }
    }

    fn remote_at(&self, directory: &str) -> RemoteAt {
        let clones = self.localizer.clones();
        let directory = existing_spelling(directory.to_owned());
        remote_at(clones, directory.as_ref(), self.localizer.placeholders())
    }

    /// Returns the normalized remote URL of the clone at `directory`; without a clone, that of
    /// the stored session.
    fn remote_of(&self, directory: Option<&str>, session: &SessionId) -> Option<String> {
        let facts = directory.and_then(|path| self.localizer.clones().facts(Path::new(path)));
        let here = facts.and_then(|f| portable(f, self.localizer.placeholders()).identity);
        let stored = || {
            let snapshot = self.store.head_snapshot().ok()?;
            snapshot.manifest(session).ok()??.git?.identity
        };
        here.or_else(stored).map(String::from)
    }

    fn expand(&self, path: &PortablePath) -> Option<String> {
        place_of(path, self.localizer.placeholders())
    }
}

fn tops(trees: Vec<WorkingTree>) -> Vec<String> {
    trees
        .into_iter()
        .map(|tree| tree.top.to_string_lossy().into_owned())
        .collect()
}

/// Returns the time of the last write to the transcript. A pull sets it to that of the newest
/// record.
fn last_write(session: &LocalSession) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(session.files[&SessionFile::Transcript].modified_ns)
}
