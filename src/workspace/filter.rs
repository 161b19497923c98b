//! Which sessions the settings exclude from a push, a pull or an import.
//!
//! The settings name projects, and the directory names of Claude Code do not say which project a
//! session belongs to: its records do. So the project of each session is kept in the index, and
//! read again when its transcript has changed. Without patterns nothing is read.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::checkouts::{
    clones::WorkingTree, identity::portable, locate::identity, locate::is_below_repo,
};
use crate::domain::{
    PortablePath, ProjectIdentity, ProjectPattern, SessionFile, SessionId, pattern::Matcher,
    pattern::ProjectNames,
};
use crate::localize::{LocalCopy, Localizer};
use crate::rewrite::{collapse_path, expand_path};
use crate::session::{Facts, LocalSession};
use crate::store::{Store, manifest::Manifest};
use crate::workspace::exclusion::{
    ExcludeReason, ExcludeRules, LocalProject, ProjectDecision, compile, is_active,
};
use crate::workspace::index::{Index, ProjectLocation, ProjectOfSession, StoreOnlySession};
use crate::workspace::leases::Leases;

/// The sessions that one run is restricted to, among those that the settings do not exclude.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only projects that match one of these; empty: all.
    pub projects: Vec<ProjectPattern>,
    /// Only sessions with activity in the last days.
    pub days: Option<u32>,
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
        self.decision(session)
            .and_then(|decision| decision.reason)
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
        self.decision(session)?.portable
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
                    || self.with_names(&self.project_of(session), |names| {
                        matchers.iter().any(|matcher| matcher.matches(names))
                    }))
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

    /// Returns the decision of the settings about the project of a session, if they name
    /// projects.
    fn decision(&self, session: &LocalSession) -> Option<ProjectDecision> {
        if !self.rules.ask_for_projects() {
            return None;
        }
        let known = self.project_of(session);
        let key = LocalProject {
            directory: known.directory.clone(),
            remote: known.remote.clone(),
        };
        let decide = || {
            self.with_names(&known, |names| ProjectDecision {
                reason: self.rules.by_project(names),
                portable: names.portable.map(str::to_owned),
            })
        };
        Some(self.rules.decision(key, decide))
    }

    /// Calls `question` with the names of a project.
    fn with_names<T>(
        &self,
        known: &ProjectOfSession,
        question: impl FnOnce(&ProjectNames<'_>) -> T,
    ) -> T {
        let directory = known.directory.as_deref();
        let placeholders = self.localizer.placeholders();
        let portable = directory.map(|directory| collapse_path(placeholders, directory));
        question(&ProjectNames {
            directory,
            portable: portable.as_ref().map(PortablePath::as_str),
            remote: known.remote.as_deref(),
        })
    }

    /// Returns the project of a session: from the index, from this run, or from its records.
    fn project_of(&self, session: &LocalSession) -> ProjectOfSession {
        if let Some(known) = self.index.project_of(session) {
            return known.clone();
        }
        if let Some(known) = self.rules.new_projects().get(&session.id) {
            return known.clone();
        }
        let read = self.read_project(session);
        self.rules
            .new_projects()
            .insert(session.id.clone(), read.clone());
        read
    }

    fn read_project(&self, session: &LocalSession) -> ProjectOfSession {
        let mut facts = Facts::default();
        let first = LocalCopy::closed(session)
            .open(&SessionFile::Transcript, 0)
            .and_then(|mut text| text.next_lines());
        facts.absorb(&first.unwrap_or_default());
        let directory = facts.project(session.directory_name()).map(str::to_owned);
        let remote = self.remote_of(directory.as_deref(), &session.id);
        ProjectOfSession::new(session, directory, remote)
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
        expand_path(path, self.localizer.placeholders())
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
