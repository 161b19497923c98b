//! Where clones may lie: where the person is, where the client has worked, below the user's placeholders and the home directory.
//!
//! Bounded in number, depth and time: a machine may have a great many directories, or a slow disk. Must not follow links.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::placeholder::{PlaceholderName, Placeholders};
use crate::project::linked_worktrees;
use crate::session::projects::known_directories;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::env::Env;

/// So many entries of directories are looked at.
const MOST: usize = 10_000;

/// So far below a placeholder's directory is looked.
const BELOW_PLACEHOLDERS: usize = 2;

/// So far below the home directory: `~/src/github.com/al/app`.
const BELOW_HOME: usize = 4;

/// What macOS asks the person about before a program may look into it, and what holds no work.
const NOT_BELOW_HOME: [&str; 8] = [
    "Library",
    "Desktop",
    "Documents",
    "Downloads",
    "Movies",
    "Music",
    "Pictures",
    "Public",
];

/// Nobody waits longer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What is known of this machine without looking.
pub(crate) struct Surroundings {
    home: PathBuf,
    claude_dir: PathBuf,
    /// Where the command was started.
    directory: Option<PathBuf>,
    /// The directories of the user's placeholders.
    placeholders: Vec<PathBuf>,
    clock: SystemClock,
}

impl Surroundings {
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

    /// Of a machine with nothing but this home directory.
    #[cfg(test)]
    pub(crate) fn of_home(home: &Path) -> Self {
        let (home, claude_dir) = (home.to_owned(), home.join(".claude"));
        Self {
            home,
            claude_dir,
            directory: None,
            placeholders: Vec::new(),
            clock: SystemClock::default(),
        }
    }

    /// Directories that may lie in a clone, the likeliest first, for as long as there is patience.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let until = self.clock.monotonic() + TIMEOUT;
        let known = known_directories(&self.claude_dir, &self.home);
        let below = self
            .placeholders
            .iter()
            .map(|root| Level::of(root.clone(), BELOW_PLACEHOLDERS));
        let home = Level {
            hides: true,
            ..Level::of(self.home.clone(), BELOW_HOME)
        };
        let repositories = Repositories {
            left: MOST,
            levels: below.chain([home]).collect(),
        };
        let all = self
            .directory
            .clone()
            .into_iter()
            .chain(known)
            .map(Some)
            .chain(repositories);
        all.take_while(move |_| self.clock.monotonic() < until)
            .flatten()
    }

    /// The working trees that are linked to the one at `top`.
    pub(crate) fn linked_to(&self, top: &Path) -> Vec<PathBuf> {
        linked_worktrees(top)
    }
}

/// A directory that is still to be looked at.
struct Level {
    directory: PathBuf,
    /// How far below it is looked.
    depth: usize,
    /// It is the home directory or lies below it: what is hidden there belongs to programs.
    hides: bool,
}

impl Level {
    fn of(directory: PathBuf, depth: usize) -> Self {
        Self {
            directory,
            depth,
            hides: false,
        }
    }
}

/// Gives the repositories below directories, those that lie higher first, so that one large directory does not hide the others. `None`: a
/// directory was looked at that is none.
struct Repositories {
    /// How many entries may still be looked at.
    left: usize,
    levels: VecDeque<Level>,
}

impl Iterator for Repositories {
    type Item = Option<PathBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        let level = self.levels.pop_front()?;
        if level.directory.join(".git").symlink_metadata().is_ok() {
            return Some(Some(level.directory));
        }
        if level.depth > 0 {
            self.look_into(&level);
        }
        Some(None)
    }
}

impl Repositories {
    fn look_into(&mut self, level: &Level) {
        let Ok(entries) = fs::read_dir(&level.directory) else {
            return;
        };
        for entry in entries.flatten() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let is_passed_over = level.hides && is_passed_over(&entry.file_name());
            if !is_passed_over && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.levels.push_back(Level {
                    directory: entry.path(),
                    depth: level.depth - 1,
                    hides: level.hides,
                });
            }
        }
    }
}

fn is_passed_over(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_the_systems = cfg!(target_os = "macos") && NOT_BELOW_HOME.contains(&&*name);
    is_the_systems || name.starts_with('.') || name == "node_modules"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(level: Level, left: usize, below: &Path) -> Vec<String> {
        let repositories = Repositories {
            left,
            levels: [level].into(),
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
        ] {
            fs::create_dir_all(home.join(repository).join(".git")).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(home.join("b/d"), home.join("link")).unwrap();
        let placeholder = || Level::of(home.to_owned(), BELOW_PLACEHOLDERS);
        assert_eq!(
            found(placeholder(), MOST, home),
            [".cache/f", "a", "b/c", "x/.hidden"]
        );
        let at_home = Level {
            hides: true,
            ..Level::of(home.to_owned(), BELOW_HOME)
        };
        assert_eq!(
            found(at_home, MOST, home),
            ["a", "b/c", "b/d/e", "s/github.com/al/app"]
        );
        assert_eq!(found(placeholder(), 0, home), [""; 0]);
    }
}
