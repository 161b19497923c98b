//! A remote that is a directory on a disk: refused if it has a working tree, made a repository if
//! it is empty and the user agrees.

use std::path::Path;

use super::args::InitArgs;
use super::error::InitError;
use crate::cli::{app::App, ask, error::CliError, error::CommandError};
use crate::domain::{url::RemoteKind, url::RemoteUrl};
use crate::store::{RepositoryKind, create_bare_repository, repository_kind};
use crate::ui::sanitize::one_line;
use crate::workspace::SyncError;

/// Prepares a remote that is a directory; nothing is done for any other.
///
/// # Errors
/// [`InitError::NotBare`], [`InitError::EmptyDirectory`].
pub(super) fn prepare(remote: &RemoteUrl, args: &InitArgs, app: &App) -> Result<(), CliError> {
    let RemoteKind::Local(path) = remote.kind() else {
        return Ok(());
    };
    if repository_kind(path) == RepositoryKind::RefusesPushes {
        let path = path.clone();
        return Err(InitError::NotBare { path }.into());
    }
    if !is_empty_directory(path) {
        return Ok(());
    }
    if args.may_ask(app) {
        let path = path.to_string_lossy();
        let question = format!(
            "{} is an empty directory. Make it a git repository for your sessions?",
            one_line(&path)
        );
        if !ask::confirm(&question)? {
            let unchanged = format!("nothing was set up; {} stays as it is", one_line(&path));
            return Err(CommandError::Declined(unchanged).into());
        }
    } else if !args.yes {
        let path = path.clone();
        return Err(InitError::EmptyDirectory { path }.into());
    }
    Ok(create_bare_repository(path).map_err(SyncError::from)?)
}

fn is_empty_directory(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}
