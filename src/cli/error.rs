//! An error as the user sees it: message, causes, hints and exit code.
//!
//! Must not know the hints for errors of other folders: they give them themselves.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use crate::config::SettingKey;
use crate::domain::{
    ErrorKind, PlaceholderName, ProjectPattern, UserError, error::please_report, shell::shell_word,
};
use crate::sys::set_aside::move_aside_command;
use crate::ui::{Output, output::ErrorText, sanitize};

/// Error of a command.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: ErrorKind,
    source: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
    needs_history_choice: bool,
}

/// Errors of the commands themselves.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("cannot write to standard output")]
    Stdout(#[source] io::Error),
    #[error("cannot ask on this terminal")]
    Terminal(#[source] io::Error),
    #[error("cancelled")]
    Cancelled,
    /// The user answered no. The text says what stays as it is.
    #[error("{0}")]
    Declined(String),
    #[error("{action} needs confirmation, and there is no terminal to ask on")]
    ConfirmationNeeded { action: String, flag: &'static str },
    #[error("the passphrases differ")]
    PassphrasesDiffer,
    #[error("`{0}` is a commit; a time is needed")]
    NotATime(String),
    #[error("cannot find the current directory")]
    CurrentDir(#[source] io::Error),
    #[error("cannot write `{0}` to the configuration: it is not Unicode")]
    NotUnicode(String),
    #[error("{} is not set", .0.name())]
    Unset(SettingKey),
    #[error("no pattern `{0}` on the list")]
    NoSuchPattern(ProjectPattern),
    #[error("setting `{}` is the same in all projects", .0.name())]
    NotPerProject(SettingKey),
    #[error("no placeholder `{0}` on this machine")]
    NoPlaceholder(PlaceholderName),
    #[error("no directory `{}` on this machine for a placeholder", .0.display())]
    NoPlaceholderDirectory(PathBuf),
    #[error("no sessions to import at ~/.claude-session-sync/repo")]
    NothingToImport,
    #[error("cannot create a directory for the demo")]
    Stage(#[source] io::Error),
    #[error("the demo failed: {0}")]
    Story(String),
}

impl UserError for CommandError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Cancelled => ErrorKind::Interrupted,
            Self::Declined(_) => ErrorKind::Declined,
            Self::ConfirmationNeeded { .. }
            | Self::NotATime(_)
            | Self::NoPlaceholderDirectory(_)
            | Self::NothingToImport => ErrorKind::Usage,
            _ => ErrorKind::Failed,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Terminal(_) => {
                "give every answer as an option; see `ccsync init --help`".to_owned()
            }
            Self::ConfirmationNeeded { flag, .. } => {
                format!("to confirm, run the command again with `{flag}`")
            }
            Self::PassphrasesDiffer => "type it again: `ccsync key passphrase`".to_owned(),
            Self::NotATime(_) => "give a time such as `2026-11-20` or `30d`".to_owned(),
            Self::CurrentDir(_) => "change to a directory that exists: `cd`".to_owned(),
            Self::NotPerProject(_) => "run the command without `--project`".to_owned(),
            Self::Unset(key) => format!("set it with `ccsync config set {} VALUE`", key.name()),
            Self::NoSuchPattern(_) | Self::NoPlaceholder(_) => {
                "see the settings with `ccsync config show`".to_owned()
            }
            Self::NoPlaceholderDirectory(directory) => {
                return vec![
                    format!("create it with `mkdir -p {}`", shell_word(directory)),
                    "to use it without, run the command again with `--yes`".to_owned(),
                ];
            }
            Self::NothingToImport => {
                "name the directory or git repository: `ccsync import PATH|URL`".to_owned()
            }
            Self::Story(_) => please_report(),
            Self::NotUnicode(_) => "rename it, or choose another directory".to_owned(),
            Self::Stdout(_) | Self::Cancelled | Self::Declined(_) | Self::Stage(_) => {
                return Vec::new();
            }
        };
        vec![hint]
    }
}

impl<E: UserError> From<E> for CliError {
    fn from(error: E) -> Self {
        Self {
            kind: error.kind(),
            hints: error.hints(),
            needs_history_choice: error.needs_history_choice(),
            source: Box::new(error),
        }
    }
}

impl CliError {
    /// Returns the error for a bug in this program.
    pub(crate) fn internal(source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            kind: ErrorKind::Internal,
            source: Box::new(source),
            hints: vec![please_report()],
            needs_history_choice: false,
        }
    }

    /// Replaces the hints, if the caller knows better ones.
    pub(crate) fn with_hints(self, hints: Vec<String>) -> Self {
        Self { hints, ..self }
    }

    /// Adds a hint.
    pub(crate) fn with_hint(mut self, hint: &str) -> Self {
        self.hints.push(hint.to_owned());
        self
    }

    /// Adds the hints for replacing a damaged store. Data that is only in it can be
    /// imported from the place it is moved to.
    pub(crate) fn about_store(self, store: &Path) -> Self {
        if self.kind != ErrorKind::DamagedStore {
            return self;
        }
        let move_aside = move_aside_command(store);
        self.with_hints(vec![
            format!("move the damaged store away with `{move_aside}`"),
            "then fetch it again with `ccsync sync`".to_owned(),
        ])
    }

    /// Returns the exit code.
    pub(crate) fn exit(&self) -> Exit {
        Exit::from_error(self.kind)
    }

    /// Returns true if local work can continue, because only the remote failed.
    pub(crate) fn is_remote_trouble(&self) -> bool {
        self.kind == ErrorKind::Remote
    }

    /// Returns true if the user must decide about a new history of the remote first.
    pub(crate) fn needs_history_choice(&self) -> bool {
        self.needs_history_choice
    }

    /// Returns true if the user interrupted.
    pub(crate) fn is_interruption(&self) -> bool {
        self.kind == ErrorKind::Interrupted
    }

    /// Returns the message, in one line.
    pub(crate) fn message(&self) -> String {
        sanitize::one_line(&self.source.to_string()).into_owned()
    }

    /// Prints the message, its causes and its hints.
    pub(crate) fn show(&self, out: &mut Output) {
        if !out.is_json() {
            match self.source.downcast_ref() {
                // The user who cancelled needs no message.
                Some(CommandError::Cancelled) => return,
                // An answer is no error.
                Some(CommandError::Declined(_)) => return out.note(&self.message()),
                _ => {}
            }
        }
        out.error(&ErrorText {
            kind: self.kind,
            message: sanitize::lines(&self.source.to_string()),
            causes: causes(self.source.as_ref()),
            hints: self
                .hints
                .iter()
                .map(|hint| sanitize::lines(hint))
                .collect(),
            exit_code: self.exit().code(),
        });
    }
}

/// Returns the causes, the outermost first, without empty and repeated ones.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = Vec::new();
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = sanitize::lines(cause.to_string().trim());
        if !text.is_empty() && text != last {
            causes.push(text.clone());
        }
        last = text;
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests;
