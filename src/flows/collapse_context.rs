//! Path mappings and git working tree used to store new lines of a session.

use crate::checkouts::locate::{matches_remote, place_of};
use crate::domain::{Placeholder, Placeholders, SessionFile, client_dir::client_dir_name};
use crate::flows::differences::{FilePush, FilePushes};
use crate::localize::{LocalCopy, Localizer};
use crate::session::facts::working_directories;
use crate::store::manifest::Manifest;
use crate::workspace::SyncError;

/// Input for collapsing new lines.
pub(crate) struct CollapseContext {
    /// The placeholders of this machine, with the session's repository.
    pub(crate) placeholders: Placeholders,
    /// Working directories that the lines are known to name.
    pub(crate) directories: Vec<String>,
    /// The directory of the session on this machine so far.
    pub(crate) former_directory: Option<String>,
    /// The directory in which the first of the lines was written.
    pub(crate) first_directory: Option<String>,
}

impl CollapseContext {
    /// Creates the context of a session that the store does not have.
    pub(crate) fn new(localizer: &Localizer, local: &LocalCopy<'_>) -> Result<Self, SyncError> {
        // The first records name the working directory. It is needed to recognise Claude
        // Code's directory names in the text.
        let found = NewDirectories::read(local, 0)?;
        let first_directory = found.first;
        let mut directories = found.named;
        if directories.is_empty() {
            directories.extend(found.others.into_iter().next());
        }
        let at = |directory: &String| repo_at(localizer, directory, None);
        let repo = directories.iter().find_map(at);
        Ok(Self {
            first_directory,
            ..Self::with_repo(localizer, local, directories, repo)
        })
    }

    /// Creates the context of the lines that `files` add to the session or fork of
    /// `manifest`.
    pub(crate) fn continuing(
        localizer: &Localizer,
        local: &LocalCopy<'_>,
        manifest: &Manifest,
        files: &FilePushes,
    ) -> Result<Self, SyncError> {
        let found = match files.get(&SessionFile::Transcript) {
            Some(FilePush::Continue(from)) => NewDirectories::read(local, from.offset)?,
            Some(FilePush::Whole) => NewDirectories::read(local, 0)?,
            Some(FilePush::Remove) | None => NewDirectories::default(),
        };
        let mut directories = found.named;
        let placeholders = localizer.placeholders_for(manifest);
        let project = manifest.project.as_ref();
        let former_directory = project.and_then(|project| place_of(project, &placeholders));
        directories.extend(former_directory.clone());

        let first_directory = match files.get(&SessionFile::Transcript) {
            Some(FilePush::Whole) => found.first,
            _ => former_directory.clone(),
        };

        let locator = localizer.locator();
        let present = locator.locate(manifest, &local.session.id);
        let at = |directory: &String| repo_at(localizer, directory, present.as_ref());
        let mut repo = directories.iter().find_map(at);
        if repo.is_none() {
            // The session may have been continued in another clone than that of its
            // directory.
            let is_clone = |directory: &&String| {
                let facts = localizer.clones().facts(directory.as_ref());
                facts.is_some_and(|facts| matches_remote(manifest, &facts))
            };
            let mut clones = found.others.iter().filter(is_clone);
            if let Some((clone, directory)) = clones.find_map(|other| Some((at(other)?, other))) {
                directories.push(directory.clone());
                repo = Some(clone);
            }
        }
        let repo = repo.or_else(|| locator.usable_checkout(present.clone()?));
        Ok(Self {
            first_directory,
            former_directory,
            ..Self::with_repo(localizer, local, directories, repo)
        })
    }

    fn with_repo(
        localizer: &Localizer,
        local: &LocalCopy<'_>,
        mut directories: Vec<String>,
        repo: Option<Placeholder>,
    ) -> Self {
        directories.dedup();
        let id = &local.session.id;
        let clones = localizer.clones();
        if let Some(repo) = &repo
            && clones.recorded_checkout(id).is_some()
        {
            // From now on the session is continued there.
            clones.record_checkout(id, Some(&repo.directory));
        }
        let here = localizer.placeholders();
        Self {
            placeholders: repo.map_or_else(|| here.clone(), |repo| here.with(repo)),
            directories,
            former_directory: None,
            first_directory: None,
        }
    }
}

/// Working directories that new lines of a transcript name.
#[derive(Default)]
struct NewDirectories {
    first: Option<String>,
    /// Directories that the project directory is named after.
    named: Vec<String>,
    others: Vec<String>,
}

impl NewDirectories {
    /// Reads the new lines, from `offset`, up to one that names the project directory.
    fn read(local: &LocalCopy<'_>, offset: u64) -> Result<Self, SyncError> {
        let name = local.session.directory_name();
        let mut text = local.open(&SessionFile::Transcript, offset)?;
        let mut found = Self::default();
        loop {
            let lines = text.next_lines()?;
            let directories = working_directories(&lines);
            found.first = found.first.or_else(|| directories.first().cloned());
            let is_named = |directory: &String| client_dir_name(directory) == name;
            let (named, others): (Vec<_>, Vec<_>) = directories.into_iter().partition(is_named);
            found.others.extend(others);
            found.named = named;
            if lines.is_empty() || !found.named.is_empty() {
                return Ok(found);
            }
        }
    }
}

/// Returns the repository that contains `directory`. `present` is that of the session so far.
fn repo_at(
    localizer: &Localizer,
    directory: &str,
    present: Option<&Placeholder>,
) -> Option<Placeholder> {
    let facts = localizer.clones().facts(directory.as_ref())?;
    localizer.locator().checkout_at(&facts, present.cloned())
}
