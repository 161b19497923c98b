//! Repositories, accounts and names on GitHub.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::domain::{url::RemoteKind, url::RemoteUrl, url::UrlError};

/// Visibility of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Visibility {
    /// Visible to its owner and collaborators.
    Private,
    /// Visible to an enterprise.
    Internal,
    /// Public.
    Public,
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Public => "public",
        })
    }
}

/// A repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its host.
    pub host: String,
    /// `OWNER/NAME`.
    pub name: String,
    /// Its visibility.
    pub visibility: Visibility,
    /// True if it has no commits.
    pub is_empty: bool,
    /// True if it is a store of ccsync.
    pub is_store: bool,
    /// True if this account may push to it.
    pub can_push: bool,
    pub(super) https: RemoteUrl,
    pub(super) ssh: RemoteUrl,
}

/// An account and its repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub login: String,
    /// Its repository with the requested name.
    pub named: Option<Repository>,
    /// Its stores, the last used first, among the hundred repositories pushed to last.
    pub stores: Vec<Repository>,
}

/// A repository as the user writes it: `[HOST/][OWNER/]NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryName {
    /// `None`: the default host of `gh`.
    pub host: Option<String>,
    /// `None`: the account itself.
    pub owner: Option<String>,
    /// The last part.
    pub name: String,
}

/// Error: invalid repository name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("give NAME, OWNER/NAME or HOST/OWNER/NAME, with letters, digits, `.`, `-` and `_`")]
pub struct InvalidRepositoryName;

impl std::str::FromStr for RepositoryName {
    type Err = InvalidRepositoryName;

    fn from_str(text: &str) -> Result<Self, InvalidRepositoryName> {
        let plain = |part: &str| {
            let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            !part.is_empty()
                && part.len() <= 100
                && part.chars().all(usual)
                && !part.starts_with(['-', '.'])
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(|part| plain(part)) {
            return Err(InvalidRepositoryName);
        }
        let (host, owner, name) = match parts.as_slice() {
            [name] => (None, None, *name),
            [owner, name] => (None, Some(*owner), *name),
            [host, owner, name] => (Some(*host), Some(*owner), *name),
            _ => return Err(InvalidRepositoryName),
        };
        Ok(Self {
            host: host.map(str::to_owned),
            owner: owner.map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.host, &self.owner].into_iter().flatten() {
            write!(f, "{part}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Parses an address from the service; accepts network addresses only.
pub(super) fn address(text: &str) -> Result<RemoteUrl, UrlError> {
    let url = RemoteUrl::parse(text, Path::new("/"))?;
    if matches!(url.kind(), RemoteKind::Local(_)) {
        Err(UrlError::Host)
    } else {
        Ok(url)
    }
}
