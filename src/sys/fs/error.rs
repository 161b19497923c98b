//! The error of every call that touches a path.

use std::io;
use std::path::{Path, PathBuf};

use super::access::has_free_inodes;
use crate::domain::{UserError, shell::shell_word, shell::show_rights};
use crate::sys::{process::RAISE_LIMIT, set_aside::move_aside_command};

/// An I/O error with the action and the path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct PathError {
    /// A verb: `read`, `write`, `create`.
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The system's reason.
    #[source]
    pub source: io::Error,
}

impl PathError {
    /// Creates the error of `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Returns true if there is nothing at the path.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    }

    /// Returns true if the disk or the quota is full.
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// Another program has written to a file, so its length is not the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has {found} bytes instead of {expected}: another program wrote to it")]
pub struct LengthChanged {
    /// Bytes that the caller has seen.
    pub expected: u64,
    /// Bytes that are there.
    pub found: u64,
}

/// `map_err` with an action and a path.
pub(super) trait PathContext<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, PathError>;
}

impl<T> PathContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, PathError> {
        self.map_err(|source| PathError::new(action, path, source))
    }
}

impl UserError for PathError {
    fn hints(&self) -> Vec<String> {
        path_hints(&self.source, &self.path)
    }

    // A full disk is full for the others, too.
    fn is_about_one_session(&self) -> bool {
        !self.is_full()
    }
}

/// Returns true if this process or the system has too many open files.
fn is_out_of_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        let codes = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
        let codes = codes.map(|code| Some(code.raw_os_error()));
        codes.contains(&error.raw_os_error())
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}

/// Returns what helps against a failure of the file system at `path`.
pub fn path_hints(error: &io::Error, path: &Path) -> Vec<String> {
    let parent = path.parent().unwrap_or(path);
    let directory = shell_word(parent);
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("check owner and permissions with `{}`", show_rights(parent))
        }
        io::ErrorKind::IsADirectory => format!(
            "a file belongs there: move the directory away with `{}`",
            move_aside_command(path)
        ),
        io::ErrorKind::StorageFull if !has_free_inodes(path) => format!(
            "the file system has no room for another file, whatever its size: delete small files; \
             see `df -i {directory}`"
        ),
        io::ErrorKind::ReadOnlyFilesystem => format!(
            "{directory} is read-only: set `CCSYNC_HOME` to a directory that can be written"
        ),
        _ if is_out_of_files(error) => RAISE_LIMIT.to_owned(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!(
            "make room, then run the command again; see what is full with `df -h {directory}`"
        ),
        _ => return Vec::new(),
    };
    vec![hint]
}
