//! The treatment of secrets that the settings give projects.

use std::path::Path;

use crate::config::SecretsMode;
use crate::domain::pattern::ProjectNames;
use crate::session::LocalSession;
use crate::sys::fs::resolve_links;
use crate::workspace::exclusion::LocalProject;
use crate::workspace::filter::SessionFilter;

impl SessionFilter<'_> {
    /// Returns the treatment of secrets in a session: the strictest of the projects in which it
    /// worked.
    pub(crate) fn secrets_mode(&self, session: &LocalSession) -> Option<SecretsMode> {
        if !self.rules.ask_for_secrets() {
            return None;
        }
        let project = self.project_of(session);
        let directories = project.mentions.directories.iter();
        let modes = directories.map(|directory| {
            let remote = project.remote(directory);
            let local = LocalProject {
                directory: Some(directory.clone()),
                remote: remote.flatten().map(str::to_owned),
            };
            self.project_secrets_mode(&local, remote.is_some())
        });
        let unknown = || self.rules.secrets_mode(&ProjectNames::default(), false);
        Some(modes.max().unwrap_or_else(unknown))
    }

    /// Returns the treatment of secrets in a project, under all of its paths.
    fn project_secrets_mode(&self, project: &LocalProject, is_known: bool) -> SecretsMode {
        let mode = |project: &LocalProject| {
            self.with_names(project, |names| self.rules.secrets_mode(names, is_known))
        };
        let directory = project.directory.as_deref();
        let real = directory.map(|directory| resolve_links(Path::new(directory)));
        let real = real.as_deref().and_then(Path::to_str);
        match real.filter(|real| Some(*real) != directory) {
            None => mode(project),
            // The client may have been started with either path.
            Some(real) => mode(&LocalProject {
                directory: Some(real.to_owned()),
                ..project.clone()
            }),
        }
    }

    /// Returns the treatment of secrets in the memory of a project; `None`: as everywhere.
    pub(crate) fn memory_secrets_mode(
        &self,
        checkout: &Path,
        remote: Option<&str>,
    ) -> Option<SecretsMode> {
        let local = LocalProject {
            directory: checkout.to_str().map(str::to_owned),
            remote: remote.map(str::to_owned),
        };
        let asks = self.rules.ask_for_secrets();
        asks.then(|| self.project_secrets_mode(&local, remote.is_some()))
    }
}
