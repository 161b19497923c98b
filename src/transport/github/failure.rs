//! Why `gh` did not do what it was asked, as far as its exit code and its words tell. Pure.

use std::fmt;

use crate::domain::url::redact;
use crate::sys::process::{Output, ProcessError};
use crate::sys::signal::Interrupted;

/// `gh help exit-codes`: "If a command encounters an authentication issue".
const NEEDS_SIGN_IN: i32 = 4;

/// More of its words nobody wants to see.
const LONGEST: usize = 2000;

/// What `gh` said, without secrets and control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said(String);

impl std::error::Error for Said {}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Said {
    pub(super) fn new(words: &str) -> Self {
        let words: String = redact(words).chars().take(LONGEST).collect();
        let lines = words
            .lines()
            .map(|line| line.replace(char::is_control, " "));
        Self(
            lines
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }
}

/// Why `gh` did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// It is not installed.
    #[error("`gh`, the command line tool of GitHub, was not found on the PATH")]
    Missing,
    /// It has no account, or one that is not accepted any more.
    #[error("`gh` is not signed in")]
    NotSignedIn {
        /// In its words.
        #[source]
        said: Said,
    },
    /// The network, or the service.
    #[error("GitHub cannot be reached")]
    Unreachable {
        /// In its words.
        #[source]
        said: Said,
    },
    /// The account lacks a right, or the token it.
    #[error("GitHub does not allow it")]
    Denied {
        /// In its words.
        #[source]
        said: Said,
    },
    /// The organisation wants to see its own sign-in first.
    #[error("the organisation wants the token of `gh` to be authorised first")]
    SingleSignOn {
        /// In its words.
        #[source]
        said: Said,
    },
    /// Too much was asked in the last hour.
    #[error("GitHub answers nothing more for a while")]
    RateLimited {
        /// In its words.
        #[source]
        said: Said,
    },
    /// There is a repository of this name.
    #[error("the name is taken on GitHub")]
    NameTaken {
        /// In its words.
        #[source]
        said: Said,
    },
    /// Something else.
    #[error("`gh` failed")]
    Failed {
        /// In its words.
        #[source]
        said: Said,
    },
    /// Its answer makes no sense.
    #[error("cannot understand the answer of GitHub: {what}")]
    Garbled {
        /// What is odd.
        what: &'static str,
    },
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// It could not be run.
    #[error(transparent)]
    Process(ProcessError),
}

/// Why a `gh` that has ended has failed.
pub(super) fn of(out: &Output) -> GitHubError {
    let said = Said::new(&out.stderr);
    match out.status.code() {
        Some(NEEDS_SIGN_IN) => GitHubError::NotSignedIn { said },
        Some(0) => GitHubError::Garbled {
            what: "it is not what the API is to answer",
        },
        _ => of_words("", said),
    }
}

/// Looks for the kinds of GraphQL and for known phrases. The order matters: a refusal for want of a single sign-on is one for want of
/// rights, too.
pub(super) fn of_words(kind: &str, said: Said) -> GitHubError {
    let text = format!("{kind}\n{}", said.0).to_lowercase();
    let any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if any(&["saml", "single sign", " sso"]) {
        GitHubError::SingleSignOn { said }
    } else if any(&["rate limit", "rate_limited", "http 429"]) {
        GitHubError::RateLimited { said }
    } else if any(&["http 401", "bad credentials", "gh auth login"]) {
        GitHubError::NotSignedIn { said }
    } else if any(&["name already exists"]) {
        GitHubError::NameTaken { said }
    } else if any(&[
        "http 403",
        "forbidden",
        "permission",
        "not accessible",
        "scope",
        "cannot create",
    ]) {
        GitHubError::Denied { said }
    } else if any(&[
        "error connecting",
        "no such host",
        "dial tcp",
        "timeout",
        "http 50",
        "connection re",
        "tls",
        "eof",
    ]) {
        GitHubError::Unreachable { said }
    } else {
        GitHubError::Failed { said }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn github_error_messages_are_classified() {
        // As gh 2.23 and GitHub write them.
        let kind = |kind: &str, words: &str| format!("{:?}", of_words(kind, Said::new(words)));
        for (of, words, expected) in [
            (
                "",
                "gh: Bad credentials (HTTP 401)\nTry authenticating with:  gh auth login",
                "NotSignedIn",
            ),
            (
                "",
                "error connecting to api.github.com\ncheck your internet connection or https://githubstatus.com",
                "Unreachable",
            ),
            ("", "gh: Bad Gateway (HTTP 502)", "Unreachable"),
            (
                "RATE_LIMITED",
                "API rate limit exceeded for user ID 1.",
                "RateLimited",
            ),
            (
                "",
                "gh: You have exceeded a secondary rate limit (HTTP 403)",
                "RateLimited",
            ),
            (
                "FORBIDDEN",
                "Resource protected by organization SAML enforcement. You must grant your OAuth token",
                "SingleSignOn",
            ),
            (
                "",
                "GraphQL: Name already exists on this account (createRepository)",
                "NameTaken",
            ),
            (
                "",
                "HTTP 403: Resource not accessible by personal access token",
                "Denied",
            ),
            (
                "",
                "GraphQL: al does not have the correct permissions to execute `CreateRepository`",
                "Denied",
            ),
            ("", "something new", "Failed"),
        ] {
            assert!(
                kind(of, words).starts_with(expected),
                "{words}: {}",
                kind(of, words)
            );
        }
    }

    #[test]
    fn github_message_is_sanitized() {
        let said = Said::new("one\u{1b}[2J\r\n\n  https://al:hunter2@host/x  \n");
        assert_eq!(said.0, "one [2J\nhttps://***@host/x");
    }
}
