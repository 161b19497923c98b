//! GitHub, as the user's own `gh` reaches it: the repositories that sessions could go to, and a new private one.
//!
//! Owns how `gh` is called and how its answers are read. Must not decide which repository is taken, and nothing may need it: without `gh`,
//! or without an account, a remote is an address. Commands and exit codes are those of gh 2.23 and later (`gh help exit-codes`,
//! `gh help environment`); what is asked of the API is in `docs/dev/transport.md`.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::url::{Kind, RemoteUrl, UrlError};
use crate::sys::process::{Output, ProcessError, Program};

mod answer;
mod failure;

pub use failure::GitHubError;

/// How the repository is called if nobody says otherwise.
pub const DEFAULT_NAME: &str = "claude-sessions";

/// What a new repository says of itself.
const DESCRIPTION: &str = "Claude Code sessions, kept by ccsync. Keep this private.";

/// `gh` writes nothing before it has its answer. Longer than this, nobody waits for one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked of each repository. A store has this file on this branch (`docs/dev/format.md`).
const FACTS: &str = "fragment facts on Repository { nameWithOwner url sshUrl visibility isEmpty isArchived viewerPermission \
                     store: object(expression: \"main:ccsync.json\") { __typename } }";

/// Who may read a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Visibility {
    /// Its owner and whom they let in.
    Private,
    /// Everybody of an enterprise.
    Internal,
    /// Everybody.
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
    /// The host that it lies on.
    pub host: String,
    /// `OWNER/NAME`.
    pub name: String,
    /// Who may read it.
    pub visibility: Visibility,
    /// Nobody has pushed to it yet.
    pub is_empty: bool,
    /// It holds sessions kept by this program.
    pub is_store: bool,
    /// Whether this account may push to it.
    pub can_push: bool,
    https: RemoteUrl,
    ssh: RemoteUrl,
}

/// What an account has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub login: String,
    /// Its own repository of the name that was asked for.
    pub named: Option<Repository>,
    /// Its own repositories that are stores, the last used first. Looked for among the hundred that were pushed to last.
    pub stores: Vec<Repository>,
}

/// A repository as people write it: `[HOST/][OWNER/]NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryName {
    /// Without one, the host that `gh` uses by default.
    pub host: Option<String>,
    /// Without one, the account's own.
    pub owner: Option<String>,
    /// The last part.
    pub name: String,
}

/// Why a text names no repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write it as NAME, OWNER/NAME or HOST/OWNER/NAME, with letters, digits, `.`, `-` and `_`")]
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

/// The user's `gh`.
#[derive(Debug, Clone)]
pub struct GitHub {
    host: Option<String>,
    program: String,
    patience: Duration,
}

impl GitHub {
    /// `gh`, asked about `host`; without one, about the host that it uses by default.
    pub fn new(host: Option<String>) -> Self {
        Self {
            host,
            program: "gh".to_owned(),
            patience: TIMEOUT,
        }
    }

    /// The account that `gh` is signed in to, and those of its repositories that sessions could go to.
    ///
    /// # Errors
    /// [`GitHubError`]
    pub fn account(&self, name: &str) -> Result<Account, GitHubError> {
        let query = format!(
            "query($name: String!) {{ viewer {{ login repository(name: $name) {{ ...facts }} repositories(first: 100, \
             ownerAffiliations: [OWNER], orderBy: {{field: PUSHED_AT, direction: DESC}}) {{ nodes {{ ...facts }} }} }} }} {FACTS}"
        );
        let out = self.query(&query, &[("name", name)])?;
        answer::account(&out.stdout).unwrap_or_else(|| Err(failure::of(&out)))
    }

    /// One repository; `None` if there is none of this name, or this account may not see it.
    ///
    /// # Errors
    /// [`GitHubError`]
    pub fn repository(&self, owner: &str, name: &str) -> Result<Option<Repository>, GitHubError> {
        let query = format!(
            "query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{ ...facts }} }} {FACTS}"
        );
        let out = self.query(&query, &[("owner", owner), ("name", name)])?;
        answer::repository(&out.stdout).unwrap_or_else(|| Err(failure::of(&out)))
    }

    /// Makes a private repository, and looks at what came of it.
    ///
    /// # Errors
    /// [`GitHubError`]; [`GitHubError::NameTaken`] if there is one of this name.
    pub fn create(&self, owner: &str, name: &str) -> Result<Repository, GitHubError> {
        let full = format!("{owner}/{name}");
        let options = [
            "--private",
            "--disable-issues",
            "--disable-wiki",
            "--description",
            DESCRIPTION,
        ];
        let mut program = self.gh(&["repo", "create", &full]).args(options);
        if let Some(host) = &self.host {
            // `gh repo create` has no option for it.
            program = program.env("GH_HOST", host);
        }
        let out = self.run(&program)?;
        if !out.status.success() {
            return Err(failure::of(&out));
        }
        self.repository(owner, name)?.ok_or(GitHubError::Garbled {
            what: "the new repository is not to be seen",
        })
    }

