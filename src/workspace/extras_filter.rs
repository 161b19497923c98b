//! Which extras the settings exclude: the memory of a project follows the project, and a plan
//! follows the sessions that name it. An unknown project is excluded.

use std::path::Path;

use crate::checkouts::{remote_at::RemoteAt, remote_at::remote_at};
use crate::domain::path::PortablePath;
use crate::domain::pattern::{Matcher, ProjectNames, ProjectPattern};
use crate::session::discover::Discovery;
use crate::workspace::exclusion::{ExcludeReason, LocalProject, compile};
use crate::workspace::filter::SessionFilter;
use crate::workspace::session_project::SessionProject;

/// The project whose memory a directory of this machine has.
pub(crate) struct MemoryProject<'a> {
    /// The name of the directory under `projects/`.
    pub(crate) name: &'a str,
    pub(crate) checkout: &'a Path,
    pub(crate) path: &'a PortablePath,
    /// The identity of its git remote.
    pub(crate) remote: Option<&'a str>,
    /// Nothing of it would be sent.
    pub(crate) is_unchanged: bool,
}

impl MemoryProject<'_> {
    fn names(&self) -> ProjectNames<'_> {
        ProjectNames {
            directory: self.checkout.to_str(),
            portable: Some(self.path.as_str()),
            remote: self.remote,
        }
    }
}

impl SessionFilter<'_> {
    /// Reads the projects of all sessions here, so that those of plans are known.
    pub(crate) fn read_projects(&self, found: &Discovery) {
        if self.rules.ask_for_projects() {
            let sessions = found.sessions.values();
            sessions.for_each(|session| drop(self.project_of(session)));
        }
    }

    /// Returns why the memory of a project is excluded, if it is.
    pub(crate) fn memory_exclude_reason(
        &self,
        project: &MemoryProject<'_>,
    ) -> Option<ExcludeReason> {
        if !self.rules.ask_for_projects() {
            return None;
        }
        let local = LocalProject {
            directory: project.checkout.to_str().map(str::to_owned),
            remote: project.remote.map(str::to_owned),
        };
        let by_names = self
            .pattern_reason(&local)
            .or_else(|| self.rules.by_project(&project.names()));
        by_names
            .or_else(|| self.session_reason(project.name))
            .or_else(|| self.unknown_remote(project))
    }

    /// Returns why a session in the directory `name` is excluded: different projects may have
    /// the same directory.
    fn session_reason(&self, name: &str) -> Option<ExcludeReason> {
        self.with_projects(|project| {
            let directory = project.main_directory()?;
            if project.directory_name() != Some(name) {
                return None;
            }
            let remote = project.remote(directory).flatten().map(str::to_owned);
            let main = LocalProject {
                directory: Some(directory.to_owned()),
                remote,
            };
            let is_only = project.mentions.directories.len() == 1;
            self.pattern_reason(&main).or_else(|| {
                self.rules
                    .first_set(&project.excluded_by)
                    .filter(|_| is_only)
            })
        })
    }

    fn unknown_remote(&self, project: &MemoryProject<'_>) -> Option<ExcludeReason> {
        let pattern = self.rules.remote_pattern()?;
        if project.is_unchanged || project.remote.is_some() {
            return None;
        }
        let placeholders = self.localizer.placeholders();
        let remote = remote_at(self.localizer.clones(), project.checkout, placeholders);
        (remote == RemoteAt::Unknown).then(|| ExcludeReason::UnknownRemote {
            directory: project.checkout.display().to_string(),
            pattern: pattern.clone(),
        })
    }

    /// Returns why a plan is excluded, if it is. `name` is that of its file.
    pub(crate) fn plan_exclude_reason(&self, name: &str) -> Option<String> {
        if !self.rules.ask_for_projects() {
            return None;
        }
        let mut is_known = false;
        let reason = self.with_projects(|project| {
            if !project.mentions.plans.contains(name) {
                return None;
            }
            is_known = true;
            self.recorded_reason(project)
        });
        if let Some(reason) = reason {
            return Some(format!("a plan of an excluded session: {reason}"));
        }
        let unknown = "projects are excluded, and no session here says which one it belongs to";
        (!is_known).then(|| unknown.to_owned())
    }

    /// Returns the first answer about the recorded projects of sessions; new records first.
    fn with_projects<T>(
        &self,
        mut question: impl FnMut(&SessionProject) -> Option<T>,
    ) -> Option<T> {
        let new = self.rules.new_projects().clone();
        let recorded = self.projects.iter();
        let recorded = recorded.filter(|(session, _)| !new.contains_key(session));
        let mut projects = new.values().chain(recorded.map(|(_, project)| project));
        projects.find_map(&mut question)
    }

    /// Returns the predicate for the projects with a memory that a selection includes.
    pub(crate) fn selected_memory(
        &self,
        selection: &[ProjectPattern],
    ) -> impl Fn(&MemoryProject<'_>) -> bool + use<> {
        let placeholders = self.localizer.placeholders();
        let patterns = selection.iter();
        let matchers: Vec<Matcher> = patterns
            .filter_map(|pattern| compile(pattern, placeholders))
            .collect();
        let all = selection.is_empty();
        move |project| {
            let names = project.names();
            all || matchers.iter().any(|matcher| matcher.matches(&names))
        }
    }
}
