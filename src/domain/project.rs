//! The git facts of a session's project: pure data, checked when it enters the program.
//!
//! Owns their stored form (`git` in `docs/dev/format.md`). Must not read a repository.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use super::checked::{checked_text, ensure};
use super::composed::composed;
use super::id::CommitId;
use super::path::{PortablePath, is_safe_path};
use super::url::{RemoteKind, RemoteUrl, UrlError, has_drive, project_identity, without_case};

/// The version of [`ProjectGit`] that this program writes. A newer one is ignored: it helps to find
/// the project, and is not part of the session.
pub const FORMAT: u32 = 1;

/// Longest address of a remote, in bytes.
const MAX_REMOTE_BYTES: usize = 2048;

/// Longest directory in a repository, in bytes.
const MAX_DIRECTORY_BYTES: usize = 4096;

/// Longest name of a branch, in bytes. Git's limit is that of a file name for each part of it.
const MAX_BRANCH_BYTES: usize = 1024;

/// The place of a session's working directory in its git repository, and the checkout when the
/// session was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectGit {
    /// [`FORMAT`].
    pub format: u32,
    /// The address for cloning the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<PortableRemote>,
    /// The identity of that remote.
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
///
/// Earlier programs recorded it in the case of the address, so that identities are equal if they
/// are on the same server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectIdentity(String);

/// A directory below the top of a working tree, `/`-separated; empty for the top itself. It can be
/// joined to a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubDirectory(String);

/// Git's name of a linked working tree: one component of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorktreeName(String);

/// The short name of a branch: `main`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

/// The reason why a fact is not stored, or a stored one is refused. The text, which may hold a
/// password, is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProject {
    /// An invalid address, or one that is never stored.
    #[error("invalid project remote")]
    Remote(#[from] UrlError),
    /// An address with a secret.
    #[error("the project remote contains a secret")]
    Secret,
    /// A path that is neither absolute nor below a placeholder, or leads upwards.
    #[error("the project remote is not the path of a repository")]
    Path,
    /// An invalid identity.
    #[error("invalid project identity")]
    Identity,
    /// A directory outside the working tree, or one that some system cannot create.
    #[error("unsafe project directory")]
    Directory,
    /// An invalid name of a working tree.
    #[error("invalid name of the project's worktree")]
    Worktree,
    /// An invalid name of a branch.
    #[error("invalid name of the project's branch")]
    Branch,
    /// An address that is too long.
    #[error("the project remote is too long (limit {MAX_REMOTE_BYTES} bytes)")]
    TooLong,
}

impl ProjectGit {
    /// Deserializes the facts of a manifest; those of a newer format are ignored.
    ///
    /// # Errors
    /// If they are not of this format.
    pub fn deserialize_known_format<'de, D: Deserializer<'de>>(
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
    /// Returns the path, if it is a repository on a disk.
    pub fn as_path(&self) -> Option<PortablePath> {
        is_path(&self.0).then(|| PortablePath::new(self.0.as_str()))
    }

    /// Returns the identity of the remote; a path has no identity.
    pub fn identity(&self) -> Option<ProjectIdentity> {
        if is_path(&self.0) {
            return None;
        }
        ProjectIdentity::new(project_identity(&self.0)?).ok()
    }
}

impl ProjectIdentity {
    /// Returns the identity in lower case, if its server ignores case.
    pub fn to_compared(&self) -> Self {
        Self::new(without_case(self.0.clone())).unwrap_or_else(|_| self.clone())
    }

    fn compared(&self) -> String {
        without_case(composed(&self.0).into_owned())
    }
}

impl PartialEq for ProjectIdentity {
    fn eq(&self, other: &Self) -> bool {
        let may_equal = self.0.len() == other.0.len() || !self.0.is_ascii() || !other.0.is_ascii();
        self.0 == other.0 || may_equal && self.compared() == other.compared()
    }
}

impl Eq for ProjectIdentity {}

impl PartialOrd for ProjectIdentity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ProjectIdentity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compared().cmp(&other.compared())
    }
}

impl Hash for ProjectIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.compared().hash(state);
    }
}

impl SubDirectory {
    /// Returns true for the top of the working tree.
    pub fn is_top(&self) -> bool {
        self.0.is_empty()
    }
}

/// Returns true for a path, portable or of any system; false for an address.
fn is_path(text: &str) -> bool {
    text.starts_with("{{") || text.starts_with('/') || text.starts_with("\\\\") || has_drive(text)
}

fn check_remote(text: &str) -> Result<(), InvalidProject> {
    ensure(text.len() <= MAX_REMOTE_BYTES, || InvalidProject::TooLong)?;
    ensure(!text.chars().any(char::is_control), || {
        UrlError::ControlCharacter
    })?;
    if is_path(text) {
        let leads_up = text.split(['/', '\\']).any(|part| part == "..");
        return ensure(!leads_up, || InvalidProject::Path);
    }
    let url = RemoteUrl::parse(text, Path::new(""))?;
    if matches!(url.kind(), RemoteKind::Local(_)) {
        return Err(InvalidProject::Path);
    }
    let is_plain = url.without_secrets().is_some_and(|plain| plain == text);
    ensure(is_plain, || InvalidProject::Secret)
}

fn check_identity(text: &str) -> Result<(), InvalidProject> {
    let is_plain =
        !text.chars().any(|c| c.is_control() || c.is_whitespace()) && !text.starts_with('-');
    let has_parts =
        text.split('/').count() > 1 && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let is_valid = is_plain && has_parts && text.len() <= MAX_REMOTE_BYTES;
    ensure(is_valid, || InvalidProject::Identity)
}

fn check_directory(text: &str) -> Result<(), InvalidProject> {
    let is_safe = text.is_empty() || text.len() <= MAX_DIRECTORY_BYTES && is_safe_path(text);
    ensure(is_safe, || InvalidProject::Directory)
}

fn check_worktree(text: &str) -> Result<(), InvalidProject> {
    let is_component = is_safe_path(text) && !text.contains('/');
    ensure(is_component, || InvalidProject::Worktree)
}

fn check_branch(text: &str) -> Result<(), InvalidProject> {
    let forbidden =
        |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    let is_valid = !text.is_empty()
        && text.len() <= MAX_BRANCH_BYTES
        && !text.starts_with('-')
        && !text.contains(forbidden);
    ensure(is_valid, || InvalidProject::Branch)
}

checked_text!(PortableRemote, InvalidProject, check_remote);
checked_text!(ProjectIdentity, InvalidProject, check_identity);
checked_text!(SubDirectory, InvalidProject, check_directory);
checked_text!(WorktreeName, InvalidProject, check_worktree);
checked_text!(BranchName, InvalidProject, check_branch);

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
