//! Facts of a repository that are read without starting a program.

use std::fs;
use std::path::{Path, PathBuf};

use git2::{Repository, RepositoryOpenFlags};

use super::other_format::OtherFormat;
use crate::domain::id::CommitId;
use crate::domain::path::path_below;
use crate::domain::project::{BranchName, SubDirectory, WorktreeName};
use crate::domain::url::{RemoteKind, RemoteUrl};
use crate::sys::fs::{look_in_time, real_path, resolve_links};

/// Maximum number of linked working trees listed.
const MAX_WORKTREES: usize = 64;

/// The git facts of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFacts {
    /// The top of the working tree, links resolved.
    pub top: PathBuf,
    /// The name of the working tree, if it is linked to another one (`git worktree`).
    pub worktree: Option<WorktreeName>,
    /// The top of the main checkout that it is linked to; its own top if it is not linked, or
    /// linked to a repository without a checkout.
    pub main: PathBuf,
    /// The address of `origin`, else of the first remote, after the user's `insteadOf`. A path is
    /// absolute.
    pub remote: Option<RemoteUrl>,
    /// The directory below the top of the working tree.
    pub directory: SubDirectory,
    /// The commit that is checked out; `None` in a repository without one.
    pub commit: Option<CommitId>,
    /// The branch that is checked out; `None` if the head is detached.
    pub branch: Option<BranchName>,
}

/// Reads the facts of `directory`. `None` if it does not exist, is in no readable working tree, or
/// its disk does not answer.
pub fn read(directory: &Path) -> Option<GitFacts> {
    look_in_time(directory, read_facts)?
}

fn read_facts(directory: &Path) -> Option<GitFacts> {
    let directory = real_path(directory).ok()?;
    let Some(repo) = open(&directory) else {
        return read_other_format(&directory);
    };
    let top = real_path(repo.workdir()?).ok()?;
    let directory = below(&top, &directory)?;
    Some(GitFacts {
        worktree: worktree(&repo),
        main: main_of(&repo).unwrap_or_else(|| top.clone()),
        remote: remote(&repo, &top),
        directory,
        commit: repo
            .head()
            .ok()
            .and_then(|head| head.target())
            .and_then(|id| id.to_string().parse().ok()),
        branch: branch(&repo),
        top,
    })
}

fn read_other_format(directory: &Path) -> Option<GitFacts> {
    let repo = OtherFormat::find(directory)?;
    let top = repo.top.clone();
    Some(GitFacts {
        worktree: repo.worktree(),
        main: repo.main().unwrap_or_else(|| top.clone()),
        remote: repo.remote().and_then(|url| resolved(&url, &top)),
        directory: below(&top, directory)?,
        commit: None,
        branch: repo.branch(),
        top,
    })
}

/// Opens the repository of a directory.
fn open(directory: &Path) -> Option<Repository> {
    if has_named_pipe(directory) {
        return None;
    }
    // The environment is ignored: ccsync may be started from a hook of another repository.
    let ceilings: [&Path; 0] = [];
    Repository::open_ext(directory, RepositoryOpenFlags::empty(), ceilings).ok()
}

/// Returns true if a file that git reads first is not plain: to open a named pipe waits for its
/// writer.
fn has_named_pipe(directory: &Path) -> bool {
    let git = directory.ancestors().map(|parent| parent.join(".git"));
    let found = git.into_iter().find(|git| git.exists());
    let is_odd = |path: PathBuf| fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir());
    found.is_some_and(|git| {
        is_odd(git.clone())
            || ["HEAD", "config", "commondir"]
                .iter()
                .any(|name| is_odd(git.join(name)))
    })
}

/// Lists the linked working trees of the repository at `top`, at most `MAX_WORKTREES`.
pub fn linked_worktrees(top: &Path) -> Vec<PathBuf> {
    look_in_time(top, read_worktrees).unwrap_or_default()
}

fn read_worktrees(top: &Path) -> Vec<PathBuf> {
    let Some(repo) = open(top) else {
        let other = OtherFormat::find(top);
        return other.map_or_else(Vec::new, |repo| repo.worktrees(MAX_WORKTREES));
    };
    let Ok(names) = repo.worktrees() else {
        return Vec::new();
    };
    let trees = names
        .iter()
        .flatten()
        .flatten()
        .take(MAX_WORKTREES)
        .filter_map(|name| repo.find_worktree(name).ok());
    trees.map(|tree| tree.path().to_owned()).collect()
}

/// Returns the name of a linked working tree. Git keeps its files in `worktrees/NAME` of the
/// repository (gitrepository-layout(5)).
fn worktree(repo: &Repository) -> Option<WorktreeName> {
    let name = repo.path().file_name().filter(|_| repo.is_worktree())?;
    WorktreeName::new(name.to_str()?).ok()
}

/// Returns the top of the main checkout of `directory`, also from a linked worktree; without a
/// repository, `directory` itself. The client's memory belongs to that directory (client 2.1.329).
pub fn main_checkout(directory: &Path) -> PathBuf {
    look_in_time(directory, read_main_checkout).unwrap_or_else(|| resolve_links(directory))
}

fn read_main_checkout(directory: &Path) -> PathBuf {
    let directory = real_path(directory).unwrap_or_else(|_| directory.to_owned());
    let main = match open(&directory) {
        Some(repo) => main_of(&repo),
        None => OtherFormat::find(&directory).and_then(|repo| repo.main()),
    };
    main.unwrap_or(directory)
}

fn main_of(repo: &Repository) -> Option<PathBuf> {
    let shared = repo.commondir();
    shared
        .ends_with(".git")
        .then(|| real_path(shared.parent()?).ok())
        .flatten()
}

fn below(top: &Path, directory: &Path) -> Option<SubDirectory> {
    SubDirectory::new(path_below(top, directory)?).ok()
}

fn branch(repo: &Repository) -> Option<BranchName> {
    let head = repo.find_reference("HEAD").ok()?;
    let name = head.symbolic_target().ok()??;
    BranchName::new(name.strip_prefix("refs/heads/")?).ok()
}

fn remote(repo: &Repository, top: &Path) -> Option<RemoteUrl> {
    let origin = repo.find_remote("origin").or_else(|_| {
        let names = repo.remotes()?;
        let first = names.iter().flatten().flatten().next().map(str::to_owned);
        repo.find_remote(&first.unwrap_or_default())
    });
    let origin = origin.ok()?;
    resolved(origin.url().ok()?, top)
}

/// Parses the address of a remote of the working tree at `top`; resolves the links of a path.
fn resolved(url: &str, top: &Path) -> Option<RemoteUrl> {
    let url = RemoteUrl::parse(url, top).ok()?;
    match url.kind() {
        RemoteKind::Local(path) => {
            let path = real_path(path).ok()?;
            RemoteUrl::parse(path.to_str()?, top).ok()
        }
        _ => Some(url),
    }
}
