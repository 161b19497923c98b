//! Where a session's project is on this machine, or could be cloned to.
//!
//! Only proposes: what the store says of a project was written by somebody else, and is shown to a person before anything is done.

use std::path::{Path, PathBuf};

use super::work::Work;
use super::{Context, SyncError};
use crate::domain::id::SessionId;
use crate::domain::path::{PortablePath, is_safe_path};
use crate::domain::project::{FORMAT, PortableRemote, ProjectGit};
use crate::domain::root::{RootName, RootSet};
use crate::domain::url::{Kind, RemoteUrl};
use crate::project::GitFacts;
use crate::rewrite::{collapse_path, expand_path};
use crate::store::manifest::Manifest;
use crate::transport::git_cli::GitCli;

/// Where the project of a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectHere {
    /// On this machine.
    Present {
        /// The working directory.
        directory: PathBuf,
        /// What was checked out when the session was stored: [`crate::project::difference`] compares.
        git: Option<ProjectGit>,
    },
    /// Not on this machine.
    Missing(MissingProject),
    /// The store does not have the session, or no record of it names a directory.
    Unknown,
}

/// A project that is not on this machine. All text in it is unsanitised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingProject {
    /// The project as the store has it.
    pub project: PortablePath,
    /// Where its working directory would be here.
    pub directory: Option<PathBuf>,
    /// From where it can be had. There may be one without a place, which a person can name.
    pub remote: Option<RemoteUrl>,
    /// What [`clone_project`] would do, if there is both an address and a place to propose.
    pub clone: Option<ProposedClone>,
    /// Its root, which has no directory on this machine: without one, the session cannot be brought here.
    pub unmapped: Option<UnmappedRoot>,
}

/// What to clone, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedClone {
    /// From where.
    pub remote: RemoteUrl,
    /// The top of the new working tree, which does not exist yet or is empty.
    pub into: PathBuf,
    /// The session's working directory in it.
    pub directory: PathBuf,
}

/// A root without a directory on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmappedRoot {
    /// Its name.
    pub name: RootName,
    /// Where another machine has it below its home directory, the same path below this one's.
    pub directory: Option<PathBuf>,
}

/// Where the project of `session` is, or what could be done to have it here. Reads the store as it is; fetches nothing.
///
/// # Errors
/// What concerns the whole command, or a manifest that cannot be read.
pub fn project_here(ctx: &Context<'_>, session: &SessionId) -> Result<ProjectHere, SyncError> {
    let work = Work::open(ctx)?;
    let manifest = work.store.head_snapshot()?.manifest(session)?;
    Ok(manifest.map_or(ProjectHere::Unknown, |manifest| project_of(&manifest, work.views.roots())))
}

/// Clones a project with the user's own `git`, without its submodules. The session's directory in it is there afterwards, or the
/// repository has changed since. The caller has shown `proposed` to the person and has got a yes.
///
/// # Errors
/// [`SyncError::Clone`]; nothing is left behind.
pub fn clone_project(ctx: &Context<'_>, proposed: &ProposedClone) -> Result<(), SyncError> {
    todo!()
}

pub(super) fn project_of(manifest: &Manifest, roots: &RootSet) -> ProjectHere {
    todo!()
}
