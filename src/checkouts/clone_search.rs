//! Searches for clones: where the command was started, where Claude Code has worked, and
//! below the user's placeholders and the home directory.
//!
//! Limits number, depth and time, because a machine may have very many directories or a
//! slow disk. Must not follow links.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::domain::{PlaceholderName, Placeholders};
use crate::project::linked_worktrees;
use crate::session::projects::known_directories;
use crate::sys::{Clock, Env, SystemClock, fs::look_in_time, fs::remote_mounts};

/// Maximum number of directory entries read in one search.
const MAX_ENTRIES: usize = 10_000;

/// Depth of the search below a placeholder's directory.
const DEPTH_BELOW_PLACEHOLDERS: usize = 2;

/// Depth of the search below the home directory: `~/src/github.com/al/app`.
const DEPTH_BELOW_HOME: usize = 4;

/// Directories that macOS asks the user about before a program may read them, and those
/// without projects.
const SKIPPED_BELOW_HOME: [&str; 8] = [
    "Library",
    "Desktop",
    "Documents",
    "Downloads",
    "Movies",
    "Music",
    "Pictures",
    "Public",
];

/// Maximum number of directories found before they are needed.
const MAX_AHEAD: usize = 16;

/// Time limit of one search.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The starting points of a search.
pub(crate) struct CloneSearch {
    home: PathBuf,
    claude_dir: PathBuf,
    /// Directory in which the command was started.
    directory: Option<PathBuf>,
    /// The directories of the user's placeholders.
    placeholders: Vec<PathBuf>,
    clock: SystemClock,
}

impl CloneSearch {
    /// Takes the directories from the environment and the user's placeholders.
    pub(crate) fn new(env: &Env, placeholders: &Placeholders) -> Self {
        let home = PlaceholderName::home();
        let placeholders = placeholders.placeholders.iter();
        let placeholders = placeholders.filter(|placeholder| placeholder.name != home);
        Self {
            home: env.home.clone(),
            claude_dir: env.claude_dir.clone(),
            directory: env.directory.clone(),
            placeholders: placeholders.map(|p| PathBuf::from(&p.directory)).collect(),
            clock: SystemClock::default(),
        }
    }

    /// Creates a search below this home directory only.
    #[cfg(test)]
    pub(crate) fn for_home(home: &Path) -> Self {
        let (home, claude_dir) = (home.to_owned(), home.join(".claude"));
        Self {
            home,
            claude_dir,
            directory: None,
            placeholders: Vec::new(),
            clock: SystemClock::default(),
        }
    }

    /// Returns directories that may be in a clone, the likeliest first, until the time
    /// limit.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let (claude_dir, home) = (self.claude_dir.clone(), self.home.clone());
        let known = known_directories(&claude_dir, &home).into_iter();
        let known = known.filter(|directory| look_in_time(directory, Path::exists) == Some(true));
        let begin = self.directory.clone().into_iter();
        let repositories = self.repositories();
        let likely = in_time(self.clock, begin.chain(known).map(Some));
        likely.chain(in_time(self.clock, repositories))
    }

    fn repositories(&self) -> RepositorySearch {
        let below = self
            .placeholders
            .iter()
            .map(|root| Level::new(root.clone(), DEPTH_BELOW_PLACEHOLDERS));
        let home = Level {
            hides: true,
            ..Level::new(self.home.clone(), DEPTH_BELOW_HOME)
        };
        RepositorySearch {
            left: MAX_ENTRIES,
            levels: below.chain([home]).collect(),
            mounts: remote_mounts(),
        }
    }

    /// Returns the working trees that are linked to the one at `top`.
    pub(crate) fn linked_to(&self, top: &Path) -> Vec<PathBuf> {
        linked_worktrees(top)
    }
}

