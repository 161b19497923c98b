//! What can be read of a repository without starting a program.

use std::path::{Component, Path, PathBuf};

use git2::{Repository, RepositoryOpenFlags};

use crate::domain::id::CommitId;
use crate::domain::project::{BranchName, SubDirectory, WorktreeName};
use crate::domain::url::{RemoteKind, RemoteUrl};

/// What git says of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitFacts {
    /// The top of the working tree, links resolved.
    pub top: PathBuf,
    /// The name of the working tree, if it is linked to another one (`git worktree`).
    pub worktree: Option<WorktreeName>,
    /// The top of the main checkout that it is linked to; its own if it is linked to none, or to a repository without a checkout.
    pub main: PathBuf,
    /// The address of `origin`, else of the first remote, after the user's `insteadOf`. A path is absolute.
    pub remote: Option<RemoteUrl>,
    /// The directory below the top of the working tree.
    pub directory: SubDirectory,
    /// The commit that is checked out; `None` in a repository without one.
    pub commit: Option<CommitId>,
    /// The branch that is checked out; `None` if the head is detached.
    pub branch: Option<BranchName>,
}

/// What git says of `directory`. `None` if it is not there, in no working tree, or in one that cannot be read.
pub fn read(directory: &Path) -> Option<GitFacts> {
    let directory = directory.canonicalize().ok()?;
    // Not by the environment: ccsync may have been started from a hook of another repository.
    let missing_checkout: [&Path; 0] = [];
    let repo =
        Repository::open_ext(&directory, RepositoryOpenFlags::empty(), missing_checkout).ok()?;
    let top = repo.workdir()?.canonicalize().ok()?;
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

/// The linked working trees of the repository at `top`; not more than a person can have.
pub fn linked_worktrees(top: &Path) -> Vec<PathBuf> {
    const MOST: usize = 64;
    let missing_checkout: [&Path; 0] = [];
    let Ok(repo) = Repository::open_ext(top, RepositoryOpenFlags::empty(), missing_checkout) else {
        return Vec::new();
    };
    let Ok(names) = repo.worktrees() else {
        return Vec::new();
    };
    let trees = names
        .iter()
        .flatten()
        .flatten()
        .take(MOST)
        .filter_map(|name| repo.find_worktree(name).ok());
    trees.map(|tree| tree.path().to_owned()).collect()
}

/// git keeps what belongs to a linked working tree in `worktrees/NAME` of the repository (gitrepository-layout(5)).
fn worktree(repo: &Repository) -> Option<WorktreeName> {
    let name = repo.path().file_name().filter(|_| repo.is_worktree())?;
    WorktreeName::new(name.to_str()?).ok()
}

/// The top of the main checkout to which `directory` belongs, also from a linked worktree; `directory` itself where there is none. The client
/// keeps its memory by that directory (client 2.1.329).
pub fn main_checkout(directory: &Path) -> PathBuf {
    let missing_checkout: [&Path; 0] = [];
    let directory = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    let repo = Repository::open_ext(&directory, RepositoryOpenFlags::empty(), missing_checkout);
    repo.ok()
        .and_then(|repo| main_of(&repo))
        .unwrap_or(directory)
}

fn main_of(repo: &Repository) -> Option<PathBuf> {
    let shared = repo.commondir();
    shared
        .ends_with(".git")
        .then(|| shared.parent()?.canonicalize().ok())
        .flatten()
}

fn below(top: &Path, directory: &Path) -> Option<SubDirectory> {
    let components =
        directory
            .strip_prefix(top)
            .ok()?
            .components()
            .map(|component| match component {
                Component::Normal(name) => name.to_str(),
                _ => None,
            });
    SubDirectory::new(components.collect::<Option<Vec<_>>>()?.join("/")).ok()
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
    let url = RemoteUrl::parse(origin.url().ok()?, top).ok()?;
    match url.kind() {
        RemoteKind::Local(path) => {
            let path = path.canonicalize().ok()?;
            RemoteUrl::parse(path.to_str()?, top).ok()
        }
        _ => Some(url),
    }
}
