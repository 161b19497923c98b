//! Divides new lines among the projects in which they were written.
//!
//! A record names its directory; where that is in the clone of another project than the one before,
//! a run begins. Must not decide where the session belongs.

use std::collections::HashMap;

use serde::Deserialize;

use crate::domain::{Placeholder, Placeholders, ProjectIdentity};
use crate::localize::localizer::Localizer;
use crate::session::fields::{line_at, string_at, values};

/// A project that lines are written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunProject {
    /// The placeholders of this machine, with the repository of the project if it has one.
    pub(crate) placeholders: Placeholders,
    /// Its identity, if it is in a clone of a remote.
    pub(crate) identity: Option<ProjectIdentity>,
    /// Working directories that the lines name.
    pub(crate) directories: Vec<String>,
}

/// The projects of the new lines of one session.
pub(crate) struct RunProjects<'a> {
    localizer: &'a Localizer,
    /// The first one is that of the session.
    projects: Vec<RunProject>,
    /// Index of the project of the last line.
    current: usize,
    /// Index of the project of each directory; `None`: it is in no clone.
    known: HashMap<String, Option<usize>>,
}

/// The fields of a record that tell its directory.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DirectoryRecord {
    #[serde(rename = "type")]
    kind: Option<String>,
    cwd: Option<String>,
    relocated_cwd: Option<String>,
}

impl<'a> RunProjects<'a> {
    /// Begins with lines that were written in `first`. `present` are the placeholders of this
    /// machine with the repository of the session, which is in `directories`.
    pub(crate) fn new(
        localizer: &'a Localizer,
        present: Placeholders,
        directories: Vec<String>,
        first: Option<&str>,
    ) -> Self {
        let mut projects = Self {
            localizer,
            projects: vec![RunProject {
                placeholders: present,
                identity: None,
                directories,
            }],
            current: 0,
            known: HashMap::new(),
        };
        let repo = projects.present_repo();
        let clone = repo.and_then(|repo| projects.clone_at(&repo.directory));
        projects.projects[0].identity = clone.map(|(_, identity)| identity);
        projects.current = first
            .and_then(|first| projects.project_at(first))
            .unwrap_or(0);
        projects
    }

    /// Returns the projects so far.
    pub(crate) fn projects(&self) -> &[RunProject] {
        &self.projects
    }

    /// Divides the next lines: pieces, with the indexes of their projects.
    pub(crate) fn divide<'t>(&mut self, lines: &'t [u8]) -> Vec<(&'t [u8], usize)> {
        let mut fields: Vec<usize> = values(lines, "cwd").collect();
        fields.extend(values(lines, "relocatedCwd"));
        fields.sort_unstable();

        let (mut pieces, mut begin, mut last) = (Vec::new(), 0, None);
        for at in fields {
            let directory = string_at(lines, at);
            if directory == last {
                continue;
            }
            last = directory;
            let line = line_at(lines, at);
            let project = self.project_of(line).unwrap_or(self.current);
            if project != self.current {
                let start = line.as_ptr() as usize - lines.as_ptr() as usize;
                pieces.push((&lines[begin..start], self.current));
                (begin, self.current) = (start, project);
            }
        }
        pieces.push((&lines[begin..], self.current));
        pieces
    }

    /// Returns the project that a record names. Claude Code leaves a clone with `/cd` only: a
    /// directory in no clone that a tool is in belongs to the project of the lines before.
    fn project_of(&mut self, line: &[u8]) -> Option<usize> {
        let record: DirectoryRecord = serde_json::from_slice(line).ok()?;
        match (record.kind.as_deref(), record.relocated_cwd) {
            (Some("relocated"), Some(directory)) => {
                let project = self.project_at(&directory);
                Some(project.unwrap_or_else(|| self.without_repo()))
            }
            _ => self.project_at(&record.cwd?),
        }
    }

    fn project_at(&mut self, directory: &str) -> Option<usize> {
        if let Some(known) = self.known.get(directory) {
            return *known;
        }
        let found = self.clone_at(directory).map(|(repo, identity)| {
            let has_identity = |project: &RunProject| project.identity.as_ref() == Some(&identity);
            let known = self.projects.iter().position(has_identity);
            known.unwrap_or_else(|| {
                self.add(RunProject {
                    placeholders: self.localizer.placeholders().with(repo),
                    identity: Some(identity),
                    directories: vec![directory.to_owned()],
                })
            })
        });
        self.known.insert(directory.to_owned(), found);
        found
    }

    fn clone_at(&self, directory: &str) -> Option<(Placeholder, ProjectIdentity)> {
        let clones = self.localizer.clones();
        let facts = clones.facts(directory.as_ref())?;
        let identity = clones.record(&facts)?;
        let locator = self.localizer.locator();
        let repo = locator.checkout_at(&facts, self.present_repo())?;
        Some((repo, identity))
    }

    fn present_repo(&self) -> Option<Placeholder> {
        self.projects[0].placeholders.repo().cloned()
    }

    /// Returns the index of lines that were written in no clone.
    fn without_repo(&mut self) -> usize {
        let has_none = |project: &RunProject| project.placeholders.repo().is_none();
        let known = self.projects.iter().position(has_none);
        known.unwrap_or_else(|| {
            self.add(RunProject {
                placeholders: self.localizer.placeholders().clone(),
                identity: None,
                directories: Vec::new(),
            })
        })
    }

    fn add(&mut self, project: RunProject) -> usize {
        self.projects.push(project);
        self.projects.len() - 1
    }
}
