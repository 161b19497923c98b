//! Looks at directories whose disk may not answer: a server that is gone, a program that hangs.
//!
//! A look at such a disk has a time limit, and after the first one that exceeds it, no other
//! directory of that disk is read for a while: all count as missing. Must not be used
//! for the client's files and the store, which no command can do without.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc::channel};
use std::thread;
use std::time::Duration;

use super::links::{real_path, resolve_until};
use super::mounts::served_mounts;
use crate::sys::clock::{Clock as _, SystemClock};

/// Time limit of one look.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A disk may be mounted, or answer again, during a long command.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The disks of this process, and when they were listed.
static DISKS: Mutex<Option<(SystemClock, Arc<ServedDisks>)>> = Mutex::new(None);

/// Returns what `look` finds at `path`; `None` if the disk does not answer in time.
///
/// Without served disks it costs nothing. Otherwise a thread looks, also at other disks: a
/// repository there may name a directory of a served one.
pub fn look_in_time<T: Send + 'static>(
    path: &Path,
    look: impl FnOnce(&Path) -> T + Send + 'static,
) -> Option<T> {
    disks().look(path, look)
}

/// Returns true if `path` is a directory, on a disk that answers.
pub fn is_dir_in_time(path: &Path) -> bool {
    look_in_time(path, Path::is_dir).unwrap_or(false)
}

/// Resolves the links in the part of `path` that exists; the rest stays as it is.
pub fn canonicalize_existing(path: &str) -> String {
    let path = Path::new(path);
    let resolve = |path: &Path| {
        path.ancestors()
            .find_map(|there| resolve_above(path, there))
    };
    let resolved = match look_in_time(path, resolve) {
        Some(resolved) => resolved.unwrap_or_else(|| path.to_owned()),
        None => disks().resolve_outside(path),
    };
    resolved.to_string_lossy().into_owned()
}

/// Resolves the links in the ancestor `there` of `path`, if it exists.
fn resolve_above(path: &Path, there: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(there).ok()?;
    let real = real_path(there).ok()?;
    // Joining an empty path would add a separator.
    Some(match rest.as_os_str().is_empty() {
        true => real,
        false => real.join(rest),
    })
}

/// Resolves all links in `path`, also those that lead to nothing: their disk may be away.
pub fn resolve_links(path: &Path) -> PathBuf {
    let resolved = look_in_time(path, |path| resolve_until(path, |_| false));
    resolved.unwrap_or_else(|| disks().resolve_outside(path))
}

fn disks() -> Arc<ServedDisks> {
    let mut known = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    let listed = known.take().filter(|(time, _)| time.monotonic() < MAX_AGE);
    let listed = listed.unwrap_or_else(|| {
        (
            SystemClock::default(),
            Arc::new(ServedDisks::new(served_mounts())),
        )
    });
    Arc::clone(&known.insert(listed).1)
}

/// The file systems that other programs serve.
struct ServedDisks {
    mounts: BTreeSet<PathBuf>,
    /// Those that did not answer in time, and single directories elsewhere.
    silent: Mutex<BTreeSet<PathBuf>>,
    timeout: Duration,
}

impl ServedDisks {
    fn new(mounts: BTreeSet<PathBuf>) -> Self {
        Self {
            mounts,
            silent: Mutex::default(),
            timeout: TIMEOUT,
        }
    }

    fn look<T: Send + 'static>(
        &self,
        path: &Path,
        look: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Option<T> {
        if self.mounts.is_empty() {
            return Some(look(path));
        }
        let disk = self.disk_of(path);
        if self.silent(|silent| silent.contains(&disk)) {
            return None;
        }

        let (sender, received) = channel();
        let path = path.to_owned();
        // Sending fails if the answer came too late.
        thread::spawn(move || drop(sender.send(look(&path))));
        let found = received.recv_timeout(self.timeout).ok();
        if found.is_none() {
            self.silent(|silent| silent.insert(disk));
        }
        found
    }

    /// Returns the mount point of the disk that has `path`, else the path itself.
    fn disk_of(&self, path: &Path) -> PathBuf {
        let real = self.resolve_outside(path);
        let mut above = self.mounts.iter().filter(|mount| real.starts_with(mount));
        // In order of paths, a mount point in another one comes later.
        above.next_back().cloned().unwrap_or(real)
    }

    /// Resolves the links in `path` up to the first served disk.
    fn resolve_outside(&self, path: &Path) -> PathBuf {
        resolve_until(path, |directory| self.mounts.contains(directory))
    }

    fn silent<T>(&self, use_silent: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
        use_silent(&mut self.silent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn fs_links_to_missing_directory_are_resolved() {
        let dir = tempfile::tempdir().unwrap();
        let dir = real_path(dir.path()).unwrap();
        std::os::unix::fs::symlink("/no/such/disk", dir.join("away")).unwrap();
        std::os::unix::fs::symlink("../x/away", dir.join("away2")).unwrap();
        std::os::unix::fs::symlink("loop", dir.join("loop")).unwrap();
        assert_eq!(
            resolve_links(&dir.join("away/app")),
            Path::new("/no/such/disk/app")
        );
        let parent = dir.parent().unwrap();
        assert_eq!(resolve_links(&dir.join("away2")), parent.join("x/away"));
        assert_eq!(resolve_links(&dir.join("none")), dir.join("none"));
        resolve_links(&dir.join("loop"));
    }

    #[test]
    fn fs_canonicalize_keeps_missing_part() {
        let dir = tempfile::tempdir().unwrap();
        let real = real_path(dir.path()).unwrap();
        let real = real.to_str().unwrap();
        let link = format!("{real}/link");
        std::os::unix::fs::symlink(real, &link).unwrap();
        assert_eq!(canonicalize_existing(&link), real);
        let below = |path: &str| format!("{path}/a/b");
        assert_eq!(canonicalize_existing(&below(&link)), below(real));
        assert_eq!(canonicalize_existing("no/such/path"), "no/such/path");
    }

    #[test]
    fn fs_disk_that_does_not_answer_is_asked_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = real_path(dir.path()).unwrap();
        let [disk, link] = ["disk", "link"].map(|name| dir.join(name));
        std::os::unix::fs::symlink(&disk, &link).unwrap();
        let disks = ServedDisks {
            timeout: Duration::from_millis(50),
            ..ServedDisks::new(BTreeSet::from([disk.clone()]))
        };
        let (_hold, wait) = channel::<()>();
        assert_eq!(disks.look(&link.join("app"), move |_| wait.recv()), None);
        for path in [disk.join("other"), link.clone(), link.join("a/b")] {
            let found = disks.look(&path, |_| panic!("the disk is silent"));
            assert_eq!(found, None::<()>);
        }
        assert_eq!(disks.look(&dir, Path::is_dir), Some(true));
        assert_eq!(disks.resolve_outside(&link.join("x")), disk.join("x"));
    }
}
