//! Values for updates of remote references by compare-and-swap, and the errors.
//!
//! Must not run anything.

use std::fmt;
use std::path::Path;

use super::failure;
use super::porcelain::GitVersion;
use crate::domain::{CommitId, ErrorKind, UserError, error::please_report, shell::shell_word};
use crate::sys::{
    Interrupted, failure::FIX_GIT_CONFIG, failure::is_full, failure::is_of_configuration,
    process::ProcessError,
};

/// Oldest tested `git`: that of Ubuntu 22.04.
pub const OLDEST_GIT: GitVersion = GitVersion {
    major: 2,
    minor: 34,
};

/// Update of one reference, with its expected value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name: `refs/heads/main`.
    pub name: String,
    /// New value; `None` deletes it. An object of the local repository, not necessarily a
    /// descendant of `expected`. If equal to `expected`, the value is checked only when
    /// the push begins; to be safe until its end, change it.
    pub new: Option<CommitId>,
    /// Expected current value; `None`: it must not exist.
    pub expected: Option<CommitId>,
}

/// Result of a push that reached the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// All references have the requested values. Also if they had them before, whatever
    /// was expected: a push with a lost answer can be repeated.
    Done,
    /// A reference had another value, or another process was changing it: fetch, merge,
    /// retry. Nothing was changed now; but an earlier try with a lost answer may have
    /// succeeded, and the remote then contains `new`.
    Refused {
        /// Git's message with the reference.
        reason: String,
    },
}

/// Error of a remote. Contains the messages of git and the server, without secrets and
/// control characters.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No answer, or no repository at the address.
    #[error("{why} {remote}")]
    Unreachable {
        /// The remote, without secrets.
        remote: String,
        /// The missing part.
        why: Missing,
        /// Git's message.
        #[source]
        message: GitMessage,
    },
    /// Authentication failed, or the host key is unknown.
    #[error("access denied by {remote}")]
    Denied {
        /// The remote, without secrets.
        remote: String,
        /// Git's message.
        #[source]
        message: GitMessage,
    },
    /// Rejected by the server: a hook, a protected branch, a secret or a size limit.
    #[error("{remote} rejected the push: {reason}")]
    Rejected {
        /// The remote, without secrets.
        remote: String,
        /// The server's reason in short.
        reason: String,
        /// The whole message of the server.
        #[source]
        message: GitMessage,
    },
    /// `git` is not installed.
    #[error("no program `git` on the PATH")]
    GitMissing,
    /// `git` is too old.
    #[error("git {found} is too old: ccsync needs {need} or later")]
    GitTooOld {
        /// The version found.
        found: GitVersion,
        /// [`OLDEST_GIT`]
        need: GitVersion,
    },
    /// A name that git could read as an option. A bug in ccsync.
    #[error("invalid reference name `{}`", name.escape_debug())]
    InvalidRef {
        /// The name.
        name: String,
    },
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The remote's answer cannot be parsed.
    #[error("cannot parse the answer of {remote}: {what}")]
    Garbled {
        /// The remote, without secrets.
        remote: String,
        /// The unexpected part.
        what: String,
        /// Git's message.
        #[source]
        message: GitMessage,
    },
    /// The remote refused so many parts that the rest waits for the next command.
    #[error("the remote refused too many parts of this push")]
    TooManyPushes,
    /// `git` failed for another reason.
    #[error("`git {command}` failed ({status})")]
    Failed {
        /// The git command: `fetch`, `push`, `ls-remote`.
        command: &'static str,
        /// Its exit status.
        status: String,
        /// Git's message.
        #[source]
        message: GitMessage,
    },
    /// The remote answered, but its data cannot be used.
    #[error(transparent)]
    Data(Box<dyn UserError>),
    /// The user works offline.
    #[error("the remote is not contacted: `--offline`")]
    NotAsked,
    /// `git` could not be started.
    #[error("cannot run git")]
    Process(#[source] ProcessError),
}

impl RemoteError {
    /// Returns true if a later retry may succeed by itself.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable {
                why: Missing::Connection | Missing::Answer,
                ..
            }
        )
    }

    /// Returns the error with the first line of git's message.
    pub fn in_one_line(&self) -> String {
        let text = self.message().map(GitMessage::as_str).unwrap_or_default();
        match text.lines().map(str::trim).find(|line| !line.is_empty()) {
            Some(line) => format!("{self}: {line}"),
            None => self.to_string(),
        }
    }

    /// Returns true if a rule of the server forbids the push.
    pub fn is_rejection(&self) -> bool {
        matches!(self, Self::Rejected { .. })
    }

    /// Returns true if git reports damage of this machine's own store.
    pub fn is_store_damage(&self) -> bool {
        self.message()
            .is_some_and(|message| failure::is_store_damage(message.as_str()))
    }

    /// Returns the message of git and the server.
    pub fn message(&self) -> Option<&GitMessage> {
        match self {
            Self::Unreachable { message, .. }
            | Self::Denied { message, .. }
            | Self::Rejected { message, .. }
            | Self::Garbled { message, .. }
            | Self::Failed { message, .. } => Some(message),
            Self::GitMissing
            | Self::GitTooOld { .. }
            | Self::InvalidRef { .. }
            | Self::TooManyPushes
            | Self::Data(_)
            | Self::NotAsked
            | Self::Interrupted(_)
            | Self::Process(_) => None,
        }
    }
}

