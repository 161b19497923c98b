//! Replacing a file whole: temporary file in its directory, flush, fsync, rename, fsync of the
//! directory.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::access::{make_executable, make_private};
use super::directory::{create_private_dir_all, parent, sync_dir};
use super::error::{PathContext as _, PathError};
use super::file::set_file_modified;
use super::stamp::FileStamp;
use crate::sys::{fail_point::fail_point, temp::create_temp_file, temp_file::TempFile};

/// Replaces a file durably; creates missing parents private.
///
/// # Errors
/// [`PathError`]; then the old file is unchanged.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let mut file = AtomicFile::create(path)?;
    file.append(bytes)?;
    file.commit().map(drop)
}

/// Replaces a file without waiting for the disk.
///
/// For caches, which are checked when they are read and can be computed again.
///
/// # Errors
/// [`PathError`]; then the old file is unchanged.
pub fn write_cache(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let mut file = AtomicFile::create(path)?;
    file.append(bytes)?;
    file.commit_without_sync().map(drop)
}

/// A temporary file that will replace another one. Dropped before [`AtomicFile::commit`], it
/// leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    file: BufWriter<TempFile>,
    modified: Option<SystemTime>,
    /// The content is on the disk.
    synced: bool,
}

impl AtomicFile {
    /// Begins to replace `target`. A symbolic link is itself replaced, not the file behind it.
    ///
    /// # Errors
    /// [`PathError`] if the parent or the temporary file cannot be created.
    pub fn create(target: &Path) -> Result<Self, PathError> {
        let directory = parent(target);
        create_private_dir_all(directory)?;
        let file = create_temp_file(directory).at("write", target)?;
        make_private(file.as_file()).at("write", target)?;
        fail_point("a temporary file is created");
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
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), PathError> {
        self.file.write_all(bytes).at("write", &self.target)
    }

    /// Sets the modification time that the file gets on commit.
    pub fn set_modified(&mut self, time: DateTime<Utc>) {
        self.modified = Some(time.into());
    }

    /// Lets its owner run the file; does nothing on systems without such a right.
    ///
    /// # Errors
    /// [`PathError`] that names the target.
    pub fn make_executable(&mut self) -> Result<(), PathError> {
        make_executable(self.file.get_ref().as_file()).at("write", &self.target)
    }

    /// Waits until the content is on the disk, so that [`Self::commit`] takes as long as a rename.
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

    /// Replaces the target and waits until it is on the disk.
    ///
    /// Returns the stamp of the written file; later changes by other programs are not in it.
    ///
    /// # Errors
    /// [`PathError`]; then the old file is unchanged.
    pub fn commit(self) -> Result<FileStamp, PathError> {
        let target = self.target.clone();
        let stamp = self.finish(true)?;
        sync_dir(parent(&target)).at("write", &target)?;
        Ok(stamp)
    }

    /// Replaces the target without waiting for the disk.
    ///
    /// # Errors
    /// [`PathError`]; then the old file is unchanged.
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
            let stamp = FileStamp::of_file(file.as_file())?;
            fail_point("a temporary file is written");
            file.persist(&target)?;
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
    use crate::sys::temp::is_temp_name;

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
        half.append(b"tw").unwrap();
        assert!(
            names(path.parent().unwrap())
                .iter()
                .any(|name| is_temp_name(name))
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
