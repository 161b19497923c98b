//! Replacing a file whole: temporary file beside it, flush, fsync, rename, fsync of the directory.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use tempfile::NamedTempFile;

use super::{
    Context, FileStamp, PathError, create_private_dir_all, make_executable, make_private, parent,
    set_file_modified, sync_dir,
};
use crate::sys::fail_point::fail_point;

/// Replaces the file by one with this content, durably; missing parents are created private.
///
/// # Errors
/// [`PathError`]; the old file is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let mut file = AtomicFile::create(path)?;
    file.put(bytes)?;
    file.commit().map(drop)
}

/// Like [`write_atomic`] without waiting for the disk: for caches, which are checked when read and can be made again.
///
/// # Errors
/// [`PathError`]; the old file is then untouched.
pub fn write_cache(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let mut file = AtomicFile::create(path)?;
    file.put(bytes)?;
    file.commit_without_sync().map(drop)
}

const PREFIX: &str = ".ccsync-";
const SUFFIX: &str = ".tmp";

/// Whether a file of this name is what a killed process leaves of an [`AtomicFile`]: safe to remove while the process
/// lock is held, and never part of anything.
pub fn is_leftover(file_name: &str) -> bool {
    file_name.starts_with(PREFIX) && file_name.ends_with(SUFFIX)
}

/// A file being written beside the one it will replace. Dropped before [`AtomicFile::commit`], it leaves nothing
/// behind.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
    modified: Option<SystemTime>,
    /// The disk has the content already.
    synced: bool,
}

impl AtomicFile {
    /// Begins to replace `target`. If `target` is a symbolic link, the link is replaced, not what it points to.
    ///
    /// # Errors
    /// [`PathError`] if the parent or the temporary file cannot be created.
    pub fn create(target: &Path) -> Result<Self, PathError> {
        let directory = parent(target);
        create_private_dir_all(directory)?;
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .tempfile_in(directory)
            .at("write", target)?;
        make_private(file.as_file()).at("write", target)?;
        fail_point("a temporary file is there");
        let file = BufWriter::with_capacity(64 * 1024, file);
        Ok(Self {
            target: target.to_owned(),
            file,
            modified: None,
            synced: false,
        })
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

    /// Lets its owner run the file; nothing where the system knows no such right.
    ///
    /// # Errors
    /// [`PathError`] that names the target.
    pub fn make_executable(&mut self) -> Result<(), PathError> {
        make_executable(self.file.get_ref().as_file()).at("write", &self.target)
    }

    /// Waits until the disk has the content, so that [`Self::commit`] takes no longer than a rename.
    ///
    /// # Errors
    /// [`PathError`] that names the target.
    pub fn sync(&mut self) -> Result<(), PathError> {
        let Self { file, modified, .. } = self;
        let mut sync = || {
            file.flush()?;
            set_file_modified(file.get_ref().as_file(), *modified)?;
            file.get_ref().as_file().sync_all()
        };
        sync().at("write", &self.target)?;
        self.synced = true;
        Ok(())
    }

    /// Replaces the target and waits until the disk has it. Returns the stamp of what was written, whatever others do to the
    /// file from then on.
    ///
    /// # Errors
    /// [`PathError`]; the old file is then untouched.
    pub fn commit(self) -> Result<FileStamp, PathError> {
        let target = self.target.clone();
        let stamp = self.finish(true)?;
        sync_dir(parent(&target)).at("write", &target)?;
        Ok(stamp)
    }

    /// Replaces the target without waiting for the disk.
    ///
    /// # Errors
    /// [`PathError`]; the old file is then untouched.
    pub fn commit_without_sync(self) -> Result<FileStamp, PathError> {
        self.finish(false)
    }

    fn finish(self, sync: bool) -> Result<FileStamp, PathError> {
        let Self {
            target,
            file,
            modified,
            synced,
        } = self;
        let replace = || {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            set_file_modified(file.as_file(), modified)?;
            if sync && !synced {
                file.as_file().sync_all()?;
            }
            let stamp = FileStamp::of(&file.as_file().metadata()?);
            fail_point("a temporary file is written");
            file.persist(&target).map_err(|e| e.error)?;
            fail_point("a temporary file has its name");
            Ok(stamp)
        };
        replace().at("write", &target)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::fs::{read, read_from};

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn atomic_write_replaces_completely_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/er/file");
        write_atomic(&path, b"one").unwrap();
        let mut half = AtomicFile::create(&path).unwrap();
        half.put(b"tw").unwrap();
        assert!(
            names(path.parent().unwrap())
                .iter()
                .any(|name| is_leftover(name))
        );
        drop(half);
        assert_eq!(read(&path).unwrap(), b"one");
        assert_eq!(names(path.parent().unwrap()), ["file"]);
        write_cache(&path, b"two").unwrap();
        assert_eq!(read_from(&path, 1).unwrap(), b"wo");
    }

    #[cfg(unix)]
    #[test]
    fn atomic_write_creates_private_files_and_directories() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        write_atomic(&path, b"x").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[cfg(unix)]
    #[test]
    fn atomic_write_replaces_symlink() {
        let dir = tempfile::tempdir().unwrap();
        let (outside, link) = (dir.path().join("outside"), dir.path().join("link"));
        write_atomic(&outside, b"keep").unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        write_atomic(&link, b"new").unwrap();
        assert_eq!(
            (read(&outside).unwrap(), read(&link).unwrap()),
            (b"keep".to_vec(), b"new".to_vec())
        );
    }
}