/// Returns what a search finds until its time limit. A disk that does not answer holds the
/// thread of the search, and not the command.
fn in_time(
    clock: SystemClock,
    search: impl Iterator<Item = Option<PathBuf>> + Send + 'static,
) -> impl Iterator<Item = PathBuf> {
    let mut search = Some(search);
    let mut started = None;
    let next = move || {
        let (until, received) = started.get_or_insert_with(|| {
            let (found, received) = sync_channel(MAX_AHEAD);
            let mut directories = search.take().into_iter().flatten();
            // Sending fails once no more directories are needed.
            thread::spawn(move || directories.all(|directory| found.send(directory).is_ok()));
            (clock.monotonic() + TIMEOUT, received)
        });
        let left = until.checked_sub(clock.monotonic())?;
        received.recv_timeout(left).ok()
    };
    std::iter::from_fn(next).flatten()
}

/// A directory still to be searched.
struct Level {
    directory: PathBuf,
    /// Depth of the search below it.
    depth: usize,
    /// True for the home directory and those below it: hidden directories there belong to
    /// programs.
    hides: bool,
}

impl Level {
    fn new(directory: PathBuf, depth: usize) -> Self {
        Self {
            directory,
            depth,
            hides: false,
        }
    }
}

/// Finds repositories below directories, higher ones first, so that one large directory
/// does not hide the others.
///
/// `None` is a directory that is not a repository.
struct RepositorySearch {
    /// Number of entries that may still be read.
    left: usize,
    levels: VecDeque<Level>,
    /// Directories that are not searched, unless the user named them.
    mounts: BTreeSet<PathBuf>,
}

impl Iterator for RepositorySearch {
    type Item = Option<PathBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        let level = self.levels.pop_front()?;
        if level.directory.join(".git").symlink_metadata().is_ok() {
            return Some(Some(level.directory));
        }
        if level.depth > 0 {
            self.read_level(&level);
        }
        Some(None)
    }
}

impl RepositorySearch {
    fn read_level(&mut self, level: &Level) {
        let Ok(entries) = fs::read_dir(&level.directory) else {
            return;
        };
        for entry in entries.flatten() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let is_skipped = level.hides && is_skipped(&entry.file_name())
                || self.mounts.contains(&entry.path());
            if !is_skipped && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.levels.push_back(Level {
                    directory: entry.path(),
                    depth: level.depth - 1,
                    hides: level.hides,
                });
            }
        }
    }
}

fn is_skipped(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_protected = cfg!(target_os = "macos") && SKIPPED_BELOW_HOME.contains(&&*name);
    is_protected || name.starts_with('.') || name == "node_modules"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(level: Level, left: usize, below: &Path) -> Vec<String> {
        let repositories = RepositorySearch {
            left,
            levels: [level].into(),
            mounts: BTreeSet::from([below.join("mounted")]),
        };
        let mut found: Vec<_> = repositories
            .flatten()
            .map(|path| path.strip_prefix(below).unwrap().display().to_string())
            .collect();
        found.sort();
        found
    }

    #[test]
    fn clones_search_is_bounded_in_depth_and_skips_links() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        for repository in [
            "a",
            "b/c",
            "b/d/e",
            "x/.hidden",
            ".cache/f",
            "s/github.com/al/app",
            "s/1/2/3/4",
            "mounted/g",
        ] {
            fs::create_dir_all(home.join(repository).join(".git")).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(home.join("b/d"), home.join("link")).unwrap();
        let placeholder = || Level::new(home.to_owned(), DEPTH_BELOW_PLACEHOLDERS);
        assert_eq!(
            found(placeholder(), MAX_ENTRIES, home),
            [".cache/f", "a", "b/c", "x/.hidden"]
        );
        let at_home = Level {
            hides: true,
            ..Level::new(home.to_owned(), DEPTH_BELOW_HOME)
        };
        assert_eq!(
            found(at_home, MAX_ENTRIES, home),
            ["a", "b/c", "b/d/e", "s/github.com/al/app"]
        );
        assert_eq!(found(placeholder(), 0, home), [""; 0]);
    }
}
