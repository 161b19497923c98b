//! Clones a project for the user.
//!
//! Clones into a temporary directory and renames it, so that an interrupted clone
//! leaves nothing behind. Must not choose the address or the directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::git_cli::GitCli;
use super::remote::{RemoteError, check_access};
use crate::domain::{ErrorKind, Progress, UserError, shell::show_directory, url::RemoteUrl};
use crate::sys::env::GitEnv;
use crate::sys::fs::{PathError, create_users_dir_all, move_dir, remove_empty_dirs};
use crate::sys::signal::Interrupted;

/// Temporary name of the clone.
const NAME: &str = "clone";

/// Error: the clone failed.
#[derive(Debug, thiserror::Error)]
pub enum CloneError {
    /// The directory exists and is not empty.
    #[error("cannot clone into `{}`: the directory is not empty", directory.display())]
    Occupied {
        /// The directory.
        directory: PathBuf,
    },
    /// The remote.
    #[error("cannot clone the project")]
    Remote {
        /// The cause.
        source: RemoteError,
        /// The remote, without secrets.
        remote: String,
    },
    /// Interrupted by the user.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The file system.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Clones `url` into `directory`, which must be missing or empty, without submodules.
/// `interactive`: the user can answer ssh and git. Runs nothing from the remote.
///
/// # Errors
/// [`CloneError`]; nothing is left behind.
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

/// Returns true if `directory` is missing or empty. A symbolic link or an unreadable
/// directory is not free.
pub fn is_free(directory: &Path) -> bool {
    match fs::symlink_metadata(directory) {
        Err(e) => e.kind() == io::ErrorKind::NotFound,
        Ok(found) => {
            found.is_dir()
                && fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
        }
    }
}

impl UserError for CloneError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Interrupted(e) => e.kind(),
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Occupied { directory } => {
                vec![format!(
                    "check what is there with `{}`",
                    show_directory(directory)
                )]
            }
            Self::Remote {
                source: error @ (RemoteError::GitMissing | RemoteError::GitTooOld { .. }),
                ..
            } => error.hints(),
            Self::Remote { remote, .. } => vec![check_access(remote)],
            Self::Interrupted(e) => e.hints(),
            Self::Path(e) => e.hints(),
        }
    }
}
