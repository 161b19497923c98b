//! Identifies the project of a directory by the address of its remote.

use std::path::PathBuf;

use crate::domain::{
    PlaceholderName, Placeholders, PortablePath, ProjectGit, ProjectIdentity, path::is_safe_path,
    project::FORMAT, project::PortableRemote, url::RemoteKind, url::has_drive,
};
use crate::project::GitFacts;
use crate::rewrite::{collapse_path, expand_path};

/// Returns this machine's directory for a placeholder that another machine has below its
/// home directory.
pub(crate) fn below_home(
    there: &Placeholders,
    name: &PlaceholderName,
    placeholders: &Placeholders,
) -> Option<PathBuf> {
    let home = there.get(PlaceholderName::home().as_str())?.clone();
    let portable = collapse_path(
        &Placeholders::new(there.system, [home]),
        &there.get(name.as_str())?.directory,
    );
    if !portable.as_str().starts_with("{{HOME}}/") || !is_plain(&portable) {
        return None;
    }
    expand_path(&portable, placeholders).map(PathBuf::from)
}

/// Returns true if users keep projects in such a directory.
///
/// In other directories the system or programs run or read files automatically, so
/// a writer of the store could place a clone there.
pub(crate) fn is_plain(project: &PortablePath) -> bool {
    let text = project.as_str();
    let tail = match text
        .strip_prefix("{{")
        .and_then(|rest| rest.split_once("}}"))
    {
        Some((_, "")) => return true,
        Some((_, tail)) => tail.strip_prefix('/').unwrap_or_default().to_owned(),
        None => {
            let without_drive = if has_drive(text) {
                &text[3..]
            } else {
                text.trim_start_matches('/')
            };
            without_drive.replace('\\', "/")
        }
    };
    let is_obeyed = |part: &str| {
        part.starts_with('.')
            || ["appdata", "library", "bin", "etc"].contains(&part.to_ascii_lowercase().as_str())
    };
    is_safe_path(&tail) && !tail.split('/').any(is_obeyed)
}

/// Returns what is recorded of `facts`: portable, and without secrets.
pub(crate) fn portable(facts: GitFacts, placeholders: &Placeholders) -> ProjectGit {
    let remote = facts.remote.and_then(|url| {
        let text = url.without_secrets()?;
        let is_local = matches!(url.kind(), RemoteKind::Local(_));
        PortableRemote::new(if is_local {
            collapse_path(placeholders, &text).as_str().to_owned()
        } else {
            text
        })
        .ok()
    });
    ProjectGit {
        format: FORMAT,
        identity: remote.as_ref().and_then(PortableRemote::identity),
        remote,
        directory: facts.directory,
        worktree: facts.worktree,
        commit: facts.commit,
        branch: facts.branch,
    }
}

/// Returns the identity of the remote in `facts`, if it is on a network.
pub(crate) fn identity_of(facts: &GitFacts) -> Option<ProjectIdentity> {
    PortableRemote::new(facts.remote.as_ref()?.without_secrets()?)
        .ok()?
        .identity()
}

/// Returns `now`, with the remote of `before` if `now` has none and both are the same
/// directory.
pub(crate) fn with_known_remote(now: ProjectGit, before: Option<ProjectGit>) -> ProjectGit {
    match before {
        Some(before) if now.remote.is_none() && now.directory == before.directory => ProjectGit {
            remote: before.remote,
            identity: before.identity,
            ..now
        },
        _ => now,
    }
}
