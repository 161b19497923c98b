//! What git says of a session's project: pure data, checked where it enters the program.
//!
//! Owns the form in which it is recorded (`git` in `docs/dev/format.md`). Must not read a repository.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use super::checked::checked_text;
use super::id::CommitId;
use super::path::{PortablePath, is_safe_path};
use super::url::{RemoteKind, RemoteUrl, UrlError, has_drive, project_identity};

/// The version of [`ProjectGit`] that this program writes. A newer one is not looked at: it is a help, not a part of the session.
pub const FORMAT: u32 = 1;

/// No honest address is longer.
const MAX_REMOTE_BYTES: usize = 2048;

/// git's own limit is that of a file name for each part of it.
const MAX_BRANCH_BYTES: usize = 1024;

/// Where a session's working directory lies in its git repository, and what was checked out when the session was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectGit {
    /// [`FORMAT`].
    pub format: u32,
    /// From where the repository can be cloned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<PortableRemote>,
    /// What all addresses of that remote have in common.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<ProjectIdentity>,
    /// The working directory below the top of the working tree.
    #[serde(default, skip_serializing_if = "SubDirectory::is_top")]
    pub directory: SubDirectory,
    /// The name of the working tree, if it is linked to another one (`git worktree`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeName>,
    /// The commit that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The branch that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchName>,
}

/// The address of a remote without secrets, or the portable path of a repository on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortableRemote(String);

/// The identity of a remote ([`project_identity`]): `github.com/al/app`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectIdentity(String);

/// A directory below the top of a working tree, `/`-separated; empty: the top itself. Safe to join to a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubDirectory(String);

/// The name by which git knows a linked working tree: one component of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorktreeName(String);

/// The short name of a branch: `main`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

/// Why something is not recorded, or not believed. None repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProject {
    /// No address, or one that is never recorded.
    #[error("the project's remote is not usable")]
    Remote(#[from] UrlError),
    /// It holds what only its owner may know.
    #[error("the address of the project's remote holds a secret")]
    Secret,
    /// Neither absolute nor below a root, or leading upwards.
    #[error("the project's remote is not the path of a repository")]
    Path,
    /// Not an identity.
    #[error("the project's identity is not one")]
    Identity,
    /// It would lead elsewhere, or cannot be made on every system.
    #[error("the project's directory in its repository is not a safe one")]
    Directory,
    /// Not the name of a working tree.
    #[error("the project's worktree is not one")]
    Worktree,
    /// Not a branch's name.
    #[error("the project's branch is not one")]
    Branch,
    /// Longer than any honest one.
    #[error("the project's remote is longer than any address")]
    TooLong,
}

impl ProjectGit {
    /// Reads what a manifest says; one of a newer format is as good as absent.
    ///
    /// # Errors
    /// If it is none of this format.
    pub fn of_known_format<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Self>, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let is_newer = value["format"]
            .as_u64()
            .is_some_and(|format| format > u64::from(FORMAT));
        if value.is_null() || is_newer {
            return Ok(None);
        }
        serde_json::from_value(value)
            .map(Some)
            .map_err(serde::de::Error::custom)
    }
}

impl PortableRemote {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidProject`]
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidProject> {
        let text = text.into();
        if text.len() > MAX_REMOTE_BYTES {
            return Err(InvalidProject::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(UrlError::ControlCharacter.into());
        }
        if is_path(&text) {
            let upwards = text.split(['/', '\\']).any(|part| part == "..");
            return if upwards {
                Err(InvalidProject::Path)
            } else {
                Ok(Self(text))
            };
        }
        let url = RemoteUrl::parse(&text, Path::new(""))?;
        if matches!(url.kind(), RemoteKind::Local(_)) {
            return Err(InvalidProject::Path);
        }
        if url.without_secrets().is_none_or(|plain| plain != text) {
            return Err(InvalidProject::Secret);
        }
        Ok(Self(text))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, if it is a repository on a disk.
    pub fn as_path(&self) -> Option<PortablePath> {
        is_path(&self.0).then(|| PortablePath::new(self.0.as_str()))
    }

    /// What it has in common with all other addresses of the same remote; a path has nothing.
    pub fn identity(&self) -> Option<ProjectIdentity> {
        if is_path(&self.0) {
            None
        } else {
            ProjectIdentity::new(project_identity(&self.0)?).ok()
        }
    }
}

/// A path, portable or of any system, and no address.
fn is_path(text: &str) -> bool {
    text.starts_with("{{") || text.starts_with('/') || text.starts_with("\\\\") || has_drive(text)
}

impl ProjectIdentity {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidProject::Identity`]
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidProject> {
        let text = text.into();
        let plain =
            !text.chars().any(|c| c.is_control() || c.is_whitespace()) && !text.starts_with('-');
        let parts = text.split('/').count() > 1
            && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if plain && parts && text.len() <= MAX_REMOTE_BYTES {
            Ok(Self(text))
        } else {
            Err(InvalidProject::Identity)
        }
    }

    /// The identity as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SubDirectory {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidProject::Directory`]
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidProject> {
        let text = text.into();
        let safe = text.is_empty() || text.len() <= 4096 && is_safe_path(&text);
        if safe {
            Ok(Self(text))
        } else {
            Err(InvalidProject::Directory)
        }
    }

    /// The directory as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the top of the working tree.
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }
}

