//! Wakes the daemon when something changes that it looks at: events of hooks, files of clients,
//! transcripts.
//!
//! Watches few directories: those of the newest projects, and never those of their sessions. The
//! daemon also looks from time to time, for what no system tells: dead processes, changes by other
//! machines on a shared disk, directories beyond the limit.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{directory, spool};
use crate::domain::SessionId;
use crate::session::files::projects_dir;
use crate::sys::fs::{Changes, DirectoryWatcher};
use crate::sys::{Clock, Env};

/// Number of project directories that are watched, the last changed first: systems limit watches.
const MAX_PROJECTS: usize = 500;

/// Time between two lists of the project directories.
const LIST_AGE: Duration = Duration::from_secs(60);

/// Time between two looks after which a client that is not watched may have come and gone.
const MAX_BLIND: Duration = Duration::from_secs(2);

/// Time between two pushes of everything, if not everything is watched.
const FULL_LOOK: Duration = Duration::from_secs(300);

/// Time after which the daemon looks if it is asked to end.
const MOMENT: Duration = Duration::from_millis(200);

/// The same if changes wake it.
const WATCHED_MOMENT: Duration = Duration::from_secs(1);

/// Shortest time between two looks.
const MIN_WAIT: Duration = Duration::from_millis(100);

/// Wakes the daemon.
#[derive(Debug)]
pub struct FileWatch {
    watcher: Option<DirectoryWatcher>,
    /// Everything is watched. Otherwise the daemon looks more often.
    pub(super) is_complete: bool,
    /// When the project directories were listed.
    listed: Option<Duration>,
    looked: Duration,
    /// When everything was to be pushed.
    checked_all: Duration,
}

impl FileWatch {
    /// Watches, if the system allows it.
    pub fn start() -> Self {
        Self {
            watcher: DirectoryWatcher::new(is_relevant),
            ..Self::off()
        }
    }

    /// Watches nothing: the daemon looks from time to time.
    pub fn off() -> Self {
        Self {
            watcher: None,
            is_complete: false,
            listed: None,
            looked: Duration::ZERO,
            checked_all: Duration::ZERO,
        }
    }

    /// Waits for a moment, or until something has changed, up to `limit`. Returns true if something
    /// has.
    pub(super) fn wait(&self, limit: Duration, clock: &dyn Clock) -> bool {
        let Some(watcher) = &self.watcher else {
            clock.sleep(MOMENT);
            return false;
        };
        let has_changes = watcher.wait(limit.clamp(MIN_WAIT, WATCHED_MOMENT));
        if has_changes {
            // A client writes several files in a row.
            clock.sleep(MIN_WAIT);
        }
        has_changes
    }

    /// Returns the sessions whose transcripts have changed since the last call; `None` if it is
    /// unknown which. Watches directories that are new.
    pub(super) fn take_changed(&mut self, env: &Env, now: Duration) -> Option<BTreeSet<SessionId>> {
        let is_blind = self.is_blind(now);
        let Some(watcher) = &mut self.watcher else {
            return (!is_blind).then(BTreeSet::new);
        };
        let Changes { paths, others } = watcher.take();
        let sessions: BTreeSet<_> = paths.iter().filter_map(|path| session_of(path)).collect();
        let has_new_project = paths.iter().any(|path| is_project(path));
        let is_old = self
            .listed
            .is_none_or(|time| now.saturating_sub(time) >= LIST_AGE);
        if is_old || others || has_new_project {
            self.listed = Some(now);
            let (directories, are_all) = directories(env);
            self.is_complete = watcher.watch(&directories) && are_all;
        }
        // Files of a new project may be older than its watch.
        (!others && !has_new_project && !is_blind).then_some(sessions)
    }

    /// Returns true if something may have changed that is not watched.
    fn is_blind(&mut self, now: Duration) -> bool {
        let is_blind = now.saturating_sub(self.looked) >= MAX_BLIND
            || now.saturating_sub(self.checked_all) >= FULL_LOOK;
        self.looked = now;
        if is_blind {
            self.checked_all = now;
        }
        is_blind && !self.is_complete
    }
}

/// Returns the directories that are watched, and true if no project is missing.
fn directories(env: &Env) -> (BTreeSet<PathBuf>, bool) {
    let projects = projects_dir(&env.claude_dir);
    let modified = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).ok();
    let mut newest: Vec<PathBuf> = std::fs::read_dir(&projects)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let are_all = newest.len() <= MAX_PROJECTS;
    if !are_all {
        newest.sort_by_cached_key(|path| std::cmp::Reverse(modified(path)));
        newest.truncate(MAX_PROJECTS);
    }
    let sessions = env.claude_dir.join("sessions");
    let others = [directory(env), spool::directory(env), sessions, projects];
    (newest.into_iter().chain(others).collect(), are_all)
}

/// Returns true for what the daemon looks at, not for what it writes itself.
fn is_relevant(path: &Path, is_removal: bool) -> bool {
    let is_in = |name: &str| path.parent().and_then(Path::file_name) == Some(OsStr::new(name));
    match path.extension().and_then(OsStr::to_str) {
        Some("jsonl") => !is_removal,
        Some("json") => is_in("sessions") || is_in("spool") && !is_removal,
        _ => is_project(path) || is_in("daemon") && !is_removal && is_request(path),
    }
}

fn is_project(path: &Path) -> bool {
    path.parent().and_then(Path::file_name) == Some(OsStr::new("projects"))
}

fn is_request(path: &Path) -> bool {
    ["stop", "pull"].iter().any(|name| path.ends_with(name))
}

fn session_of(path: &Path) -> Option<SessionId> {
    let stem = path
        .file_stem()
        .filter(|_| path.extension() == Some(OsStr::new("jsonl")));
    stem?.to_str()?.parse().ok()
}