    /// The address of `repository` for the protocol that `gh` is set up to use with its host.
    pub fn address<'a>(&self, repository: &'a Repository) -> &'a RemoteUrl {
        let asked =
            self.run(&self.gh(&["config", "get", "git_protocol", "--host", &repository.host]));
        match asked {
            Ok(out) if out.status.success() && out.stdout.trim_ascii() == b"ssh" => &repository.ssh,
            // What `gh` takes for granted itself.
            _ => &repository.https,
        }
    }

    /// What GitHub says of the repository at an address that somebody gave; `None` if `gh` cannot tell, for whatever reason: it is not
    /// installed, has no account there, or there is no such repository to be seen.
    pub fn look_up(url: &RemoteUrl) -> Option<Repository> {
        let identity = super::url::project_identity(url.as_git_argument())?;
        let name: RepositoryName = identity.parse().ok()?;
        let github = Self::new(Some(name.host?));
        // Only a host where it has an account is asked anything.
        if !github.is_signed_in().ok()? {
            return None;
        }
        github.repository(name.owner.as_deref()?, &name.name).ok()?
    }

    /// Whether `gh` has an account at its host; without a host, whether all of its accounts are good.
    ///
    /// # Errors
    /// [`GitHubError`], if `gh` cannot be asked.
    pub fn is_signed_in(&self) -> Result<bool, GitHubError> {
        let host = self.host.iter().flat_map(|host| ["--hostname", host]);
        let args: Vec<&str> = ["auth", "status"].into_iter().chain(host).collect();
        Ok(self.run(&self.gh(&args))?.status.success())
    }

    fn query(&self, query: &str, variables: &[(&str, &str)]) -> Result<Output, GitHubError> {
        let mut program = self.gh(&["api", "graphql", "--raw-field", &format!("query={query}")]);
        for (name, value) in variables {
            program = program.args(["--raw-field", &format!("{name}={value}")]);
        }
        if let Some(host) = &self.host {
            program = program.args(["--hostname", host]);
        }
        self.run(&program)
    }

    fn gh(&self, args: &[&str]) -> Program {
        let program = Program::new(&self.program)
            .args(args)
            .silence_limit(self.patience);
        // Nobody is asked, nothing is drawn, and what is written is what was asked for.
        let program = program
            .env("GH_PROMPT_DISABLED", "1")
            .env("GH_NO_UPDATE_NOTIFIER", "1")
            .env("NO_COLOR", "1");
        let other = [
            "GH_DEBUG",
            "DEBUG",
            "GH_FORCE_TTY",
            "CLICOLOR_FORCE",
            "GH_REPO",
            "GH_PAGER",
        ];
        other.into_iter().fold(program, Program::env_remove)
    }

    fn run(&self, program: &Program) -> Result<Output, GitHubError> {
        program.run().map_err(|e| match e {
            ProcessError::NotFound { .. } => GitHubError::Missing,
            ProcessError::Interrupted(e) => e.into(),
            ProcessError::Silent { after, .. } => GitHubError::Unreachable {
                said: failure::Said::new(&format!(
                    "gh gave no answer within {} seconds",
                    after.as_secs()
                )),
            },
            e @ ProcessError::Failed { .. } => GitHubError::Process(e),
        })
    }
}

impl Repository {
    /// Its address for git over https.
    pub fn https(&self) -> &RemoteUrl {
        &self.https
    }
}

/// An address that the service gave: one that leads over a network, whatever it says.
fn address(text: &str) -> Result<RemoteUrl, UrlError> {
    let url = RemoteUrl::parse(text, Path::new("/"))?;
    if matches!(url.kind(), Kind::Local(_)) {
        Err(UrlError::Host)
    } else {
        Ok(url)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn github_repository_name_parses_and_formats() {
        for text in ["x", "al/x.y", "git.firm.example/al/x_-1"] {
            assert_eq!(text.parse::<RepositoryName>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "/x",
            "al/",
            "a/b/c/d",
            "al/x y",
            "-x",
            "al/--x",
            "..",
            "al/\u{e4}",
            "https://github.com/al/x",
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn github_silent_gh_times_out() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("gh");
        crate::sys::fs::write_atomic(&program, b"#!/bin/sh\nsleep 600\n").unwrap();
        std::fs::set_permissions(
            &program,
            std::os::unix::fs::PermissionsExt::from_mode(0o700),
        )
        .unwrap();
        let program = program.to_str().unwrap().to_owned();
        let github = GitHub {
            host: None,
            program,
            patience: Duration::from_millis(100),
        };
        assert!(matches!(
            github.account("x"),
            Err(GitHubError::Unreachable { .. })
        ));
    }
}