impl WorktreeName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidProject::Worktree`]
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidProject> {
        let text = text.into();
        if is_safe_path(&text) && !text.contains('/') {
            Ok(Self(text))
        } else {
            Err(InvalidProject::Worktree)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BranchName {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`InvalidProject::Branch`]
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidProject> {
        let text = text.into();
        let forbidden =
            |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
        let good = !text.is_empty() && text.len() <= MAX_BRANCH_BYTES && !text.starts_with('-');
        if good && !text.contains(forbidden) {
            Ok(Self(text))
        } else {
            Err(InvalidProject::Branch)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

checked_text!(PortableRemote, InvalidProject, Self::new);
checked_text!(ProjectIdentity, InvalidProject, Self::new);
checked_text!(SubDirectory, InvalidProject, Self::new);
checked_text!(WorktreeName, InvalidProject, Self::new);
checked_text!(BranchName, InvalidProject, Self::new);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_unsafe_remote_is_not_recorded() {
        for good in [
            "git@github.com:al/app.git",
            "ssh://git@host:2222/x",
            "https://host/al/app",
            "{{HOME}}/git/app.git",
            "/srv/app.git",
            "C:\\git\\app.git",
            "\\\\server\\git\\app.git",
        ] {
            assert_eq!(
                PortableRemote::new(good).map(String::from).as_deref(),
                Ok(good)
            );
        }
        for bad in [
            "",
            "ext::sh -c touch% x",
            "--upload-pack=touch x",
            "-u",
            "ssh://-oProxyCommand=x/y",
            "https://h/\u{1b}[2J",
            "/srv/\n",
            "app.git",
            "../app.git",
            "/srv/../etc",
            "{{HOME}}/../x",
            "C:\\x\\..\\y",
            "file:///srv/x",
            "ftp://h/x",
            "https://al:pw@host/x",
            "https://token@host/x",
            "https://host/x?token=1",
            "ssh://al:pw@host/x",
            " https://host/x",
            &format!("https://host/{}", "x".repeat(3000)),
        ] {
            assert!(PortableRemote::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn project_invalid_directory_branch_identity_is_refused() {
        for good in ["", "crates/app", "a b/ü"] {
            assert!(SubDirectory::new(good).is_ok(), "{good}");
        }
        for bad in [
            "..",
            "../x",
            "/etc",
            "a/../b",
            "a//b",
            "a/",
            "C:x",
            "C:\\x",
            "a\\b",
            "nul",
            "\u{1b}",
            &"x/".repeat(3000),
        ] {
            assert!(SubDirectory::new(bad).is_err(), "{bad:?}");
        }
        assert!(WorktreeName::new("side-1").is_ok());
        for bad in ["", "a/b", "..", "nul", "a\u{7}"] {
            assert!(WorktreeName::new(bad).is_err(), "{bad:?}");
        }
        assert!(BranchName::new("feature/ü-1").is_ok());
        for bad in ["", "-x", "a b", "a\u{7}", "a:b", &"x".repeat(2000)] {
            assert!(BranchName::new(bad).is_err(), "{bad:?}");
        }
        assert!(ProjectIdentity::new("github.com/al/app").is_ok());
        for bad in ["", "x", "/x", "x/", "a/../b", "a/b c", "-h/x", "a/\u{9b}"] {
            assert!(ProjectIdentity::new(bad).is_err(), "{bad:?}");
        }
    }
}
