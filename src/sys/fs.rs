//! Files and directories of which only the user may read: 0600 and 0700 whatever the umask, and errors with their path.
//!
//! Owns every write. A file is replaced whole (temporary file beside it, flush, fsync, rename, fsync of the directory) or
//! extended at its exact end; nothing is ever written in place. Must not know what the files mean.

use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

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

/// The file is not as long as its reader believed; another program has written to it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it has {found} bytes instead of {expected}: another program wrote to it")]
pub struct LengthChanged {
    /// What the caller had seen.
    pub expected: u64,
    /// What is there.
    pub found: u64,
}

impl PathError {
    /// An error of `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// Whether there is nothing at the path.
    pub fn is_not_found(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }

    /// Whether the disk or the quota is full.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether an [`Appender`] found the file longer or shorter than expected.
    pub fn is_length_changed(&self) -> bool {
        self.source.get_ref().is_some_and(|inner| inner.is::<LengthChanged>())
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

/// Replaces the file by one with this content, durably; missing parents are created private.
///
/// # Errors
/// [`PathError`]; the old file is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let mut file = AtomicFile::create(path)?;
    file.put(bytes)?;
    file.commit()
}

/// Like [`write_atomic`] without waiting for the disk: for caches, which are checked when read and can be made again.
///
/// # Errors
/// [`PathError`]; the old file is then untouched.
pub fn write_cache(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let mut file = AtomicFile::create(path)?;
    file.put(bytes)?;
    file.commit_without_sync()
}

/// A file being written beside the one it will replace. Dropped before [`AtomicFile::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
    modified: Option<SystemTime>,
}

impl AtomicFile {
    /// Begins to replace `target`. If `target` is a symbolic link, the link is replaced, not what it points to.
    ///
    /// # Errors
    /// [`PathError`] if the parent or the temporary file cannot be created.
    pub fn create(target: &Path) -> Result<Self, PathError> {
        let directory = parent(target);
        create_private_dir_all(directory)?;
        let file =
            tempfile::Builder::new().prefix(".ccsync-").suffix(".tmp").tempfile_in(directory).at("write", target)?;
        make_private(file.as_file(), 0o600).at("write", target)?;
        Ok(Self { target: target.to_owned(), file: BufWriter::with_capacity(64 * 1024, file), modified: None })
    }

