//! Classifies a failed `gh` call by its exit code and message. Pure.

use std::fmt;

use crate::domain::{ErrorKind, UserError, url::redact};
use crate::sys::{Interrupted, process::ProcessError, process::ProgramOutput};

/// `gh help exit-codes`: "If a command encounters an authentication issue".
const NEEDS_SIGN_IN: i32 = 4;

/// Maximum length of the message, in characters.
const MAX_MESSAGE: usize = 2000;

/// The message of `gh`, without secrets and control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GhMessage(String);

impl std::error::Error for GhMessage {}

impl fmt::Display for GhMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl GhMessage {
    pub(super) fn new(words: &str) -> Self {
        let words: String = redact(words).chars().take(MAX_MESSAGE).collect();
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

/// Error of a `gh` call.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// It is not installed.
    #[error("no program `gh` (the command line tool of GitHub) on the PATH")]
    Missing,
    /// Not signed in, or the token has expired.
    #[error("`gh` is not signed in")]
    NotSignedIn {
        /// Its message.
        #[source]
        message: GhMessage,
    },
    /// The network, or the service.
    #[error("cannot reach GitHub")]
    Unreachable {
        /// Its message.
        #[source]
        message: GhMessage,
    },
    /// The account or its token misses a permission.
    #[error("GitHub denied the request")]
    Denied {
        /// Its message.
        #[source]
        message: GhMessage,
    },
    /// The organisation requires single sign-on.
    #[error("the organisation requires single sign-on for the token of `gh`")]
    SingleSignOn {
        /// Its message.
        #[source]
        message: GhMessage,
    },
    /// The rate limit is exceeded.
    #[error("GitHub rate limit exceeded")]
    RateLimited {
        /// Its message.
        #[source]
        message: GhMessage,
    },
    /// The repository name is taken.
    #[error("the repository already exists on GitHub")]
    NameTaken {
        /// Its message.
        #[source]
        message: GhMessage,
    },
    /// Something else.
    #[error("`gh` failed")]
    Failed {
        /// Its message.
        #[source]
        message: GhMessage,
    },
    /// The answer cannot be parsed.
    #[error("cannot parse the answer of GitHub: {what}")]
    Garbled {
        /// The unexpected part.
        what: &'static str,
    },
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// It could not be started.
    #[error(transparent)]
    Process(ProcessError),
}

/// Returns the error of a failed `gh`.
pub(super) fn from_output(out: &ProgramOutput) -> GitHubError {
    let message = GhMessage::new(&out.stderr);
    match out.status.code() {
        Some(NEEDS_SIGN_IN) => GitHubError::NotSignedIn { message },
        Some(0) => GitHubError::Garbled {
            what: "unknown form",
        },
        _ => classify("", message),
    }
}

/// Searches for GraphQL error types and known phrases. The order matters: a single
/// sign-on error is also a permission error.
pub(super) fn classify(kind: &str, message: GhMessage) -> GitHubError {
    let text = format!("{kind}\n{}", message.0).to_lowercase();
    let any = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if any(&["saml", "single sign", " sso"]) {
        GitHubError::SingleSignOn { message }
    } else if any(&["rate limit", "rate_limited", "http 429"]) {
        GitHubError::RateLimited { message }
    } else if any(&["http 401", "bad credentials", "gh auth login"]) {
        GitHubError::NotSignedIn { message }
    } else if any(&["name already exists"]) {
        GitHubError::NameTaken { message }
    } else if any(&[
        "http 403",
        "forbidden",
        "permission",
        "not accessible",
        "scope",
        "cannot create",
    ]) {
        GitHubError::Denied { message }
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
        GitHubError::Unreachable { message }
    } else {
        GitHubError::Failed { message }
    }
}

impl UserError for GitHubError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::RateLimited { .. } => ErrorKind::Remote,
            Self::Interrupted(e) => e.kind(),
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Missing => "install it: https://cli.github.com",
            Self::NotSignedIn { .. } => "sign in with `gh auth login`",
            Self::Denied { .. } => {
                "check the token with `gh auth status`; extend it with `gh auth refresh -s repo`"
            }
            Self::SingleSignOn { .. } => "authorise it in the browser with `gh auth refresh`",
            Self::RateLimited { .. } => "see when it ends with `gh api rate_limit`",
            Self::NameTaken { .. } => "choose a name with `ccsync init --github ANOTHER-NAME`",
            Self::Interrupted(e) => return e.hints(),
            Self::Unreachable { .. }
            | Self::Failed { .. }
            | Self::Garbled { .. }
            | Self::Process(_) => "check gh with `gh api user`",
        };
        let without = "to do without gh, run `ccsync init --remote URL`";
        vec![hint.to_owned(), without.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn github_error_messages_are_classified() {
        // Messages of gh 2.23 and GitHub.
        let kind = |kind: &str, words: &str| format!("{:?}", classify(kind, GhMessage::new(words)));
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
        let message = GhMessage::new("one\u{1b}[2J\r\n\n  https://al:hunter2@host/x  \n");
        assert_eq!(message.0, "one [2J\nhttps://***@host/x");
    }
}
