//! The part of the report of `ccsync verify` on the remote.

use super::painted::{attention, hint};
use crate::domain::CommitId;
use crate::report::RemoteStatus;
use crate::ui::format::count;

/// Returns the difference between the remote and the store, and the command that resolves it.
pub(super) fn lines(status: &RemoteStatus) -> Vec<String> {
    let (what, command) = match status {
        RemoteStatus::UpToDate { .. } | RemoteStatus::SavedOnDisk { .. } => return Vec::new(),
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
            let at = commit.as_ref().map_or("is empty", CommitId::short);
            let at = if commit.is_some() {
                format!("went back to {at}")
            } else {
                at.to_owned()
            };
            (
                format!("the remote {at}: it has lost commits, {missing} missing"),
                "ccsync push",
            )
        }
        RemoteStatus::NotReached { reason, .. } => {
            (format!("cannot reach the remote: {reason}"), "")
        }
    };
    let mut lines = vec![attention(&what)];
    lines.extend((!command.is_empty()).then(|| hint(command)));
    lines
}