    /// Appends to the new content.
    ///
    /// # Errors
    /// [`PathError`] that names the target.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), PathError> {
        self.file.write_all(bytes).at("write", &self.target)
    }

    /// The modification time that the file will carry.
    pub fn set_modified(&mut self, time: DateTime<Utc>) {
        self.modified = Some(time.into());
    }

    /// Replaces the target and waits until the disk has it.
    ///
    /// # Errors
    /// [`PathError`]; the old file is then untouched.
    pub fn commit(self) -> Result<(), PathError> {
        let target = self.finish(true)?;
        sync_dir(parent(&target)).at("write", &target)
    }

    /// Replaces the target without waiting for the disk.
    ///
    /// # Errors
    /// [`PathError`]; the old file is then untouched.
    pub fn commit_without_sync(self) -> Result<(), PathError> {
        self.finish(false).map(drop)
    }

    fn finish(self, sync: bool) -> Result<PathBuf, PathError> {
        let Self { target, file, modified } = self;
        let replace = || {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            set_file_modified(file.as_file(), modified)?;
            if sync {
                file.as_file().sync_all()?;
            }
            file.persist(&target).map_err(|e| e.error)?;
            Ok(())
        };
        replace().at("write", &target)?;
        Ok(target)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Adds to the end of a file that another program may also extend.
///
/// Dropped before [`Appender::commit`], it takes its bytes back, unless something was written after them.
#[derive(Debug)]
pub struct Appender {
    path: PathBuf,
    file: File,
    start: u64,
    written: u64,
    modified: Option<SystemTime>,
    committed: bool,
}

impl Appender {
    /// Opens an existing regular file of exactly `expected` bytes.
    ///
    /// # Errors
    /// [`PathError`]: missing, a symbolic link, or another length ([`PathError::is_length_changed`]).
    pub fn open(path: &Path, expected: u64) -> Result<Self, PathError> {
        let open = || {
            if fs::symlink_metadata(path)?.is_symlink() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a symbolic link"));
            }
            let file = OpenOptions::new().append(true).open(path)?;
            check_length(&file, expected)?;
            Ok(file)
        };
        let file = open().at("append to", path)?;
        Ok(Self { path: path.to_owned(), file, start: expected, written: 0, modified: None, committed: false })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`PathError`] that names the file.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), PathError> {
        let written = self.write_all(bytes);
        written.at("append to", &self.path)
    }

    /// The modification time that the file will carry.
    pub fn set_modified(&mut self, time: DateTime<Utc>) {
        self.modified = Some(time.into());
    }

    /// Waits until the disk has the new end.
    ///
    /// # Errors
    /// [`PathError`], also if another program wrote in between ([`PathError::is_length_changed`]).
    pub fn commit(mut self) -> Result<(), PathError> {
        let finish = || {
            check_length(&self.file, self.start + self.written)?;
            set_file_modified(&self.file, self.modified)?;
            self.file.sync_all()
        };
        finish().at("append to", &self.path)?;
        self.committed = true;
        Ok(())
    }
}

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // What another program wrote after our bytes is worth more than tidiness: then everything stays.
        let ours_is_last = || check_length(&self.file, self.start + self.written).is_ok();
        if !self.committed && self.written > 0 && ours_is_last() {
            let _ = self.file.set_len(self.start);
        }
    }
}

fn check_length(file: &File, expected: u64) -> io::Result<()> {
    let found = file.metadata()?.len();
    if found == expected { Ok(()) } else { Err(io::Error::other(LengthChanged { expected, found })) }
}

/// Sets the modification time of a file.
///
/// # Errors
/// [`PathError`] with the path.
pub fn set_modified(path: &Path, time: DateTime<Utc>) -> Result<(), PathError> {
    let set = || set_file_modified(&OpenOptions::new().append(true).open(path)?, Some(time.into()));
    set().at("set the time of", path)
}

