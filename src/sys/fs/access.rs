//! Rights on files and directories, and the space that is left.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

/// The users who may use a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// It belongs to this process's user.
    pub mine: bool,
    /// Users other than its owner may read or change it.
    pub others: bool,
}

/// Returns who may use what is at `path`; follows links.
///
/// `None` if that is unknown, or if the system has other rules.
pub fn access(path: &Path) -> Option<Access> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        let mine = metadata.uid() == rustix::process::geteuid().as_raw();
        Some(Access {
            mine,
            others: metadata.mode() & 0o077 != 0,
        })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Returns the bytes that this user may still write at `path` or its nearest existing parent.
///
/// `None` if that is unknown.
pub fn free_space(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let there = path.ancestors().find(|path| path.exists())?;
        let found = rustix::fs::statvfs(there).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

/// Returns true if a file can be created at `path` or its nearest existing parent; also if that is
/// unknown.
pub fn is_writable(path: &Path) -> bool {
    #[cfg(unix)]
    {
        let there = path.ancestors().find(|path| path.exists());
        there.is_none_or(|there| rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_ok())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        true
    }
}

/// Returns false if the file system of `path` has no room for another file, whatever its size.
pub fn has_free_inodes(path: &Path) -> bool {
    #[cfg(unix)]
    {
        let there = path.ancestors().find(|path| path.exists());
        let found = there.and_then(|there| rustix::fs::statvfs(there).ok());
        // Some file systems do not count them.
        found.is_none_or(|found| found.f_files == 0 || found.f_favail > 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        true
    }
}

/// Returns true if files have a right to be run here.
pub const fn knows_executables() -> bool {
    cfg!(unix)
}

/// Returns true if the owner of a file may run it; `None` on systems without such a right.
pub fn is_executable(metadata: &Metadata) -> Option<bool> {
    #[cfg(unix)]
    {
        Some(std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

pub(in crate::sys) fn make_private(file: &File) -> io::Result<()> {
    set_mode(file, 0o600)
}

pub(super) fn make_executable(file: &File) -> io::Result<()> {
    set_mode(file, 0o700)
}

#[cfg(unix)]
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}
