//! A new file that gets its name when it is complete.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::fs::replace_file;

/// Length of the random part of a name.
const RANDOM_CHARACTERS: usize = 6;

/// Number of names that are tried.
const MAX_ATTEMPTS: usize = 1000;

/// A file that only its owner may use. Dropped before [`TempFile::persist`], it is removed.
#[derive(Debug)]
pub struct TempFile {
    // Closed before it is removed: Windows keeps the name of an open file.
    file: File,
    path: RemovedOnDrop,
}

#[derive(Debug)]
struct RemovedOnDrop(Option<PathBuf>);

impl TempFile {
    /// Creates a file in `directory` whose name begins and ends so.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    pub fn create_in(directory: &Path, prefix: &str, suffix: &str) -> io::Result<Self> {
        let mut result = Err(io::ErrorKind::AlreadyExists.into());
        for _ in 0..MAX_ATTEMPTS {
            let random = std::iter::repeat_with(fastrand::alphanumeric).take(RANDOM_CHARACTERS);
            let random = random.collect::<String>();
            let path = directory.join(OsString::from(format!("{prefix}{random}{suffix}")));
            result = create_private(&path).map(|file| Self {
                file,
                path: RemovedOnDrop(Some(path)),
            });
            match &result {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                _ => break,
            }
        }
        result
    }

    /// Returns the open file.
    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name; replaces what has it.
    ///
    /// # Errors
    /// As [`std::fs::rename`]; then the file is removed.
    pub fn persist(self, target: &Path) -> io::Result<()> {
        let Self { file, mut path } = self;
        drop(file);
        if let Some(from) = &path.0 {
            replace_file(from, target)?;
        }
        path.0 = None;
        Ok(())
    }
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).open(path)
}

impl Write for TempFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for RemovedOnDrop {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temp_file_is_removed_unless_it_got_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let create = || TempFile::create_in(dir.path(), "a-", ".tmp").unwrap();
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        let dropped = create();
        assert_eq!(names(), 1);
        drop(dropped);
        assert_eq!(names(), 0);

        let target = dir.path().join("b");
        for text in ["one", "two"] {
            let mut file = create();
            file.write_all(text.as_bytes()).unwrap();
            file.persist(&target).unwrap();
            assert_eq!(std::fs::read_to_string(&target).unwrap(), text);
        }
        assert!(create().persist(&dir.path().join("no/such")).is_err());
        assert_eq!(names(), 1);
    }
}
