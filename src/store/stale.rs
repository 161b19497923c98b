//! Lock files of git and unfinished files that killed processes left in a repository.
//!
//! Git never removes its lock files by itself, and each one blocks all later commands.
//!
//! The store is opened only under the process lock of this machine, so no other ccsync works in
//! it, and each lock file is stale with one exception: a `git` whose ccsync was killed runs on
//! until it notices. It holds a lock only while it renames one small file over another. So an old
//! lock is stale, and a young one gets time to disappear by itself. Such a `git` may also take a
//! lock later, while this process works: see [`retry_while_locked`].
//!
//! If it is known that no such `git` runs (`sys::process_lock::ChildProcessLock`), nothing has to
//! be waited for, and temporary files are removed too.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use walkdir::{DirEntry, WalkDir};

use super::error::StoreError;
use crate::sys::{fs::remove_file_if_exists, temp::temp_files};

/// Age of a stale lock: many times what a running `git` needs between taking and releasing it.
const MAX_LOCK_AGE: Duration = Duration::from_secs(2);

/// Pause between two checks of a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// Beginning of the name of a directory in which a repository is prepared.
pub(super) const UNFINISHED_PREFIX: &str = ".new-";

/// Removes the locks in the repository at `git_dir`.
///
/// Waits at most two seconds, and only for locks that are younger.
///
/// # Errors
/// [`StoreError::Io`].
pub fn remove_stale_locks(git_dir: &Path) -> Result<(), StoreError> {
    remove_when_old(locks(git_dir))
}

/// Removes the locks of refs that a killed push of this machine left in a remote on this disk.
///
/// Other machines may be pushing to it, so a young lock gets time to disappear.
///
/// # Errors
/// [`StoreError::Io`].
pub fn remove_stale_locks_of_remote(remote: &Path) -> Result<(), StoreError> {
    let candidates = [remote.join(".git"), remote.to_owned()];
    let is_repository = |path: &PathBuf| path.join("HEAD").exists();
    let Some(git_dir) = candidates.into_iter().find(is_repository) else {
        return Ok(());
    };
    let files = ["HEAD", "packed-refs"].map(|name| git_dir.join(format!("{name}.lock")));
    let refs = locks_below(&git_dir.join("refs"), usize::MAX);
    remove_when_old(files.into_iter().chain(refs))
}

fn remove_when_old(locks: impl IntoIterator<Item = PathBuf>) -> Result<(), StoreError> {
    let mut wait = Wait::new();
    for lock in locks {
        while is_young(&lock) && wait.pause() {}
        remove_file_if_exists(&lock)?;
    }
    Ok(())
}

/// Removes every lock and unfinished file in the repository at `git_dir`, of a store or a mirror.
///
/// The caller holds the process lock and knows that no program of an earlier process still runs.
///
/// # Errors
/// [`StoreError::Io`] for a lock. Other files that cannot be removed do no harm.
pub fn remove_stale_files(git_dir: &Path) -> Result<(), StoreError> {
    for lock in locks(git_dir) {
        remove_file_if_exists(&lock)?;
    }
    for file in temp_files(git_dir) {
        let _ = fs::remove_file(file);
    }
    for entry in WalkDir::new(git_dir.join("objects"))
        .max_depth(2)
        .into_iter()
        .flatten()
        .filter(is_unfinished)
    {
        let _ = if entry.file_type().is_dir() {
            fs::remove_dir_all(entry.path())
        } else {
            fs::remove_file(entry.path())
        };
    }
    Ok(())
}

