//! A clone of a project for the user to work in.
//!
//! Made beside its place and then renamed, so that an interrupted one leaves nothing behind. Must not decide what is cloned, or where to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::git_cli::GitCli;
use super::remote::RemoteError;
use super::url::RemoteUrl;
use crate::domain::progress::Progress;
use crate::sys::env::GitEnv;
use crate::sys::fs::{PathError, create_users_dir_all, move_dir, remove_empty_dirs};
use crate::sys::signal::Interrupted;

/// How git calls the clone until it is moved to its place.
const NAME: &str = "clone";

/// Why there is no clone.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// Nothing is cloned over what is there.
    #[error("`{}` is there already and not an empty directory", directory.display())]
    Occupied {
        /// The place.
        directory: PathBuf,
    },
    /// The remote.
    #[error("the project could not be cloned")]
    Remote {
        /// Why.
        source: RemoteError,
        /// The remote, without secrets.
        remote: String,
    },
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The file system.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Clones `url` into `directory`, which does not exist or is empty, without submodules. `interactive`: a person is there to answer
/// ssh or git. Nothing that comes from the remote runs.
///
/// # Errors
/// [`CloneError`]; everything is then as it was before.
pub fn clone(
    url: &RemoteUrl,
    directory: &Path,
    (git, interactive): (GitEnv, bool),
    progress: Arc<dyn Progress + Send + Sync>,
) -> Result<(), CloneError> {
    if !is_free(directory) {
        return Err(CloneError::Occupied {
            directory: directory.to_owned(),
        });
    }
    let parent = directory.parent().unwrap_or(Path::new("/"));
    let made = create_users_dir_all(parent)?;
    let result = clone_beside(url, directory, parent, (git, interactive), progress);
    if result.is_err() {
        remove_empty_dirs(&made);
    }
    result
}

fn clone_beside(
    url: &RemoteUrl,
    directory: &Path,
    parent: &Path,
    (git, interactive): (GitEnv, bool),
    progress: Arc<dyn Progress + Send + Sync>,
) -> Result<(), CloneError> {
    let extras = tempfile::Builder::new()
        .prefix(".ccsync-clone-")
        .tempdir_in(parent);
    let extras =
        extras.map_err(|source| PathError::new("create a directory in", parent, source))?;
    let git = GitCli::new(extras.path(), url.clone(), git, interactive).with_progress(progress);
    git.clone_as(NAME).map_err(|error| match error {
        RemoteError::Interrupted(e) => e.into(),
        source => CloneError::Remote {
            source,
            remote: url.to_string(),
        },
    })?;
    if !is_free(directory) {
        return Err(CloneError::Occupied {
            directory: directory.to_owned(),
        });
    }
    Ok(move_dir(&extras.path().join(NAME), directory)?)
}

/// Whether nothing is at `directory`, or an empty directory. A symbolic link is something, and so is what cannot be looked at.
pub fn is_free(directory: &Path) -> bool {
    match fs::symlink_metadata(directory) {
        Err(e) => e.kind() == io::ErrorKind::NotFound,
        Ok(found) => {
            found.is_dir()
                && fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
        }
    }
}
