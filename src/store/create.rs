//! Creates the store's repository, and the bare one that is used until the user
//! configures a remote.
//!
//! Must not open existing repositories: `open` does that.

use std::io;
use std::path::Path;

use git2::{Config, ConfigLevel, Repository, RepositoryInitOptions};

use super::error::StoreError;
use super::layout::{BRANCH, HEAD_REF, REMOTE_REF};
use super::stale::UNFINISHED_PREFIX;
use crate::sys::{fail_point::fail_point, fs};

/// Setting that makes the `git` program write private files, whatever the user's umask
/// is.
const SHARED_REPOSITORY: &str = "core.sharedRepository";

/// Creates the bare repository that serves as remote if the user has named none.
///
/// # Errors
/// [`StoreError::Git`], [`StoreError::Io`].
pub fn create_embedded_remote(path: &Path) -> Result<(), StoreError> {
    if path.join("HEAD").exists() {
        return Ok(());
    }
    create_whole(path, |directory| {
        let repo = Repository::init_opts(directory, init_options().bare(true))?;
        make_private(&mut local_config(&repo)?)
    })
}

/// Creates the bare repository of the commits of an encrypted store, if it is missing.
///
/// Git compresses nothing there: sealed data cannot be compressed.
pub(super) fn create_mirror(path: &Path) -> Result<(), StoreError> {
    if path.join("HEAD").exists() {
        return Ok(());
    }
    create_whole(path, |directory| {
        let repo = Repository::init_opts(directory, init_options().bare(true))?;
        let mut config = local_config(&repo)?;
        make_private(&mut config)?;
        Ok(config.set_i32("core.compression", 0)?)
    })
}

/// Fitness of a directory as a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryKind {
    /// Git accepts pushes to it.
    Usable,
    /// It has a working tree, so git refuses to move its branch.
    RefusesPushes,
    /// It is not a repository, or not one that can be read here.
    Unknown,
}

/// Returns whether git would accept pushes to the repository at `path`.
pub fn repository_kind(path: &Path) -> RepositoryKind {
    let Ok(repo) = Repository::open(path) else {
        return RepositoryKind::Unknown;
    };
    let setting = repo
        .config()
        .and_then(|config| config.get_string("receive.denyCurrentBranch"));
    let is_allowed = setting.is_ok_and(|value| {
        ["ignore", "warn", "updateinstead", "false"].contains(&value.to_lowercase().as_str())
    });
    if repo.is_bare() || is_allowed {
        RepositoryKind::Usable
    } else {
        RepositoryKind::RefusesPushes
    }
}

/// Makes an empty directory a bare repository.
///
/// # Errors
/// [`StoreError::Git`].
pub fn create_bare_repository(path: &Path) -> Result<(), StoreError> {
    Repository::init_opts(path, init_options().bare(true))?;
    Ok(())
}

/// Creates an empty store.
pub(super) fn create_store(path: &Path) -> Result<Repository, StoreError> {
    create_whole(path, init_store)?;
    Ok(Repository::open(path)?)
}

/// Makes `directory` an empty store, or adds what is missing in an incomplete one.
///
/// The user's own settings of git do not count: always SHA-1, plain ref files, no filters.
pub(super) fn init_store(directory: &Path) -> Result<(), StoreError> {
    let repo = Repository::init_opts(directory, &init_options())?;
    let mut config = local_config(&repo)?;
    make_private(&mut config)?;
    config.set_str("core.autocrlf", "false")?;
    config.set_bool("core.fileMode", false)?;
    // Windows refuses long paths of the store otherwise.
    Ok(config.set_bool("core.longpaths", true)?)
}

/// Returns true if [`init_store`] has completed.
pub(super) fn is_initialized(repo: &Repository) -> Result<bool, StoreError> {
    Ok(local_config(repo)?.get_string(SHARED_REPOSITORY).is_ok())
}

/// Returns true if the bare repository at `remote` is the remote of the store at `store`.
///
/// A store that is missing or empty fits every remote.
pub fn belongs_to_remote(store: &Path, remote: &Path) -> bool {
    let commit = |path: &Path, name: &str| Repository::open(path).ok()?.refname_to_id(name).ok();
    let is_empty = || Repository::open(store).is_ok_and(|s| s.refname_to_id(HEAD_REF).is_err());
    !store.exists()
        || is_empty()
        || commit(store, REMOTE_REF).is_some_and(|seen| commit(remote, HEAD_REF) == Some(seen))
}

fn init_options() -> RepositoryInitOptions {
    let mut options = RepositoryInitOptions::new();
    options
        .mkpath(true)
        .initial_head(BRANCH)
        .external_template(false);
    options
}

fn local_config(repo: &Repository) -> Result<Config, git2::Error> {
    repo.config()?.open_level(ConfigLevel::Local)
}

fn make_private(config: &mut Config) -> Result<(), StoreError> {
    Ok(config.set_str(SHARED_REPOSITORY, "0600")?)
}

/// Prepares a repository in a temporary directory and renames it to `path`.
///
/// A process that is killed leaves all of it or nothing.
fn create_whole(
    path: &Path,
    init: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = |e: io::Error| StoreError::io("create", path, e);
    let parent = path.parent().unwrap_or(path);
    fs::create_private_dir_all(parent).map_err(|e| failed(e.source))?;
    let temporary = tempfile::Builder::new()
        .prefix(UNFINISHED_PREFIX)
        .tempdir_in(parent)
        .map_err(failed)?;
    let prepared = temporary.path().join("repository");
    init(&prepared)?;
    fail_point("a repository is prepared");

    match std::fs::rename(&prepared, path) {
        // Another process was faster.
        Err(_) if path.join("HEAD").exists() || path.join(".git").exists() => {}
        renamed => renamed.map_err(failed)?,
    }
    fail_point("a repository is in its place");
    Ok(())
}
