//! The difference between a working tree and the checkout that a session last saw.

use std::path::Path;
use std::time::Duration;

use super::facts::read;
use crate::domain::{CommitId, ProjectGit, project::BranchName};
use crate::transport::local_git;

/// Time limit for `git status`: the user waits for the answer, which is not essential.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// A working tree and the checkout that a session last saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutDifference {
    /// The commit that is checked out.
    pub commit: Option<CommitId>,
    /// The branch that is checked out; `None` if the head is detached.
    pub branch: Option<BranchName>,
    /// The commit that was checked out when the session was stored.
    pub last_seen: Option<CommitId>,
    /// The number of files with uncommitted changes, untracked ones included; `None` if git did
    /// not answer in time.
    pub uncommitted: Option<usize>,
}

impl CheckoutDifference {
    /// Returns the commit that the session last saw and the present one, if they differ.
    pub fn changed_commit(&self) -> Option<(&CommitId, &CommitId)> {
        self.last_seen
            .as_ref()
            .zip(self.commit.as_ref())
            .filter(|(then, now)| then != now)
    }

    /// The difference in one line, unsanitised; `None` if there is nothing to tell.
    pub fn describe(&self) -> Option<String> {
        let branch = self
            .branch
            .as_ref()
            .map(|branch| format!(" ({branch})"))
            .unwrap_or_default();
        let commit = self.changed_commit().map(|(then, now)| {
            format!(
                "the working tree is at {}{branch}, the session last saw {}",
                now.short(),
                then.short()
            )
        });
        let files = match self.uncommitted {
            None | Some(0) => None,
            Some(1) => Some("1 file with uncommitted changes".to_owned()),
            Some(several) => Some(format!("{several} files with uncommitted changes")),
        };
        match (commit, files) {
            (Some(commit), Some(files)) => Some(format!("{commit}; {files}")),
            (Some(commit), None) => Some(commit),
            (None, files) => files,
        }
    }
}

/// Compares the working tree at `directory` with the `recorded` facts; `None` if it is missing or
/// unreadable. Takes at most two seconds.
pub fn difference(directory: &Path, recorded: &ProjectGit) -> Option<CheckoutDifference> {
    let here = read(directory)?;
    Some(CheckoutDifference {
        commit: here.commit,
        branch: here.branch,
        last_seen: recorded.commit.clone(),
        uncommitted: uncommitted(directory),
    })
}

fn uncommitted(directory: &Path) -> Option<usize> {
    let options = [
        "--porcelain",
        "-z",
        "--untracked-files=normal",
        "--ignore-submodules=all",
        "--no-renames",
    ];
    let git = local_git()
        .current_dir(directory)
        .args(["-c", "core.fsmonitor="])
        .arg("status")
        .args(options);
    // Without this, git locks the index, which another program may need.
    let out = git
        .env("GIT_OPTIONAL_LOCKS", "0")
        .silence_limit(TIMEOUT)
        .run()
        .ok()?;
    out.status
        .success()
        .then(|| out.stdout.iter().filter(|byte| **byte == 0).count())
}
