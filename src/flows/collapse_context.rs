//! On which ground the new lines of a session stand: the roots of this machine, and the git working tree that the session works in.

use crate::checkouts::locate::is_of;
use crate::domain::client_dir::client_dir_name;
use crate::domain::placeholder::{Placeholder, Placeholders};
use crate::domain::session_file::SessionFile;
use crate::flows::plan::{FileStep, Files};
use crate::localize::local_copy::LocalCopy;
use crate::rewrite::expand_path;
use crate::session::facts::working_directories;
use crate::store::manifest::Manifest;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// What new lines are collapsed with.
pub(crate) struct CollapseContext {
    /// The roots of this machine, with the session's repository.
    pub(crate) placeholders: Placeholders,
    /// Working directories that the lines are known to name.
    pub(crate) directories: Vec<String>,
}

impl CollapseContext {
    /// The ground of what `files` have more than the session `of`; without one, of a new session.
    pub(crate) fn of(
        workspace: &Workspace<'_>,
        local: &LocalCopy<'_>,
        of: Option<&Manifest>,
        files: &Files,
    ) -> Result<Self, SyncError> {
        let new = new_directories(local, of.is_some(), files)?;
        let name = local.session.directory_name();
        let (named, others): (Vec<String>, Vec<String>) = new
            .into_iter()
            .partition(|cwd| client_dir_name(cwd) == name);
        let mut directories = named;
        let repos = workspace.localizer.repos();
        let repo = if let Some(manifest) = of {
            let project = manifest.project.as_ref();
            directories.extend(
                project.and_then(|p| expand_path(p, &workspace.localizer.roots_of(manifest))),
            );
            let present = repos.of(manifest, &local.session.id);
            let at = |directory: &str, of| repo_at(workspace, directory, present.as_ref(), of);
            let here = directories.iter().find_map(|directory| at(directory, None));
            // The session may have gone on in another clone than the one that its directory is called after.
            here.or_else(|| {
                let (root, cwd) = others
                    .into_iter()
                    .find_map(|cwd| Some((at(&cwd, Some(manifest))?, cwd)))?;
                directories.push(cwd);
                Some(root)
            })
            .or_else(|| repos.usable_checkout(present.clone()?))
        } else {
            directories.extend(others.into_iter().take(usize::from(directories.is_empty())));
            directories
                .iter()
                .find_map(|directory| repo_at(workspace, directory, None, None))
        };
        directories.dedup();
        let clones = workspace.localizer.clones();
        if let Some(repo) = repo
            .as_ref()
            .filter(|_| clones.used(&local.session.id).is_some())
        {
            // From now on the session is continued there.
            clones.use_for(&local.session.id, Some(&repo.directory));
        }
        let here = workspace.localizer.placeholders();
        Ok(Self {
            placeholders: repo.map_or_else(|| here.clone(), |repo| here.with(repo)),
            directories,
        })
    }
}

/// The repository that `directory` lies in, if `present` is not what it was so far; with `of`, only one of the same remote.
fn repo_at(
    workspace: &Workspace<'_>,
    directory: &str,
    present: Option<&Placeholder>,
    of: Option<&Manifest>,
) -> Option<Placeholder> {
    let facts = workspace.localizer.clones().facts(directory.as_ref())?;
    if of.is_some_and(|manifest| !is_of(manifest, &facts)) {
        return None;
    }
    workspace
        .localizer
        .repos()
        .working_tree(&facts, present.cloned())
}

/// The working directories that the new lines of the transcript name; of a new session the beginning of it.
fn new_directories(
    local: &LocalCopy<'_>,
    is_known: bool,
    files: &Files,
) -> Result<Vec<String>, SyncError> {
    let offset = match files.get(&SessionFile::Transcript) {
        Some(FileStep::Continue(from)) => from.offset,
        None if is_known => return Ok(Vec::new()),
        _ => 0,
    };
    Ok(working_directories(
        &local.open(&SessionFile::Transcript, offset)?.next_lines()?,
    ))
}