/// Removes the repositories that were prepared in a directory, and never got their names.
pub fn remove_unfinished_repositories(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with(UNFINISHED_PREFIX) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Returns true for an object, a pack or a directory of them that a process was writing.
///
/// Also for the mark by which `git fetch` protects a pack until it has moved its ref.
fn is_unfinished(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let is_of_fetch = || fs::read(entry.path()).is_ok_and(|text| text.starts_with(b"fetch-pack "));
    name.starts_with("tmp_") || name.ends_with(".keep") && is_of_fetch()
}

/// Repeats `step` while another process holds a lock that it needs, for two seconds at most.
pub(super) fn retry_while_locked<T>(
    step: impl Fn() -> Result<T, git2::Error>,
) -> Result<T, StoreError> {
    let mut wait = Wait::new();
    loop {
        match step() {
            Err(e) if e.code() == git2::ErrorCode::Locked && wait.pause() => {}
            result => return Ok(result?),
        }
    }
}

/// Time that may still be waited. Counts pauses, because the clock may be set back.
struct Wait {
    left: Duration,
}

impl Wait {
    fn new() -> Self {
        Self { left: MAX_LOCK_AGE }
    }

    /// Sleeps for a moment; returns false if the time is over.
    fn pause(&mut self) -> bool {
        if self.left.is_zero() {
            return false;
        }
        thread::sleep(PAUSE);
        self.left = self.left.saturating_sub(PAUSE);
        true
    }
}

/// Returns the locks of index, refs, configuration and the like.
fn locks(git_dir: &Path) -> Vec<PathBuf> {
    let all = locks_below(git_dir, 1)
        .chain(locks_below(&git_dir.join("refs"), usize::MAX))
        .chain(locks_below(&git_dir.join("objects/info"), usize::MAX));
    // Git holds this one during its housekeeping in the background. It blocks no command.
    all.filter(|path| !path.ends_with("gc.log.lock")).collect()
}

/// Returns the files `*.lock`. No ref has such a name.
fn locks_below(directory: &Path, depth: usize) -> impl Iterator<Item = PathBuf> + use<> {
    WalkDir::new(directory)
        .max_depth(depth)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|e| e == "lock"))
}

fn is_young(lock: &Path) -> bool {
    let modified = fs::metadata(lock).and_then(|m| m.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age < MAX_LOCK_AGE))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::sys::clock::{Clock, SystemClock};

    fn now() -> SystemTime {
        SystemClock::default().now().into()
    }

    fn lock(dir: &Path, name: &str, age: Duration) -> PathBuf {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let times = fs::FileTimes::new().set_modified(now() - age);
        fs::File::create(&path).unwrap().set_times(times).unwrap();
        path
    }

    #[test]
    fn stale_lock_files_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let names = [
            "index.lock",
            "packed-refs.lock",
            "refs/heads/main.lock",
            "refs/remotes/origin/main.lock",
        ];
        let locks = names.map(|name| lock(dir.path(), name, MAX_LOCK_AGE));
        let others = ["index", "refs/heads/main", "logs/x.lock"]
            .map(|name| lock(dir.path(), name, MAX_LOCK_AGE));
        remove_stale_locks(dir.path()).unwrap();
        assert!(locks.iter().all(|path| !path.exists()));
        assert!(others.iter().all(|path| path.exists()));
    }

    #[test]
    fn stale_lock_young_one_is_left_to_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock(dir.path(), "index.lock", Duration::ZERO);
        let holder = thread::spawn(move || {
            thread::sleep(MAX_LOCK_AGE / 10);
            fs::remove_file(path)
        });
        remove_stale_locks(dir.path()).unwrap();
        holder
            .join()
            .unwrap()
            .expect("no other process removed the lock");
    }

    #[test]
    fn stale_lock_of_other_process_delays_ref_write() {
        let dir = tempfile::tempdir().unwrap();
        let repo = git2::Repository::init(dir.path()).unwrap();
        let blob = repo.blob(b"text").unwrap();
        let path = lock(&repo.path().join("refs"), "tags/x.lock", Duration::ZERO);
        let holder = thread::spawn(move || {
            thread::sleep(MAX_LOCK_AGE / 10);
            fs::remove_file(path)
        });
        retry_while_locked(|| repo.reference("refs/tags/x", blob, true, "test").map(drop)).unwrap();
        holder.join().unwrap().unwrap();
        assert_eq!(repo.refname_to_id("refs/tags/x").unwrap(), blob);
    }

    #[test]
    fn stale_lock_with_future_time_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.lock");
        let times = fs::FileTimes::new().set_modified(now() + Duration::from_secs(9999));
        fs::File::create(&path).unwrap().set_times(times).unwrap();
        remove_stale_locks(dir.path()).unwrap();
        assert!(!path.exists());
    }
}
