//! The part of the report of `ccsync verify` on the remote.

use crate::report::verification::RemoteStatus;
use crate::ui::format::count;

/// Returns the difference between the remote and the store, if any, and the command that
/// resolves it, which may be empty.
pub(super) fn difference(status: &RemoteStatus) -> Option<(String, &'static str)> {
    Some(match status {
        RemoteStatus::UpToDate { .. } => return None,
        RemoteStatus::Behind { commits, .. } => (
            format!(
                "the remote is missing {} of the store",
                count(*commits, "commit")
            ),
            "ccsync push",
        ),
        RemoteStatus::Ahead { commit, commits: 0 } => (
            format!(
                "the remote is at {}, which is not fetched yet",
                commit.short()
            ),
            "ccsync pull",
        ),
        RemoteStatus::Ahead { commit, commits } => {
            let missing = count(*commits, "commit");
            (
                format!(
                    "the remote is at {}, which is not fetched yet, and is missing {missing}",
                    commit.short()
                ),
                "ccsync sync",
            )
        }
        RemoteStatus::Lost { commit, commits } => {
            let missing = count(*commits, "commit");
            let at = match commit {
                Some(commit) => format!("went back to {}", commit.short()),
                None => "is empty".to_owned(),
            };
            (
                format!("the remote {at}: it has lost commits, {missing} missing"),
                "ccsync push",
            )
        }
        RemoteStatus::NotReached { reason, .. } => {
            (format!("cannot reach the remote: {reason}"), "")
        }
    })
}
