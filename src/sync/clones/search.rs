//! Where clones may lie: where the client has worked, below the user's placeholders, and where the person is.
//!
//! Bounded in number, depth and time: a machine may have a great many directories, or a slow disk. Must not follow links.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::root::RootName;
use crate::project::linked_worktrees;
use crate::session::projects::known_directories;
use crate::sync::Context;
use crate::sys::clock::{Clock, SystemClock};

/// So many entries of directories are looked at.
const MOST: usize = 2000;

/// So far below a placeholder's directory is looked.
const DEPTH: usize = 2;

/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of this machine without looking.
pub(super) struct Surroundings {
    home: PathBuf,
    claude_dir: PathBuf,
    /// Where the command was started.
    directory: Option<PathBuf>,
    /// The directories of the user's placeholders.
    placeholders: Vec<PathBuf>,
    clock: SystemClock,
}

impl Surroundings {
    pub(super) fn of(ctx: &Context<'_>) -> Self {
        let home = RootName::home();
        let roots = ctx.settings.roots.roots.iter().filter(|root| root.name != home);
        Self {
            home: ctx.env.home.clone(),
            claude_dir: ctx.env.claude_dir.clone(),
            directory: ctx.env.directory.clone(),
            placeholders: roots.map(|root| PathBuf::from(&root.path)).collect(),
            clock: SystemClock::default(),
        }
    }

    /// Of a machine with nothing but this home directory.
    #[cfg(test)]
    pub(super) fn of_home(home: &Path) -> Self {
        let (home, claude_dir) = (home.to_owned(), home.join(".claude"));
        Self { home, claude_dir, directory: None, placeholders: Vec::new(), clock: SystemClock::default() }
    }

    /// Directories that may lie in a clone, the likeliest first, for as long as there is patience.
    pub(super) fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let until = self.clock.monotonic() + PATIENCE;
        let mut left = MOST;
        let mut below = Vec::new();
        self.placeholders.iter().for_each(|root| repositories(root, DEPTH, &mut left, &mut below));
        let known = known_directories(&self.claude_dir, &self.home);
        let all = self.directory.clone().into_iter().chain(known).chain(below);
        all.take_while(move |_| self.clock.monotonic() < until)
    }

    /// The working trees that are linked to the one at `top`.
    pub(super) fn linked_to(&self, top: &Path) -> Vec<PathBuf> {
        linked_worktrees(top)
    }
}

/// `directory` and what lies up to `depth` below it, as far as there is a repository.
fn repositories(directory: &Path, depth: usize, left: &mut usize, found: &mut Vec<PathBuf>) {
    if directory.join(".git").symlink_metadata().is_ok() {
        found.push(directory.to_owned());
        return;
    }
    if depth == 0 {
        return;
    }
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            repositories(&entry.path(), depth - 1, left, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_found_two_levels_down_and_behind_no_link() {
        let dir = tempfile::tempdir().unwrap();
        for repository in ["a", "b/c", "b/d/e", "x/.hidden"] {
            fs::create_dir_all(dir.path().join(repository).join(".git")).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path().join("b/d"), dir.path().join("link")).unwrap();
        let (mut found, mut left) = (Vec::new(), MOST);
        repositories(dir.path(), DEPTH, &mut left, &mut found);
        found.sort();
        assert_eq!(found, ["a", "b/c", "x/.hidden"].map(|name| dir.path().join(name)));
        let (mut found, mut left) = (Vec::new(), 0);
        repositories(dir.path(), DEPTH, &mut left, &mut found);
        assert!(found.is_empty() && left == 0);
    }
}
