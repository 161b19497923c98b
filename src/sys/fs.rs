//! Files and directories of which only the user may read: 0600 and 0700 whatever the umask, and errors with their path.
//!
//! Owns every write. A file is replaced whole ([`AtomicFile`]) or extended at its exact end ([`Appender`]); nothing is
//! ever written in place. Must not know what the files mean.

mod append;
mod atomic;
mod umask;

use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use append::{Appender, LengthChanged};
pub use atomic::{AtomicFile, is_leftover, write_atomic, write_cache};
pub use umask::restrict_umask;
pub(super) use umask::users_umask;

/// What could not be done to which path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct PathError {
    /// A verb: `read`, `write`, `create`.
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl PathError {
    /// An error of `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether there is nothing at the path.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    }

    /// Whether the disk or the quota is full.
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    /// Whether an [`Appender`] found the file longer or shorter than expected.
    pub fn is_length_changed(&self) -> bool {
        self.source
            .get_ref()
            .is_some_and(|inner| inner.is::<LengthChanged>())
    }
}

/// `map_err` with an action and a path.
trait Context<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, PathError>;
}

impl<T> Context<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, PathError> {
        self.map_err(|source| PathError::new(action, path, source))
    }
}

/// The whole content of a file.
///
/// # Errors
/// [`PathError`] with the path.
pub fn read(path: &Path) -> Result<Vec<u8>, PathError> {
    fs::read(path).at("read", path)
}

/// The whole content of a file that must be UTF-8.
///
/// # Errors
/// [`PathError`] with the path, also for text that is not UTF-8.
pub fn read_to_string(path: &Path) -> Result<String, PathError> {
    fs::read_to_string(path).at("read", path)
}

/// The bytes of a file from `from` to its end as it is now; nothing if the file is shorter.
///
/// # Errors
/// [`PathError`] with the path.
pub fn read_from(path: &Path, from: u64) -> Result<Vec<u8>, PathError> {
    let read = || {
        let mut file = File::open(path)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().at("read", path)
}

/// Sets the modification time of a file.
///
/// # Errors
/// [`PathError`] with the path.
pub fn set_modified(path: &Path, time: DateTime<Utc>) -> Result<(), PathError> {
    let set = || {
        set_file_modified(
            &OpenOptions::new().append(true).open(path)?,
            Some(time.into()),
        )
    };
    set().at("set the time of", path)
}

fn set_file_modified(file: &File, time: Option<SystemTime>) -> io::Result<()> {
    time.map_or(Ok(()), |time| {
        file.set_times(FileTimes::new().set_modified(time))
    })
}

/// Creates a directory and its missing parents, each with mode 0700; existing ones stay as they are.
///
/// # Errors
/// [`PathError`] that names the directory that could not be made.
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

/// Creates a directory of the user's, and its missing parents, as their umask says. Returns those that were made, outermost first.
///
/// # Errors
/// [`PathError`] that names the directory that could not be made; then none is.
pub fn create_users_dir_all(path: &Path) -> Result<Vec<PathBuf>, PathError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|dir| !dir.as_os_str().is_empty() && !dir.is_dir())
        .collect();
    let _as_the_user_set_it = users_umask();
    let mut made = Vec::new();
    for dir in missing.into_iter().rev() {
        if let Err(source) = fs::create_dir(dir) {
            remove_empty_dirs(&made);
            return Err(PathError::new("create", dir, source));
        }
        made.push(dir.to_owned());
    }
    Ok(made)
}

/// Removes directories as [`create_users_dir_all`] has made them; one that is not empty stays.
pub fn remove_empty_dirs(made: &[PathBuf]) {
    made.iter().rev().for_each(|dir| drop(fs::remove_dir(dir)));
}

/// Gives the directory `from` the name `to`, where nothing is, or an empty directory.
///
/// # Errors
/// [`PathError`], also if something lies at `to`.
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

/// Removes a file; one that is not there is no error. True if there was one.
///
/// # Errors
/// [`PathError`] with the path.
pub fn remove_file_if_exists(path: &Path) -> Result<bool, PathError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(PathError::new("remove", path, e)),
    }
}

/// The temporary files in a directory and below; links are not followed. Each is being written, or its writer was killed.
pub fn leftovers(directory: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(directory)
        .into_iter()
        .flatten()
        .filter(|e| e.file_type().is_file());
    let leftovers = files.filter(|e| e.file_name().to_str().is_some_and(is_leftover));
    leftovers.map(walkdir::DirEntry::into_path).collect()
}

/// Who may use a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// It belongs to this process's user.
    pub mine: bool,
    /// Others than its owner may read or change it.
    pub others: bool,
}

/// Who may use what is at `path`, links followed; `None` if that cannot be told, or if the system has other rules.
pub fn access(path: &Path) -> Option<Access> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path).ok()?;
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

/// Bytes that this user may still write where `path` is, or its nearest directory that exists; `None` if the system does not tell.
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

/// Waits until the disk has a file and, as both may be new, its directory.
///
/// # Errors
/// [`PathError`] with the path.
pub fn sync_with_directory(path: &Path) -> Result<(), PathError> {
    let sync = || {
        // Windows asks for the right to write.
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

/// Waits until the disk has the entries of a directory: what was created, renamed or removed in it.
fn sync_dir(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        // Some network file systems cannot do this to a directory; the rename itself has happened.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
pub(super) fn make_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
pub(super) fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn make_executable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_executable(_: &File) -> io::Result<()> {
    Ok(())
}

/// Whether files here have a right to be run that a program can read and give.
pub const fn knows_executables() -> bool {
    cfg!(unix)
}

/// Whether the owner of a file may run it; `None`: this system knows no such right.
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

/// What tells cheaply whether a file is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileStamp {
    /// Its length.
    pub len: u64,
    /// Its modification time in nanoseconds since 1970.
    pub modified_ns: i64,
    /// Its number on its file system; 0 where the system has none.
    pub inode: u64,
}

impl FileStamp {
    /// The stamp of a file as its metadata describe it.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            len: metadata.len(),
            modified_ns: modified_ns(metadata),
            inode: inode(metadata),
        }
    }

    /// The stamp of the file at `path`, links followed.
    ///
    /// # Errors
    /// [`PathError`] with the path.
    pub fn read(path: &Path) -> Result<Self, PathError> {
        Ok(Self::of(&fs::metadata(path).at("read", path)?))
    }
}

fn modified_ns(metadata: &Metadata) -> i64 {
    let Ok(modified) = metadata.modified() else {
        return 0;
    };
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fs_stamp_changes_with_file_and_round_trips() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.put(b"x").unwrap();
        file.set_modified(time);
        file.commit().unwrap();
        let stamp = FileStamp::read(&path).unwrap();
        assert_eq!(
            (stamp.len, stamp.modified_ns),
            (1, 1_700_000_000_000_000_000)
        );
        let text = serde_json::to_string(&stamp).unwrap();
        assert_eq!(serde_json::from_str::<FileStamp>(&text).unwrap(), stamp);
        let mut more = Appender::open(&path, 1).unwrap();
        more.put(b"y").unwrap();
        more.set_modified(time);
        more.commit().unwrap();
        assert_ne!(FileStamp::read(&path).unwrap(), stamp);
        set_modified(&path, time).unwrap();
        assert_eq!(
            FileStamp::read(&path).unwrap().modified_ns,
            stamp.modified_ns
        );
    }

    #[test]
    fn fs_remove_missing_file_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"").unwrap();
        assert!(remove_file_if_exists(&path).unwrap());
        assert!(!remove_file_if_exists(&path).unwrap());
    }
}
