//! Directories: created private or with the user's umask, moved, flushed to the disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{PathContext as _, PathError};
use super::umask::users_umask;

/// Creates a directory and its missing parents with mode 0700; existing ones keep their mode.
///
/// # Errors
/// [`PathError`] that names the directory that could not be created.
pub fn create_private_dir_all(path: &Path) -> Result<(), PathError> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    create_private_dir_all(parent(path))?;
    match create_private_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result.at("create", path),
    }
}

/// Creates a directory and its missing parents with the user's umask.
///
/// Returns the created directories, the outermost first.
///
/// # Errors
/// [`PathError`] that names the directory that could not be created; then none remains.
pub fn create_users_dir_all(path: &Path) -> Result<Vec<PathBuf>, PathError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir())
        .collect();
    let _umask = users_umask();
    let mut created = Vec::new();
    for dir in missing.into_iter().rev() {
        if let Err(source) = fs::create_dir(dir) {
            remove_empty_dirs(&created);
            return Err(PathError::new("create", dir, source));
        }
        created.push(dir.to_owned());
    }
    Ok(created)
}

/// Removes directories that [`create_users_dir_all`] created; keeps those that are not empty.
pub fn remove_empty_dirs(created: &[PathBuf]) {
    created
        .iter()
        .rev()
        .for_each(|dir| drop(fs::remove_dir(dir)));
}

/// Renames the directory `from` to `to`, which must be missing or an empty directory.
///
/// # Errors
/// [`PathError`], also if there is anything else at `to`.
pub fn move_dir(from: &Path, to: &Path) -> Result<(), PathError> {
    match fs::remove_dir(to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(PathError::new("replace", to, e));
        }
        _ => {}
    }
    fs::rename(from, to).at("create", to)
}

#[cfg(unix)]
fn create_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Waits until a file and its directory, which may both be new, are on the disk.
///
/// # Errors
/// [`PathError`] with the path.
pub fn sync_with_directory(path: &Path) -> Result<(), PathError> {
    let sync = || {
        // Windows requires the right to write.
        OpenOptions::new()
            .read(true)
            .write(cfg!(windows))
            .open(path)?
            .sync_all()?;
        sync_dir(parent(path))?;
        sync_dir(parent(parent(path)))
    };
    sync().at("write", path)
}

/// Waits until the entries of a directory are on the disk.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        // Some network file systems cannot do this; the change itself has happened.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidInput
                    | io::ErrorKind::Unsupported
                    | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
