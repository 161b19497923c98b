//! How a working tree differs from what a session last saw.

use std::path::Path;
use std::time::Duration;

use super::facts::read;
use crate::domain::id::CommitId;
use crate::domain::project::{BranchName, ProjectGit};
use crate::transport::local_git;

/// A person waits for the answer, and can do without it.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// A working tree beside what a session last saw of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingTree {
    /// What is checked out.
    pub commit: Option<CommitId>,
    /// The branch that is checked out; `None` if the head is detached.
    pub branch: Option<BranchName>,
    /// What was checked out when the session was stored.
    pub last_seen: Option<CommitId>,
    /// How many files have uncommitted changes, untracked ones included; `None` if git did not say so in time.
    pub uncommitted: Option<usize>,
}

impl WorkingTree {
    /// What the session last saw and what is here, where both are known and differ.
    pub fn commit_differs(&self) -> Option<(&CommitId, &CommitId)> {
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
        let commit = self.commit_differs().map(|(then, now)| {
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

/// How the working tree at `directory` differs from what is `recorded`. `None` if there is none or it cannot be read. Takes at
/// most two seconds.
pub fn difference(directory: &Path, recorded: &ProjectGit) -> Option<WorkingTree> {
    let here = read(directory)?;
    Some(WorkingTree {
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
    // It would write the index, which somebody may be waiting for.
    let out = git
        .env("GIT_OPTIONAL_LOCKS", "0")
        .silence_limit(TIMEOUT)
        .run()
        .ok()?;
    out.status
        .success()
        .then(|| out.stdout.iter().filter(|byte| **byte == 0).count())
}
