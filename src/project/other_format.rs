//! Facts of a repository whose format libgit2 cannot open: references as reftable, or objects named
//! by SHA-256. Only the configuration and the head are read.

use std::fs;
use std::path::{Path, PathBuf};

use git2::Config;

use crate::domain::{project::BranchName, project::WorktreeName};
use crate::sys::fs::{read_plain_file, real_path};

/// Settings of a repository that libgit2 does not know.
const FORMATS: [&str; 2] = ["extensions.refstorage", "extensions.objectformat"];

/// Maximum size of the small files that are read, in bytes.
const MAX_BYTES: u64 = 4096;

/// A repository of another format.
pub(super) struct OtherFormat {
    pub(super) top: PathBuf,
    /// The repository of this working tree.
    git_dir: PathBuf,
    /// The repository that all its working trees share.
    common: PathBuf,
    config: Config,
}

impl OtherFormat {
    /// Finds the repository of a directory, links resolved. `None` without one, or if libgit2
    /// knows its format.
    pub(super) fn find(directory: &Path) -> Option<Self> {
        let top = directory
            .ancestors()
            .find(|ancestor| ancestor.join(".git").symlink_metadata().is_ok())?;
        let git_dir = git_dir(&top.join(".git"))?;
        let common = match read_small(&git_dir.join("commondir")) {
            Some(path) => real_path(&git_dir.join(path.trim())).ok()?,
            None => git_dir.clone(),
        };
        let mut config = Config::open_default().ok()?;
        let local = common.join("config");
        if !local.is_file() {
            return None;
        }
        config
            .add_file(&local, git2::ConfigLevel::Local, true)
            .ok()?;
        let own = Config::open(&local).ok()?;
        let is_other = FORMATS.iter().any(|name| {
            let value = own.get_string(name).unwrap_or_default();
            !matches!(value.to_ascii_lowercase().as_str(), "" | "files" | "sha1")
        });
        is_other.then(|| Self {
            top: top.to_owned(),
            git_dir,
            common,
            config,
        })
    }

    /// Returns the address of `origin`, else of the first remote, after `insteadOf`.
    pub(super) fn remote(&self) -> Option<String> {
        let url = self
            .config
            .get_string("remote.origin.url")
            .ok()
            .or_else(|| self.first_value("^remote\\..*\\.url$"))?;
        Some(self.instead_of(&url))
    }

    fn first_value(&self, pattern: &str) -> Option<String> {
        let mut entries = self.config.entries(Some(pattern)).ok()?;
        let entry = entries.next()?.ok()?;
        entry.value().ok().map(str::to_owned)
    }

    /// Applies the longest `url.BASE.insteadOf`.
    fn instead_of(&self, url: &str) -> String {
        let mut longest: Option<(String, String)> = None;
        if let Ok(mut entries) = self.config.entries(Some("^url\\..*\\.insteadof$")) {
            while let Some(Ok(entry)) = entries.next() {
                let (Ok(name), Ok(from)) = (entry.name(), entry.value()) else {
                    continue;
                };
                let base = name.strip_prefix("url.");
                let base = base.and_then(|rest| rest.strip_suffix(".insteadof"));
                let is_longer = longest
                    .as_ref()
                    .is_none_or(|(known, _)| from.len() > known.len());
                if let (Some(base), true, true) = (base, url.starts_with(from), is_longer) {
                    longest = Some((from.to_owned(), base.to_owned()));
                }
            }
        }
        match longest {
            Some((from, base)) => format!("{base}{}", &url[from.len()..]),
            None => url.to_owned(),
        }
    }

    /// Returns the branch that is checked out, if the head names it: reftable keeps it elsewhere.
    pub(super) fn branch(&self) -> Option<BranchName> {
        let head = read_small(&self.git_dir.join("HEAD"))?;
        let name = head.trim().strip_prefix("ref: refs/heads/")?;
        BranchName::new(name).ok().filter(|_| name != ".invalid")
    }

    /// Returns the name of a linked working tree.
    pub(super) fn worktree(&self) -> Option<WorktreeName> {
        let name = self.git_dir.file_name().filter(|_| self.is_linked())?;
        WorktreeName::new(name.to_str()?).ok()
    }

    /// Returns the top of the main checkout, unless the repository is bare.
    pub(super) fn main(&self) -> Option<PathBuf> {
        let is_checkout = self.common.ends_with(".git");
        is_checkout.then(|| self.common.parent().map(Path::to_owned))?
    }

    /// Lists the linked working trees.
    pub(super) fn worktrees(&self, max: usize) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.common.join("worktrees"));
        let mut trees: Vec<PathBuf> = entries
            .into_iter()
            .flatten()
            .flatten()
            .take(max)
            .filter_map(|entry| read_small(&entry.path().join("gitdir")))
            .filter_map(|path| Path::new(path.trim()).parent().map(Path::to_owned))
            .collect();
        trees.sort();
        trees
    }

    fn is_linked(&self) -> bool {
        self.git_dir != self.common
    }
}

/// Follows a `.git` file to the repository of a linked working tree.
fn git_dir(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return real_path(dot_git).ok();
    }
    let text = read_small(dot_git)?;
    let path = text.trim().strip_prefix("gitdir:")?.trim();
    real_path(&dot_git.parent()?.join(path)).ok()
}

fn read_small(path: &Path) -> Option<String> {
    String::from_utf8(read_plain_file(path, MAX_BYTES)?).ok()
}
