//! Errors of choosing the repository for the sessions.

use crate::domain::{ErrorKind, UserError};
use crate::transport::{github::InvalidRepositoryName, github::Visibility};

/// Reason why a repository is not used. Names are sanitized when the error is shown.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum InitError {
    #[error("{name} is {visibility}: others could read your sessions")]
    Open {
        name: String,
        visibility: Visibility,
    },
    #[error("{name} is not empty and not a store of ccsync")]
    NotAStore { name: String, address: String },
    #[error("cannot write to {0}: it is archived, or your account may not push")]
    ReadOnly(String),
    #[error("more than one of your repositories has sessions: {}", .0.join(", "))]
    Several(Vec<String>),
    #[error("invalid repository name")]
    Name(#[source] InvalidRepositoryName),
}

impl UserError for InitError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Name(_) => ErrorKind::Usage,
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        const ANOTHER: &str = "create another one with `ccsync init --github ANOTHER-NAME`";
        match self {
            Self::Open { name, .. } => vec![
                format!(
                    "make it private with `gh api --method PATCH repos/{name} -f visibility=private`"
                ),
                "to use it all the same, add `--allow-public` to `ccsync init`".to_owned(),
            ],
            Self::NotAStore { address, .. } => vec![
                ANOTHER.to_owned(),
                format!("to add sessions to what is there, run `ccsync init --remote {address}`"),
            ],
            Self::ReadOnly(name) => {
                vec![
                    format!("see it with `gh repo view {name}`"),
                    ANOTHER.to_owned(),
                ]
            }
            Self::Several(names) => names
                .iter()
                .take(3)
                .map(|name| format!("choose one with `ccsync init --github {name}`"))
                .collect(),
            Self::Name(_) => vec!["give a name: `ccsync init --github NAME`".to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::CliError;
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
