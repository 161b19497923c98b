//! Errors of choosing the repository for the sessions.

use std::path::PathBuf;

use crate::domain::{ErrorKind, UserError, shell::shell_word};
use crate::transport::{github::InvalidRepositoryName, github::Visibility};

/// Reason why a repository is not used. Names are sanitized when the error is shown.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum InitError {
    #[error("{name} is {visibility}: others could read your sessions")]
    Open {
        name: String,
        visibility: Visibility,
    },
    #[error("{0} is not empty and not a store of ccsync")]
    NotAStore(String),
    #[error("`{}` is not a bare repository: git refuses pushes to it", path.display())]
    NotBare { path: PathBuf },
    #[error("`{}` is an empty directory, not a git repository", path.display())]
    EmptyDirectory { path: PathBuf },
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
            Self::NotAStore(_) => vec![ANOTHER.to_owned()],
            Self::NotBare { path } => {
                let top = path
                    .parent()
                    .filter(|_| path.ends_with(".git"))
                    .unwrap_or(path);
                let bare = shell_word(format!("{}.git", top.display()).as_ref());
                vec![format!(
                    "create a bare repository beside it with `git init --bare {bare}`, then run `ccsync init --remote {bare}`"
                )]
            }
            Self::EmptyDirectory { path } => {
                let path = shell_word(path);
                vec![format!(
                    "make it one with `git init --bare {path}`, then run `ccsync init` again; or add `--yes`"
                )]
            }
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
            InitError::NotAStore(name()),
            InitError::NotBare {
                path: "/mnt/shared disk/sessions".into(),
            },
            InitError::EmptyDirectory {
                path: "/mnt/disk".into(),
            },
            InitError::ReadOnly(name()),
            InitError::Several(vec!["al/a".to_owned(), "al/b".to_owned()]),
            InitError::Name(InvalidRepositoryName),
        ];
        let shown = errors.map(|error| captured(|output| CliError::from(error).show(output)).1);
        insta::assert_snapshot!(shown.join("\n"));
    }
}
