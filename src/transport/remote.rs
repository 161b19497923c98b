//! What is asked of a remote and what it answers: references that move only by compare-and-swap.
//!
//! Owns these values and the errors. Must not run anything.

use std::fmt;

use crate::domain::id::CommitId;
use crate::sys::process::ProcessError;
use crate::sys::signal::Interrupted;

use super::porcelain::GitVersion;

/// The oldest `git` that is tested: that of Ubuntu 22.04.
pub const OLDEST_GIT: GitVersion = GitVersion {
    major: 2,
    minor: 34,
};

/// One reference to move, with what it must be before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name: `refs/heads/main`.
    pub name: String,
    /// What it is to become; `None` deletes it. An object of the local repository, not necessarily a descendant of
    /// `expected`: the expectation alone protects what is there. Equal to `expected`, it only asks that the reference
    /// be so when the push begins; to be sure until its end, move it.
    pub new: Option<CommitId>,
    /// What it must be now; `None`: it must not exist.
    pub expected: Option<CommitId>,
}

/// What became of a push that reached the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// All references are as asked. Also if they already were, whatever was expected: after an answer that got lost,
    /// the same push can simply be repeated.
    Done,
    /// A reference was not as expected, or somebody else was changing it: fetch, merge, try again. Nothing was changed
    /// now; but if the answer to an earlier try was lost, that one may have gone through, and the remote then contains
    /// `new`.
    Refused {
        /// In git's words, with the reference.
        reason: String,
    },
}

/// Why the remote did not do as asked. Each carries what git and the server said, without secrets and control
/// characters.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody answered, or there is no repository at the address.
    #[error("{why} {remote}")]
    Unreachable {
        /// The remote, without secrets.
        remote: String,
        /// What is missing.
        why: Missing,
        /// What git said.
        #[source]
        said: GitSaid,
    },
    /// The server does not know the user, or we do not know the server.
    #[error("{remote} denied access")]
    Denied {
        /// The remote, without secrets.
        remote: String,
        /// What git said.
        #[source]
        said: GitSaid,
    },
    /// The server has a rule against it: a hook, a protected branch, a secret or a size it does not accept.
    #[error("{remote} refused the push: {reason}")]
    Rejected {
        /// The remote, without secrets.
        remote: String,
        /// The server's reason in short.
        reason: String,
        /// All of what the server said.
        #[source]
        said: GitSaid,
    },
    /// There is no `git`.
    #[error("`git` was not found on the PATH")]
    GitMissing,
    /// There is a `git`, but it is too old.
    #[error("git {found} is too old: ccsync needs {need} or later")]
    GitTooOld {
        /// The version found.
        found: GitVersion,
        /// [`OLDEST_GIT`]
        need: GitVersion,
    },
    /// A name that git or its options could read as something else. A mistake of ours.
    #[error("`{}` is not the full name of a reference", name.escape_debug())]
    InvalidRef {
        /// The name.
        name: String,
    },
    /// The user interrupted.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The remote's answer makes no sense to us.
    #[error("cannot understand the answer of {remote}: {what}")]
    Garbled {
        /// The remote, without secrets.
        remote: String,
        /// What was unexpected.
        what: String,
        /// What git said.
        #[source]
        said: GitSaid,
    },
    /// `git` failed for a reason that none of the above names.
    #[error("`git {command}` failed ({status})")]
    Failed {
        /// The git command: `fetch`, `push`, `ls-remote`.
        command: &'static str,
        /// How it ended.
        status: String,
        /// What git said.
        #[source]
        said: GitSaid,
    },
    /// `git` could not be started.
    #[error("cannot run git")]
    Process(#[source] ProcessError),
}

impl RemoteError {
    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable {
                why: Missing::Connection | Missing::Answer,
                ..
            }
        )
    }

    /// What git and the server said.
    pub fn said(&self) -> Option<&GitSaid> {
        match self {
            Self::Unreachable { said, .. }
            | Self::Denied { said, .. }
            | Self::Rejected { said, .. }
            | Self::Garbled { said, .. }
            | Self::Failed { said, .. } => Some(said),
            Self::GitMissing
            | Self::GitTooOld { .. }
            | Self::InvalidRef { .. }
            | Self::Interrupted(_)
            | Self::Process(_) => None,
        }
    }
}

/// What is missing between us and a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The network, or a server that works.
    Connection,
    /// An answer: there is a connection, or the attempt of one, and nothing comes.
    Answer,
    /// A repository at the address, or the right to see it: hosting services do not say which.
    Repository,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "cannot reach",
            Self::Answer => "no answer from",
            Self::Repository => "there is no repository to be seen at",
        })
    }
}

/// The standard error of a git command, safe to show: no secrets, no control characters, no progress, no advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSaid(String);

impl std::error::Error for GitSaid {}

impl fmt::Display for GitSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "git gave no reason"
        } else {
            &self.0
        })
    }
}

impl GitSaid {
    /// Cleans what git wrote; secrets must have been removed before.
    pub fn new(redacted: &str) -> Self {
        let lines = redacted
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty() && !is_noise(line));
        let shown: Vec<_> = lines.map(without_control_characters).collect();
        Self(shown.join("\n"))
    }

    /// The text; empty if nothing was said.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the server said for people, without git's own words.
    pub fn by_server(&self) -> impl Iterator<Item = &str> {
        self.0
            .lines()
            .filter_map(|line| line.strip_prefix("remote:"))
            .map(str::trim)
            .filter(|line| !line.is_empty())
    }
}

/// Advice for somebody who types git commands, the address once more, and finished progress.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_git_message_is_sanitized() {
        let said = GitSaid::new(
            "hint: try this\nremote: \nremote: Resolving deltas: 100% (1/1), done.        \n\
             remote: error: \u{1b}[31mGH001\u{1b}[0m: Large files        \nWriting objects:  50% (1/2)\nfatal: no\n\n",
        );
        assert_eq!(
            said.as_str(),
            "remote: error: \u{fffd}[31mGH001\u{fffd}[0m: Large files\nfatal: no"
        );
        assert_eq!(said.by_server().count(), 1);
        assert_eq!(GitSaid::new("").to_string(), "git gave no reason");
    }
}