fn set_file_modified(file: &File, time: Option<SystemTime>) -> io::Result<()> {
    time.map_or(Ok(()), |time| file.set_times(FileTimes::new().set_modified(time)))
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

/// Waits until the disk has the entries of a directory: what was created, renamed or removed in it.
fn sync_dir(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path)?.sync_all() {
        // Some network file systems cannot do this to a directory; the rename itself has happened.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
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
pub(super) fn make_private(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(super) fn make_private(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

/// What tells cheaply whether a file is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileStamp {
    /// Its length.
    pub len: u64,
    /// Its modification time in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Its number on its file system; 0 where the system has none.
    pub inode: u64,
}

impl FileStamp {
    /// The stamp of a file as its metadata describe it.
    pub fn of(metadata: &Metadata) -> Self {
        Self { len: metadata.len(), modified_ns: modified_ns(metadata), inode: inode(metadata) }
    }

    /// The stamp of the file at `path`, links followed.
    ///
    /// # Errors
    /// [`PathError`] with the path.
    pub fn read(path: &Path) -> Result<Self, PathError> {
        Ok(Self::of(&fs::metadata(path).at("read", path)?))
    }
}

fn modified_ns(metadata: &Metadata) -> i128 {
    let Ok(modified) = metadata.modified() else { return 0 };
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => i128::try_from(before.duration().as_nanos()).map_or(i128::MIN, |ns| -ns),
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

#[cfg(unix)]
mod umask {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rustix::fs::Mode;
    use rustix::process::umask;

    /// The umask that the user started us with, once it has been restricted.
    static USERS: Mutex<Option<Mode>> = Mutex::new(None);

    /// From now on this process makes no file that others can read, also through libraries.
    ///
    /// Child processes still get the user's own umask: the client makes the user's files, not ours.
    pub fn restrict_umask() {
        let mut users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        let before = umask(Mode::from_raw_mode(0o077));
        users.get_or_insert(before);
    }

    /// While this lives, the process has the user's umask again. Held for the instant in which a child is started.
    pub(crate) struct UsersUmask(MutexGuard<'static, Option<Mode>>);

    pub(crate) fn users_umask() -> UsersUmask {
        let users = USERS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mode) = *users {
            umask(mode);
        }
        UsersUmask(users)
    }

    impl Drop for UsersUmask {
        fn drop(&mut self) {
            if self.0.is_some() {
                umask(Mode::from_raw_mode(0o077));
            }
        }
    }
}

#[cfg(unix)]
pub use umask::restrict_umask;
#[cfg(unix)]
pub(super) use umask::users_umask;

/// Does nothing: Windows has no umask, and the user's profile is private.
#[cfg(not(unix))]
pub fn restrict_umask() {}

#[cfg(not(unix))]
pub(super) fn users_umask() {}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_atomic_write_replaces_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/file");
        write_atomic(&path, b"one").unwrap();
        let mut half = AtomicFile::create(&path).unwrap();
        half.put(b"tw").unwrap();
        drop(half);
        assert_eq!(read(&path).unwrap(), b"one");
        assert_eq!(names(path.parent().unwrap()), ["file"]);
        write_cache(&path, b"two").unwrap();
        assert_eq!(read_from(&path, 1).unwrap(), b"wo");
    }

    #[cfg(unix)]
    #[test]
    fn files_and_directories_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        write_atomic(&path, b"x").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_never_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, link) = (dir.path().join("outside"), dir.path().join("link"));
        write_atomic(&outside, b"keep").unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        assert!(Appender::open(&link, 4).is_err());
        write_atomic(&link, b"new").unwrap();
        assert_eq!((read(&outside).unwrap(), read(&link).unwrap()), (b"keep".to_vec(), b"new".to_vec()));
    }

    #[test]
    fn an_appender_refuses_a_file_that_grew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"abc").unwrap();
        let error = Appender::open(&path, 2).unwrap_err();
        assert!(error.is_length_changed() && !error.is_not_found());
        assert!(Appender::open(&dir.path().join("none"), 0).unwrap_err().is_not_found());
    }

    #[test]
    fn an_appender_takes_back_only_what_is_still_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"abc").unwrap();
        let mut dropped = Appender::open(&path, 3).unwrap();
        dropped.put(b"def").unwrap();
        drop(dropped);
        assert_eq!(read(&path).unwrap(), b"abc");

        let mut raced = Appender::open(&path, 3).unwrap();
        raced.put(b"def").unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"theirs").unwrap();
        assert!(raced.commit().unwrap_err().is_length_changed());
        assert_eq!(read(&path).unwrap(), b"abcdeftheirs");
    }

    #[test]
    fn times_and_stamps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let time = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.put(b"x").unwrap();
        file.set_modified(time);
        file.commit().unwrap();
        let stamp = FileStamp::read(&path).unwrap();
        assert_eq!((stamp.len, stamp.modified_ns), (1, 1_700_000_000_000_000_000));
        let text = serde_json::to_string(&stamp).unwrap();
        assert_eq!(serde_json::from_str::<FileStamp>(&text).unwrap(), stamp);
        let mut more = Appender::open(&path, 1).unwrap();
        more.put(b"y").unwrap();
        more.set_modified(time);
        more.commit().unwrap();
        assert_ne!(FileStamp::read(&path).unwrap(), stamp);
        set_modified(&path, time).unwrap();
        assert_eq!(FileStamp::read(&path).unwrap().modified_ns, stamp.modified_ns);
    }

    #[test]
    fn removing_twice_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"").unwrap();
        assert!(remove_file_if_exists(&path).unwrap());
        assert!(!remove_file_if_exists(&path).unwrap());
    }
}
