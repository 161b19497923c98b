//! The errors of the configuration.

use std::io;
use std::path::{Path, PathBuf};

use super::names::{FORMAT, KEY_NAMES, TABLE_NAMES};
use crate::domain::error::{ErrorKind, UPDATE_CCSYNC, UserError, please_report};
use crate::domain::pattern::InvalidPattern;
use crate::domain::placeholder::{InvalidPlaceholder, PlaceholderName};
use crate::domain::shell::shell_word;
use crate::sys::{fs::PathError, set_aside::move_aside_command};

/// Error of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A newer ccsync wrote the file.
    #[error(
        "the configuration `{}` has format {found}; this ccsync reads up to {FORMAT}",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format version of the file.
        found: String,
    },
    /// The file is not TOML.
    #[error("invalid configuration `{}`, line {line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The parser's reason.
        message: String,
    },
    /// A setting in the file is invalid.
    #[error("invalid configuration `{}`, line {line}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The reason.
        source: Box<Self>,
    },
    /// There is no such setting.
    #[error("unknown setting `{}` (one of: {})", key.escape_debug(), KEY_NAMES.join(", "))]
    UnknownKey {
        /// The name that was given.
        key: String,
    },
    /// There is no such table in the file.
    #[error("unknown table `{}` (one of: {})", table.escape_debug(), TABLE_NAMES.join(", "))]
    UnknownTable {
        /// The name that was given.
        table: String,
    },
    /// The file has the present and a former name of one setting.
    #[error("`{former}` is the former name of `{name}`: remove one of them")]
    BothNames {
        /// The present name.
        name: &'static str,
        /// The former one.
        former: String,
    },
    /// A setting that `ccsync init` writes is missing.
    #[error("missing setting `{0}` in [machine]")]
    Missing(&'static str),
    /// The value does not fit the setting.
    #[error("cannot set {key} to `{}`: {rule}", value.escape_debug())]
    InvalidValue {
        /// The name of the setting.
        key: &'static str,
        /// The given value; of a remote, without secrets.
        value: String,
        /// The expected form.
        rule: &'static str,
    },
    /// An element of `include` or `exclude` is not a pattern.
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
    /// The directory cannot have a placeholder.
    #[error("cannot set placeholder {name}")]
    Placeholder {
        /// The name of the placeholder.
        name: PlaceholderName,
        /// The reason.
        #[source]
        source: InvalidPlaceholder,
    },
    /// The name of a placeholder is invalid.
    #[error(transparent)]
    PlaceholderName(#[from] InvalidPlaceholder),
    /// `HOME` always stands for the home directory, `REPO` for the repository of a
    /// session.
    #[error("cannot set placeholders HOME and REPO: the names are reserved")]
    ReservedPlaceholder,
    /// The directory has keys or files of the system.
    #[error("cannot use `{}` for placeholder {name}: it holds keys or system files", directory.escape_debug())]
    PrivateDirectory {
        /// The name of the placeholder.
        name: PlaceholderName,
        /// The given directory.
        directory: String,
    },
    /// The home directory cannot have a placeholder.
    #[error("cannot use home directory `{}`", path.display())]
    Home {
        /// The directory.
        path: PathBuf,
        /// The reason; `None` for a path that is not Unicode.
        #[source]
        source: Option<InvalidPlaceholder>,
    },
    /// The configuration is for another directory of Claude Code.
    #[error(
        "the configuration of this machine is for `{}`, not for `{}`",
        own.display(), other.display()
    )]
    OtherClientDir {
        /// The directory that it is for.
        own: PathBuf,
        /// The directory in use.
        other: PathBuf,
    },
    /// The configuration cannot be serialised.
    #[error("cannot write the configuration as TOML")]
    Serialise(#[source] toml::ser::Error),
}

impl UserError for ConfigError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Path(_)
            | Self::Newer { .. }
            | Self::Syntax { .. }
            | Self::InFile { .. }
            | Self::Missing(_)
            | Self::OtherClientDir { .. }
            | Self::Home { .. } => ErrorKind::Failed,
            Self::UnknownKey { .. }
            | Self::UnknownTable { .. }
            | Self::BothNames { .. }
            | Self::InvalidValue { .. }
            | Self::Pattern(_)
            | Self::Placeholder { .. }
            | Self::PlaceholderName(_)
            | Self::PrivateDirectory { .. }
            | Self::ReservedPlaceholder => ErrorKind::Usage,
            Self::Serialise(_) => ErrorKind::Internal,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Path(e)
                if matches!(
                    e.source.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory
                ) =>
            {
                return replace_file(&e.path);
            }
            Self::Path(e) => return e.hints(),
            Self::Newer { .. } => UPDATE_CCSYNC.to_owned(),
            Self::Syntax { path, .. } => return replace_file(path),
            Self::InFile { path, .. } => format!("correct it in {}", path.display()),
            Self::UnknownKey { .. } | Self::UnknownTable { .. } | Self::BothNames { .. } => {
                "list the settings with `ccsync config show`".to_owned()
            }
            Self::Missing(_) => "set this machine up with `ccsync init`".to_owned(),
            Self::InvalidValue { .. } | Self::Pattern(_) => "see `ccsync config --help`".to_owned(),
            Self::Placeholder { .. } | Self::PlaceholderName(_) | Self::ReservedPlaceholder => {
                "give a name and an absolute path: `ccsync config add-placeholder PROJECTS=/a/path`"
                    .to_owned()
            }
            Self::PrivateDirectory { .. } => "give a directory with projects".to_owned(),
            Self::OtherClientDir { other, .. } => {
                let (name, other) = (profile_name(other), shell_word(other));
                return vec![
                    format!(
                        "give it a remote and files of its own: `export \
                         CCSYNC_HOME=\"$HOME/.ccsync{name}\"`, then `ccsync init --remote URL`"
                    ),
                    format!(
                        "if it is the only one here, because it was moved or CLAUDE_CONFIG_DIR is \
                         always set, run once: `ccsync config set client_dir {other}`"
                    ),
                ];
            }
            Self::Home { .. } => "set the variable HOME to your own directory".to_owned(),
            Self::Serialise(_) => please_report(),
        };
        vec![hint]
    }
}

/// Returns the part of a directory's name that tells it from `.claude`: `-work`.
fn profile_name(directory: &Path) -> String {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_start_matches('.').trim_start_matches("claude");
    let plain: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();
    match plain.trim_start_matches('-') {
        "" => "-2".to_owned(),
        plain => format!("-{plain}"),
    }
}

/// Returns hints to replace an unreadable file. The machine gets a new id; nothing
/// depends on the former one.
fn replace_file(path: &Path) -> Vec<String> {
    vec![
        format!(
            "correct the file, or move it away with `{}`",
            move_aside_command(path)
        ),
        "then set this machine up again with `ccsync init --remote URL`".to_owned(),
    ]
}
