//! Finds and creates GitHub repositories with the user's own `gh`.
//!
//! Owns the calls of `gh` and the parsing of its answers. Must not choose the
//! repository, and must stay optional: without `gh`, a remote is an address. Commands
//! and exit codes are those of gh 2.23 and later (`gh help exit-codes`, `gh help
//! environment`); `docs/dev/transport.md` describes the API queries.

use std::time::Duration;

use crate::domain::url::RemoteUrl;
use crate::sys::{process::ProcessError, process::Program, process::ProgramOutput};

mod answer;
mod failure;
mod repository;

pub use failure::GitHubError;
pub use repository::{Account, InvalidRepositoryName, Repository, RepositoryName, Visibility};

/// Default name of the repository.
pub const DEFAULT_NAME: &str = "claude-sessions";

/// Description of a new repository.
const DESCRIPTION: &str = "Claude Code sessions, kept by ccsync. Keep this private.";

/// Time limit of a `gh` call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// GraphQL fields of each repository. A store has this file on this branch
/// (`docs/dev/format.md`).
const FACTS: &str = "fragment facts on Repository { nameWithOwner url sshUrl visibility isEmpty isArchived viewerPermission \
                     store: object(expression: \"main:ccsync.json\") { __typename } }";

/// The user's `gh`.
#[derive(Debug, Clone)]
pub struct GitHub {
    host: Option<String>,
    program: String,
    timeout: Duration,
}

impl GitHub {
    /// Creates a `gh` for `host`, or for its default host.
    pub fn new(host: Option<String>) -> Self {
        Self {
            host,
            program: "gh".to_owned(),
            timeout: TIMEOUT,
        }
    }

    /// Returns the account of `gh` and its candidate repositories.
    ///
    /// # Errors
    /// [`GitHubError`]
    pub fn account(&self, name: &str) -> Result<Account, GitHubError> {
        let query = format!(
            "query($name: String!) {{ viewer {{ login repository(name: $name) {{ ...facts }} repositories(first: 100, \
             ownerAffiliations: [OWNER], orderBy: {{field: PUSHED_AT, direction: DESC}}) {{ nodes {{ ...facts }} }} }} }} {FACTS}"
        );
        let out = self.query(&query, &[("name", name)])?;
        answer::account(&out.stdout).unwrap_or_else(|| Err(failure::from_output(&out)))
    }

    /// Returns one repository; `None` if it is missing or not visible.
    ///
    /// # Errors
    /// [`GitHubError`]
    pub fn repository(&self, owner: &str, name: &str) -> Result<Option<Repository>, GitHubError> {
        let query = format!(
            "query($owner: String!, $name: String!) {{ repository(owner: $owner, name: $name) {{ ...facts }} }} {FACTS}"
        );
        let out = self.query(&query, &[("owner", owner), ("name", name)])?;
        answer::repository(&out.stdout).unwrap_or_else(|| Err(failure::from_output(&out)))
    }

    /// Creates a private repository and reads it back.
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
            // `gh repo create` has no option for this.
            program = program.env("GH_HOST", host);
        }
        let out = self.run(&program)?;
        if !out.status.success() {
            return Err(failure::from_output(&out));
        }
        self.repository(owner, name)?.ok_or(GitHubError::Garbled {
            what: "the new repository is not to be seen",
        })
    }

    /// Returns the address of `repository` for the configured protocol of `gh`.
    pub fn address<'a>(&self, repository: &'a Repository) -> &'a RemoteUrl {
        let asked =
            self.run(&self.gh(&["config", "get", "git_protocol", "--host", &repository.host]));
        match asked {
            Ok(out) if out.status.success() && out.stdout.trim_ascii() == b"ssh" => &repository.ssh,
            // The default of `gh`.
            _ => &repository.https,
        }
    }

    /// Returns the repository at an address; `None` if `gh` is missing, has no account
    /// there, or cannot see it.
    pub fn look_up(url: &RemoteUrl) -> Option<Repository> {
        let identity = crate::domain::url::project_identity(url.as_git_argument())?;
        let name: RepositoryName = identity.parse().ok()?;
        let github = Self::new(Some(name.host?));
        // Only hosts with an account are contacted.
        if !github.is_signed_in().ok()? {
            return None;
        }
        github.repository(name.owner.as_deref()?, &name.name).ok()?
    }

    /// Returns true if `gh` has an account at its host, or, without a host, if all
    /// accounts work.
    ///
    /// # Errors
    /// [`GitHubError`], if `gh` cannot be asked.
    pub fn is_signed_in(&self) -> Result<bool, GitHubError> {
        let host = self.host.iter().flat_map(|host| ["--hostname", host]);
        let args: Vec<&str> = ["auth", "status"].into_iter().chain(host).collect();
        Ok(self.run(&self.gh(&args))?.status.success())
    }

    fn query(&self, query: &str, variables: &[(&str, &str)]) -> Result<ProgramOutput, GitHubError> {
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
            .silence_limit(self.timeout);
        // Non-interactive, without colours and pagers.
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

    fn run(&self, program: &Program) -> Result<ProgramOutput, GitHubError> {
        program.run().map_err(|e| match e {
            ProcessError::NotFound { .. } => GitHubError::Missing,
            ProcessError::Interrupted(e) => e.into(),
            ProcessError::Silent { after, .. } => GitHubError::Unreachable {
                message: failure::GhMessage::new(&format!(
                    "gh gave no answer within {} seconds",
                    after.as_secs()
                )),
            },
            e @ ProcessError::Failed { .. } => GitHubError::Process(e),
        })
    }
}

impl Repository {
    /// Returns its https address.
    pub fn https(&self) -> &RemoteUrl {
        &self.https
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
            timeout: Duration::from_millis(100),
        };
        assert!(matches!(
            github.account("x"),
            Err(GitHubError::Unreachable { .. })
        ));
    }
}
