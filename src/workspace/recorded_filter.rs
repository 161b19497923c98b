//! Applies the settings to copies of sessions, and to sessions of which only the record is left. An
//! unknown project is excluded.

use crate::session::LocalSession;
use crate::workspace::exclusion::ExcludeReason;
use crate::workspace::filter::SessionFilter;
use crate::workspace::session_project::SessionProject;

impl SessionFilter<'_> {
    /// Returns why nothing of a copy of a session may go to the store, if it may not.
    pub(crate) fn copy_reason(&self, copy: &LocalSession) -> Option<ExcludeReason> {
        if !self.rules.ask_for_projects() {
            return None;
        }
        let unknown = Some(ExcludeReason::UnknownProject);
        let Ok(mut project) = SessionProject::default().read_since(copy) else {
            return unknown;
        };
        self.examine_directories(&mut project);
        self.recorded_reason(&project)
    }

    /// Returns why a session is excluded, from what is recorded of it.
    pub(super) fn recorded_reason(&self, project: &SessionProject) -> Option<ExcludeReason> {
        let directories = &project.mentions.directories;
        if directories.is_empty() {
            return Some(ExcludeReason::UnknownProject);
        }
        let unknown = || {
            let pattern = self.rules.remote_pattern()?;
            let directory = directories
                .iter()
                .find(|directory| project.remote(directory).is_none())?;
            Some(ExcludeReason::UnknownRemote {
                directory: directory.clone(),
                pattern: pattern.clone(),
            })
        };
        self.decide(project)
            .or_else(|| self.rules.first_set(&project.excluded_by))
            .or_else(unknown)
    }
}
