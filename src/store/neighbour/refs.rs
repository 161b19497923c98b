//! The references of a neighbour: read as git reads them, moved under git's own locks.
//!
//! A reference is a file, or else a line of `packed-refs`; who creates `<file>.lock` may change it (git manual, `gitrepository-layout` and
//! `git-pack-refs`). The new value is on the disk before it takes the name. Must not look at objects. Whatever is out of the ordinary is left to git.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use git2::Oid;

use super::NotDone;
use crate::store::object::sync_dir;
use crate::sys::fail_point::fail_point;

/// The references of one repository.
pub(super) struct Refs<'a> {
    git_dir: &'a Path,
}

impl<'a> Refs<'a> {
    pub(super) fn of(git_dir: &'a Path) -> Self {
        Self { git_dir }
    }

    /// Where a reference is; `None`: it does not exist.
    pub(super) fn read(&self, name: &str) -> Result<Option<Oid>, NotDone> {
        match fs::symlink_metadata(self.git_dir.join(name)) {
            Ok(found) if found.is_file() => {
                return id(&fs::read_to_string(self.git_dir.join(name))?).map(Some);
            }
            // Of names that are gone, git may leave the directories.
            Ok(found) if found.is_dir() => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            _ => return Err(NotDone::LeaveToGit),
        }
        self.packed()?
            .into_iter()
            .find(|(packed, _)| packed == name)
            .map(|(_, value)| id(&value))
            .transpose()
    }

    /// Names and values in `packed-refs`.
    fn packed(&self) -> Result<Vec<(String, String)>, NotDone> {
        /// With so many, reading them takes longer than git.
        const LONGEST: u64 = 1 << 20;
        let path = self.git_dir.join("packed-refs");
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() && found.len() < LONGEST => {}
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            _ => return Err(NotDone::LeaveToGit),
        }
        let text = fs::read_to_string(&path)?;
        let lines = text.lines().filter(|line| !line.starts_with(['#', '^']));
        lines
            .map(|line| {
                line.split_once(' ')
                    .map(|(id, name)| (name.to_owned(), id.to_owned()))
                    .ok_or(NotDone::LeaveToGit)
            })
            .collect()
    }

    /// Takes the lock of a reference.
    pub(super) fn lock(&self, name: &str) -> Result<Lock, NotDone> {
        let target = self.git_dir.join(name);
        let parent = target.parent().ok_or(NotDone::LeaveToGit)?;
        if !parent.is_dir() {
            make_directories(self.git_dir, parent)?;
        }
        if target.is_dir() || self.is_in_the_way(name)? {
            return Err(NotDone::LeaveToGit);
        }
        Lock::take(target)
    }

    /// Whether a packed name has this one for a directory, or the other way round. For files the file system sees to it.
    fn is_in_the_way(&self, name: &str) -> Result<bool, NotDone> {
        let below = |one: &str, other: &str| {
            one.strip_prefix(other)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        Ok(self
            .packed()?
            .iter()
            .any(|(packed, _)| below(packed, name) || below(name, packed)))
    }

    /// Takes the lock that keeps `git pack-refs` from entering what is about to be deleted; none of `names` is entered now.
    pub(super) fn lock_packed(&self, names: &[&str]) -> Result<Lock, NotDone> {
        let lock = Lock::take(self.git_dir.join("packed-refs"))?;
        let entered = self
            .packed()?
            .iter()
            .any(|(packed, _)| names.contains(&packed.as_str()));
        if entered {
            Err(NotDone::LeaveToGit)
        } else {
            Ok(lock)
        }
    }
}

/// A lock that is held. Dropped, it is given back and nothing has changed.
pub(super) struct Lock {
    target: PathBuf,
    path: PathBuf,
    file: File,
    held: bool,
}

impl Lock {
    fn take(target: PathBuf) -> Result<Self, NotDone> {
        let mut path = target.clone().into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self {
            target,
            path,
            file,
            held: true,
        })
    }

    /// Writes the new value into the lock file, so that only a rename is left to do.
    pub(super) fn prepare(&mut self, value: Oid) -> Result<(), NotDone> {
        self.file.write_all(format!("{value}\n").as_bytes())?;
        share_as_directory(&self.file, &self.target)?;
        Ok(self.file.sync_all()?)
    }

    /// Makes the prepared value that of the reference.
    pub(super) fn commit(mut self) -> Result<(), NotDone> {
        fs::rename(&self.path, &self.target)?;
        self.held = false;
        fail_point("a reference of a neighbour has moved");
        // The name has changed already: a disk that does not say that it has it is no reason to do it again.
        let _ = self.target.parent().map(sync_dir);
        Ok(())
    }

    /// Deletes the reference.
    pub(super) fn delete(self) -> Result<(), NotDone> {
        fs::remove_file(&self.target)?;
        fail_point("a reference of a neighbour has moved");
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.held {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(text: &str) -> Result<Oid, NotDone> {
    let hex = text.trim_end();
    let is_id = hex.len() == 40 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_id {
        Oid::from_str(hex).map_err(NotDone::from)
    } else {
        Err(NotDone::LeaveToGit)
    }
}

/// Others may share the repository: who may enter the directory of a reference may read it, and who may write there may write it.
#[cfg(unix)]
fn share_as_directory(file: &File, target: &Path) -> Result<(), NotDone> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let directory = target.parent().ok_or(NotDone::LeaveToGit)?;
    let mode = fs::metadata(directory)?.mode() & 0o666;
    Ok(file.set_permissions(fs::Permissions::from_mode(mode))?)
}

#[cfg(not(unix))]
fn share_as_directory(_: &File, _: &Path) -> Result<(), NotDone> {
    Ok(())
}

/// Makes the directories of a new reference, with the permissions of the one they lie in.
fn make_directories(git_dir: &Path, directory: &Path) -> Result<(), NotDone> {
    if !directory.starts_with(git_dir.join("refs")) {
        return Err(NotDone::LeaveToGit);
    }
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().ok_or(NotDone::LeaveToGit)?;
    make_directories(git_dir, parent)?;
    fs::create_dir(directory)?;
    Ok(fs::set_permissions(
        directory,
        fs::metadata(parent)?.permissions(),
    )?)
}
