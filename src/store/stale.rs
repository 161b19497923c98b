//! Lock files that a killed process left in the repository. Nobody removes them by itself, and each stops every later command.
//!
//! The repository belongs to this program, which opens it only under the machine-wide process lock. So no other ccsync is at work
//! in it, and whoever made a lock that is there now is dead, but for one: a `git` whose ccsync was killed goes on until it
//! notices. It holds a lock only while it renames one small file over another. Hence a lock of some age is nobody's, and a younger
//! one is given the time to vanish by itself. Such a `git` may also take a lock later, while this process is at work.
//!
//! Where it is known that no such `git` lives (`sys::lock::ChildProcessLock`), nothing has to be waited for, and temporary files are
//! removed too.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::StoreError;
use crate::sys::fs as sys;

/// Many times what a living `git` needs between taking a lock and giving it back.
const GRACE: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_millis(20);

/// Removes the locks in the repository at `git_dir`; takes two seconds at most, and only where a lock is younger than that.
///
/// # Errors
/// [`StoreError::Io`]
pub fn remove_stale_locks(git_dir: &Path) -> Result<(), StoreError> {
    remove_outlasted(locks(git_dir))
}

fn remove_outlasted(locks: impl IntoIterator<Item = PathBuf>) -> Result<(), StoreError> {
    let mut patience = GRACE;
    for lock in locks {
        // The clock may have been set back: waiting ends all the same.
        while is_young(&lock) && !patience.is_zero() {
            thread::sleep(PAUSE);
            patience = patience.saturating_sub(PAUSE);
        }
        match fs::remove_file(&lock) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &lock, e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes everything that dead processes left half-made in the store at `path` and beside it. The caller holds the process lock and
/// knows that no program lives that an earlier process started.
///
/// # Errors
/// [`StoreError::Io`] for a lock that cannot be removed. Other things that cannot be removed are in nobody's way.
pub fn remove_stale_locks_of_dead_processes(path: &Path) -> Result<(), StoreError> {
    if let Some(parent) = path.parent() {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(super::BESIDE))
            {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
    let git_dir = path.join(".git");
    for lock in locks(&git_dir) {
        fs::remove_file(&lock).map_err(|e| StoreError::io("remove", &lock, e))?;
    }
    sys::leftovers(&git_dir)
        .iter()
        .for_each(|path| drop(fs::remove_file(path)));
    for entry in walkdir::WalkDir::new(git_dir.join("objects"))
        .max_depth(2)
        .into_iter()
        .flatten()
    {
        if is_half_made(&entry) {
            let _ = super::worktree::remove(entry.path());
        }
    }
    Ok(())
}

/// Whether it is an object, a pack or a group of them that a process was writing, or the mark by which `git fetch` guards a pack until
/// it has moved its reference.
fn is_half_made(entry: &walkdir::DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let guards = || fs::read(entry.path()).is_ok_and(|text| text.starts_with(b"fetch-pack "));
    name.starts_with("tmp_") || name.ends_with(".keep") && guards()
}

/// Removes the locks of references that a push of this machine left in the remote at `remote`, a repository on this disk, when the
/// program that served it was killed. Other machines may be at work there, so that a young lock is given the time to vanish.
///
/// # Errors
/// [`StoreError::Io`]
pub fn remove_stale_locks_of_remote(remote: &Path) -> Result<(), StoreError> {
    let repository = [remote.join(".git"), remote.to_owned()]
        .into_iter()
        .find(|path| path.join("HEAD").exists());
    let Some(repository) = repository else {
        return Ok(());
    };
    let files = ["HEAD", "packed-refs"].map(|name| repository.join(format!("{name}.lock")));
    let references = locks_below(&repository.join("refs"), usize::MAX);
    remove_outlasted(files.into_iter().chain(references))
}

/// Repeats `step` while another process holds a lock that it needs; for about [`GRACE`] at most.
pub(super) fn retry_while_locked<T>(
    step: impl Fn() -> Result<T, git2::Error>,
) -> Result<T, StoreError> {
    let mut patience = GRACE;
    loop {
        match step() {
            Err(e) if e.code() == git2::ErrorCode::Locked && !patience.is_zero() => {
                thread::sleep(PAUSE);
                patience = patience.saturating_sub(PAUSE);
            }
            result => return Ok(result?),
        }
    }
}

/// The locks of index, refs, configuration and the like.
fn locks(git_dir: &Path) -> Vec<PathBuf> {
    let all = locks_below(git_dir, 1)
        .chain(locks_below(&git_dir.join("refs"), usize::MAX))
        .chain(locks_below(&git_dir.join("objects/info"), usize::MAX));
    // The exception is held for as long as git tidies up in the background, and stops nobody.
    all.filter(|path| !path.ends_with("gc.log.lock")).collect()
}

/// No ref has a name that ends in `.lock`.
fn locks_below(directory: &Path, depth: usize) -> impl Iterator<Item = PathBuf> + use<> {
    let files = walkdir::WalkDir::new(directory)
        .max_depth(depth)
        .into_iter()
        .flatten();
    let files = files
        .filter(|e| e.file_type().is_file())
        .map(walkdir::DirEntry::into_path);
    files.filter(|path| path.extension().is_some_and(|e| e == "lock"))
}

fn is_young(lock: &Path) -> bool {
    let modified = fs::metadata(lock).and_then(|m| m.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age < GRACE))
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
        let locks = names.map(|name| lock(dir.path(), name, GRACE));
        let others =
            ["index", "refs/heads/main", "logs/x.lock"].map(|name| lock(dir.path(), name, GRACE));
        remove_stale_locks(dir.path()).unwrap();
        assert!(locks.iter().all(|path| !path.exists()));
        assert!(others.iter().all(|path| path.exists()));
    }

    #[test]
    fn stale_lock_young_one_is_left_to_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = lock(dir.path(), "index.lock", Duration::ZERO);
        let holder = thread::spawn(move || {
            thread::sleep(GRACE / 10);
            fs::remove_file(path)
        });
        remove_stale_locks(dir.path()).unwrap();
        holder
            .join()
            .unwrap()
            .expect("nobody else removed the lock");
    }

    #[test]
    fn stale_lock_of_other_process_delays_ref_write() {
        let dir = tempfile::tempdir().unwrap();
        let repo = git2::Repository::init(dir.path()).unwrap();
        let blob = repo.blob(b"text").unwrap();
        let path = lock(&repo.path().join("refs"), "tags/x.lock", Duration::ZERO);
        let holder = thread::spawn(move || {
            thread::sleep(GRACE / 10);
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