/// Names of objects of git.
pub struct ObjectNames(pub(super) std::collections::BTreeSet<String>);

/// The missing part of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The network or a working server.
    Connection,
    /// An answer in time.
    Answer,
    /// A repository at the address, or access to it: hosting services do not say which.
    Repository,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "cannot reach",
            Self::Answer => "no answer from",
            Self::Repository => "repository not found or access denied:",
        })
    }
}

/// The standard error of a git command, safe to show: no secrets, no control characters,
/// no progress, no advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitMessage(String);

impl std::error::Error for GitMessage {}

impl fmt::Display for GitMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "git gave no reason"
        } else {
            &self.0
        })
    }
}

impl GitMessage {
    /// Cleans what git wrote; secrets must have been removed before.
    pub fn new(redacted: &str) -> Self {
        let lines = redacted
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty() && !is_noise(line));
        let shown: Vec<_> = lines.map(without_control_characters).collect();
        Self(shown.join("\n"))
    }

    /// Returns the text, which may be empty.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the server's own lines.
    pub fn by_server(&self) -> impl Iterator<Item = &str> {
        self.0
            .lines()
            .filter_map(|line| line.strip_prefix("remote:"))
            .map(str::trim)
            .filter(|line| !line.is_empty())
    }
}

/// Returns true for advice on git commands, the repeated address, and finished progress.
fn is_noise(line: &str) -> bool {
    let text = line.strip_prefix("remote:").unwrap_or(line).trim_start();
    text.is_empty()
        || ["hint:", "From ", "Total ", "Delta compression using "]
            .iter()
            .any(|noise| text.starts_with(noise))
        || super::porcelain::parse_progress(line).is_some()
}

fn without_control_characters(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

impl UserError for RemoteError {
    fn kind(&self) -> ErrorKind {
        match self {
            _ if self.is_store_damage() => ErrorKind::DamagedStore,
            Self::Unreachable { .. }
            | Self::Denied { .. }
            | Self::Rejected { .. }
            | Self::Garbled { .. }
            | Self::TooManyPushes
            | Self::NotAsked
            | Self::Failed { .. } => ErrorKind::Remote,
            Self::GitMissing | Self::GitTooOld { .. } | Self::Process(_) => ErrorKind::Failed,
            Self::InvalidRef { .. } => ErrorKind::Internal,
            Self::Data(e) => e.kind(),
            Self::Interrupted(e) => e.kind(),
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unreachable { .. } if self.is_transient() => {
                "nothing is lost; when the network is back, run `ccsync sync`".to_owned()
            }
            Self::Unreachable { remote, .. } => {
                let other = "use another remote with `ccsync init --remote URL`".to_owned();
                return vec![check_access(remote), other];
            }
            Self::Denied { remote, .. } => check_access(remote),
            Self::Rejected { message, .. } if message.as_str().contains("checked out branch") => {
                "the repository is not bare: create a bare one with `git init --bare`, then run `ccsync init --remote URL`"
                    .to_owned()
            }
            Self::Rejected { .. } => {
                "allow pushes to the remote's branch `main`, then run `ccsync push`".to_owned()
            }
            Self::GitMissing | Self::GitTooOld { .. } => {
                format!("install git {OLDEST_GIT} or later: https://git-scm.com/downloads")
            }
            Self::TooManyPushes => "run `ccsync push` again to send the rest".to_owned(),
            Self::NotAsked => "nothing is lost; when you are online, run `ccsync sync`".to_owned(),
            Self::InvalidRef { .. } => please_report(),
            Self::Interrupted(e) => return e.hints(),
            Self::Data(e) => return e.hints(),
            Self::Failed { message, .. } if is_of_configuration(message.as_str()) => {
                FIX_GIT_CONFIG.to_owned()
            }
            Self::Failed { message, .. } if is_full(message.as_str()) => {
                "make room, then run the command again; see what is full with `df -h` and `df -i`"
                    .to_owned()
            }
            Self::Garbled { .. } | Self::Failed { .. } => {
                "if it fails again, check `git --version` and `ccsync --version`".to_owned()
            }
            Self::Process(_) => "check git with `git --version`".to_owned(),
        };
        vec![hint]
    }
}

/// The hint to try a remote with git alone.
pub(super) fn check_access(remote: &str) -> String {
    let remote = shell_word(Path::new(remote));
    format!("check access with `git ls-remote {remote}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_git_message_is_sanitized() {
        let message = GitMessage::new(
            "hint: try this\nremote: \nremote: Resolving deltas: 100% (1/1), done.        \n\
             remote: error: \u{1b}[31mGH001\u{1b}[0m: Large files        \nWriting objects:  50% (1/2)\nfatal: no\n\n",
        );
        assert_eq!(
            message.as_str(),
            "remote: error: \u{fffd}[31mGH001\u{fffd}[0m: Large files\nfatal: no"
        );
        assert_eq!(message.by_server().count(), 1);
        assert_eq!(GitMessage::new("").to_string(), "git gave no reason");
    }
}
