//! Watches directories for changes. Must not know what the files in them mean.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};

use super::{links::real_path, mounts::remote_mounts};

/// Number of changed paths that are kept; of more, only that something changed.
const MAX_PATHS: usize = 1000;

/// Changes since the last look.
#[derive(Debug, Default)]
pub struct Changes {
    /// Changed files and directories.
    pub paths: BTreeSet<PathBuf>,
    /// The paths are not all: the system lost some, or there were too many.
    pub others: bool,
}

/// Watches directories, without those below them.
#[derive(Debug)]
pub struct DirectoryWatcher {
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    seen: Arc<Seen>,
}

/// The changes that were seen, and a sign for who waits for one.
#[derive(Debug, Default)]
struct Seen {
    changes: Mutex<Changes>,
    news: Condvar,
}

/// Tells if a path matters. The second argument is true if it was removed.
type IsRelevant = fn(&Path, bool) -> bool;

impl DirectoryWatcher {
    /// Creates a watcher of nothing, which collects the changes of relevant paths. `None` if the
    /// system allows no more watchers.
    pub fn new(is_relevant: IsRelevant) -> Option<Self> {
        let seen = Arc::new(Seen::default());
        let watching = Arc::clone(&seen);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let mut changes = watching.changes();
            match event {
                Ok(event) => changes.add(event, is_relevant),
                Err(_) => changes.others = true,
            }
            if changes.are_any() {
                watching.news.notify_all();
            }
        });
        Some(Self {
            watcher: watcher.ok()?,
            watched: BTreeSet::new(),
            seen,
        })
    }

    /// Watches exactly these directories, also those that were removed and made again. Returns
    /// false if one that exists cannot be watched: the limit of the system is reached, or other
    /// machines may change its files without a sign.
    pub fn watch(&mut self, directories: &BTreeSet<PathBuf>) -> bool {
        for former in self.watched.difference(directories) {
            // A directory that is gone is not watched any more.
            let _ = self.watcher.unwatch(former);
        }
        self.watched.clone_from(directories);

        let existing = directories.iter().filter(|directory| directory.is_dir());
        let failed = existing.filter(|directory| {
            let result = self.watcher.watch(directory, RecursiveMode::NonRecursive);
            result.is_err()
        });
        failed.count() == 0 && !are_remote(directories)
    }

    /// Waits until something has changed, up to `limit`. Returns true if something has.
    pub fn wait(&self, limit: Duration) -> bool {
        let changes = self.seen.changes();
        let none = |changes: &mut Changes| !changes.are_any();
        let waited = self.seen.news.wait_timeout_while(changes, limit, none);
        let (changes, _) = waited.unwrap_or_else(PoisonError::into_inner);
        changes.are_any()
    }

    /// Takes the changes since the last call.
    pub fn take(&self) -> Changes {
        std::mem::take(&mut self.seen.changes())
    }
}

impl Seen {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    fn are_any(&self) -> bool {
        self.others || !self.paths.is_empty()
    }

    fn add(&mut self, event: Event, is_relevant: IsRelevant) {
        self.others |= event.need_rescan();
        let is_removal = match event.kind {
            EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => return,
            EventKind::Remove(_) => true,
            _ => false,
        };
        for path in event.paths {
            if is_relevant(&path, is_removal) {
                self.others |= self.paths.len() >= MAX_PATHS;
                self.paths.insert(path);
            }
        }
        if self.others {
            self.paths.clear();
        }
    }
}

fn are_remote(directories: &BTreeSet<PathBuf>) -> bool {
    let mounts = remote_mounts();
    let is_remote = |directory: &PathBuf| {
        let real = real_path(directory).unwrap_or_else(|_| directory.clone());
        mounts.iter().any(|mount| real.starts_with(mount))
    };
    !mounts.is_empty() && directories.iter().any(is_remote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    #[test]
    fn watch_tells_relevant_changes_of_existing_directories() {
        let dir = tempfile::tempdir().unwrap();
        let (there, gone) = (dir.path().join("a"), dir.path().join("b"));
        write_atomic(&there.join("old.json"), b"").unwrap();
        let is_json = |path: &Path, _| path.extension().is_some_and(|kind| kind == "json");
        let mut watcher = DirectoryWatcher::new(is_json).unwrap();
        assert!(watcher.watch(&BTreeSet::from([there.clone(), gone])));
        write_atomic(&there.join("other.txt"), b"").unwrap();
        write_atomic(&there.join("new.json"), b"").unwrap();
        assert!(watcher.wait(Duration::from_secs(30)));
        let changes = watcher.take();
        let names: Vec<_> = changes.paths.iter().filter_map(|p| p.file_name()).collect();
        assert_eq!((names, changes.others), (vec!["new.json".as_ref()], false));
        assert!(!watcher.wait(Duration::ZERO));
    }
}
