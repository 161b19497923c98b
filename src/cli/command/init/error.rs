//! Why a repository is not used, and what to do about it.

use crate::cli::error::{CliError, Kind};
use crate::transport::github::{GitHubError, InvalidRepositoryName, Visibility};
use crate::ui::sanitize::one_line;

/// What speaks against a repository. Names are sanitised where the error is shown.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum InitError {
    #[error("{name} is {visibility}: others could read your sessions")]
    Open {
        name: String,
        visibility: Visibility,
    },
    #[error("{name} is not empty, and what is in it was not put there by ccsync")]
    NotAStore { name: String, address: String },
    #[error("{0} cannot be written to: it is archived, or your account has no right to")]
    ReadOnly(String),
    #[error("more than one of your repositories holds sessions: {}", .0.join(", "))]
    Several(Vec<String>),
    #[error("this is no name for a repository")]
    Name(#[source] InvalidRepositoryName),
}

impl From<InitError> for CliError {
    fn from(error: InitError) -> Self {
        let hints = match &error {
            InitError::Open { name, .. } => vec![
                format!(
                    "gh api --method PATCH repos/{} -f visibility=private",
                    one_line(name)
                ),
                "if others may read them, add to `ccsync init`: --allow-public".to_owned(),
            ],
            InitError::NotAStore { address, .. } => vec![
                "to have a new one made: ccsync init --github ANOTHER-NAME".to_owned(),
                format!(
                    "to put the sessions beside what is there: ccsync init --remote {}",
                    one_line(address)
                ),
            ],
            InitError::ReadOnly(name) => vec![
                format!("look at it: gh repo view {}", one_line(name)),
                "to have another one made: ccsync init --github ANOTHER-NAME".to_owned(),
            ],
            InitError::Several(names) => names
                .iter()
                .take(3)
                .map(|name| format!("ccsync init --github {}", one_line(name)))
                .collect(),
            InitError::Name(_) => vec!["ccsync init --github NAME".to_owned()],
        };
        let kind = if matches!(error, InitError::Name(_)) {
            Kind::Usage
        } else {
            Kind::Failed
        };
        Self::new(kind, error, hints)
    }
}

impl From<GitHubError> for CliError {
    fn from(error: GitHubError) -> Self {
        const BY_HAND: &str = "without gh: ccsync init --remote URL";
        let (kind, hint) = match &error {
            GitHubError::Missing => (Kind::Failed, "install it: https://cli.github.com"),
            GitHubError::NotSignedIn { .. } => (Kind::Failed, "gh auth login"),
            GitHubError::Unreachable { .. } => {
                (Kind::Remote, "whether gh gets through: gh api user")
            }
            GitHubError::Denied { .. } => (
                Kind::Failed,
                "what the token of gh may do: gh auth status; to ask for more: gh auth refresh -s repo",
            ),
            GitHubError::SingleSignOn { .. } => {
                (Kind::Failed, "authorise it in the browser: gh auth refresh")
            }
            GitHubError::RateLimited { .. } => (Kind::Remote, "until when: gh api rate_limit"),
            GitHubError::NameTaken { .. } => (Kind::Failed, "ccsync init --github ANOTHER-NAME"),
            GitHubError::Interrupted(_) => return Self::new(Kind::Interrupted, error, Vec::new()),
            GitHubError::Failed { .. } | GitHubError::Garbled { .. } | GitHubError::Process(_) => {
                (Kind::Failed, "whether gh works: gh api user")
            }
        };
        Self::new(kind, error, vec![hint.to_owned(), BY_HAND.to_owned()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::output::capture::captured;

    #[test]
    fn init_every_error_has_hint_with_command() {
        let name = || "al/claude-sessions\u{1b}[2J".to_owned();
        let errors = [
            InitError::Open {
                name: name(),
                visibility: Visibility::Public,
            },
            InitError::NotAStore {
                name: name(),
                address: "https://github.com/al/claude-sessions.git".to_owned(),
            },
            InitError::ReadOnly(name()),
            InitError::Several(vec!["al/a".to_owned(), "al/b".to_owned()]),
            InitError::Name(InvalidRepositoryName),
        ];
        let shown = errors.map(|error| captured(|output| CliError::from(error).show(output)).1);
        insta::assert_snapshot!(shown.join("\n"));
    }
}
