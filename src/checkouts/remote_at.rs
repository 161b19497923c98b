//! The git remote of a directory, or that it is unknown.
//!
//! A project that the settings exclude by its remote must not be sent because its clone is
//! missing or unreadable. So "no remote" and "unknown" are different answers here.

use std::path::Path;

use crate::checkouts::{clones::Clones, identity::portable};
use crate::domain::{placeholder::Placeholders, project::ProjectIdentity};
use crate::sys::fs::is_dir_in_time;

/// Directory below the top of a clone in which the client creates linked working trees
/// (client 2.1.329).
const CLIENT_WORKTREES: [&str; 2] = [".claude", "worktrees"];

/// The git remote of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RemoteAt {
    /// The remote; `None`: the directory has no remote.
    Known(Option<ProjectIdentity>),
    /// The directory is missing and was never seen, or its repository cannot be read.
    Unknown,
}

/// Returns the remote of `directory`.
pub(crate) fn remote_at(
    clones: &Clones,
    directory: &Path,
    placeholders: &Placeholders,
) -> RemoteAt {
    if let Some(facts) = clones.facts(directory) {
        return RemoteAt::Known(portable(facts, placeholders).identity);
    }
    if is_dir_in_time(directory) {
        // A directory that cannot be entered looks as if it had no repository.
        let is_repository = |ancestor: &Path| ancestor.join(".git").symlink_metadata().is_ok();
        let is_readable = directory.read_dir().is_ok();
        return match is_readable && !directory.ancestors().any(is_repository) {
            true => RemoteAt::Known(None),
            false => RemoteAt::Unknown,
        };
    }
    if let Some(identity) = directory.to_str().and_then(|top| clones.last_identity(top)) {
        return RemoteAt::Known(Some(identity));
    }
    match clone_of_worktree(directory) {
        Some(clone) => remote_at(clones, clone, placeholders),
        None => RemoteAt::Unknown,
    }
}

/// Returns the clone in which the client created the working tree that contains `directory`.
fn clone_of_worktree(directory: &Path) -> Option<&Path> {
    directory.ancestors().find_map(|ancestor| {
        let parent = ancestor.parent()?;
        let [outer, inner] = CLIENT_WORKTREES;
        let is_worktrees = ancestor.ends_with(inner) && parent.ends_with(outer);
        is_worktrees.then(|| parent.parent()).flatten()
    })
}
