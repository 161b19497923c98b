//! JSON document of `ccsync status`.

use serde::Serialize;

use crate::browse::status::Status;
use crate::cli::command::lock::{LockRow, row};
use crate::domain::{CommitId, SessionId};
use crate::report::{BundleReport, SessionReport, SkippedFile};
use crate::ui::json;

/// JSON document.
#[derive(Serialize)]
pub(super) struct StatusDocument<'a> {
    machine: &'a str,
    /// Without passwords and tokens.
    remote: &'a str,
    /// The remote is the repository on this disk that is used until another one is configured.
    embedded: bool,
    /// The remote sees no text, path or name.
    encrypted: bool,
    /// When the remote was as described here; null: it was never reached.
    fetched: Option<String>,
    /// Why the remote could not be asked now.
    unreached: Option<&'a str>,
    store: String,
    /// Newest commit of the store.
    head: Option<&'a CommitId>,
    /// Commits that are not on the remote yet.
    queued_commits: u64,
    /// Fetched commits that are not merged yet.
    unmerged_commits: u64,
    last_push: Option<String>,
    sessions_here: u64,
    sessions_in_store: u64,
    /// Sessions in the store whose files are not on this machine.
    sessions_not_here: u64,
    /// Sessions that were deleted from this machine and stay in the store.
    deleted: u64,
    to_push: &'a [SessionReport],
    to_pull: &'a [SessionReport],
    /// Copies of sessions with lines of their own.
    copies_to_push: &'a [SessionReport],
    /// Sessions that a pull leaves in the store.
    not_pulled: &'a [SessionReport],
    /// Sessions that the settings exclude.
    excluded: &'a [SessionReport],
    /// Sessions that a problem keeps from being synced.
    skipped: &'a [SessionReport],
    skipped_files: &'a [SkippedFile],
    extras_to_push: &'a [BundleReport],
    extras_to_pull: &'a [BundleReport],
    /// Locks of this machine, and those of others that have not expired.
    locks: Vec<LockRow<'a>>,
    lost_locks: Vec<LostLock<'a>>,
    /// Files of this machine that cannot be read.
    damaged_locks: &'a [String],
    unread_notes: u64,
    /// Sessions that are open in Claude Code on this machine.
    running: &'a [SessionId],
    machines: Vec<OtherMachine<'a>>,
}

#[derive(Serialize)]
struct LostLock<'a> {
    session: &'a SessionId,
    /// How another machine got it.
    reason: &'a str,
}

#[derive(Serialize)]
struct OtherMachine<'a> {
    name: &'a str,
    last_push: Option<String>,
}

pub(super) fn document(status: &Status) -> StatusDocument<'_> {
    let machines = status
        .machines
        .iter()
        .map(|(name, last_push)| OtherMachine {
            name,
            last_push: last_push.map(json::time),
        });
    let lost = status
        .lost_locks
        .iter()
        .map(|(session, reason)| LostLock { session, reason });
    StatusDocument {
        machine: &status.machine,
        remote: &status.remote,
        embedded: status.embedded,
        encrypted: status.encrypted,
        fetched: status.fetched.map(json::time),
        unreached: status.unreached.as_deref(),
        store: status.store.to_string_lossy().into_owned(),
        head: status.head.as_ref(),
        queued_commits: status.queued_commits,
        unmerged_commits: status.unmerged_commits,
        last_push: status.last_push.map(json::time),
        sessions_here: status.sessions_here,
        sessions_in_store: status.sessions_in_store,
        sessions_not_here: status.sessions_not_here,
        deleted: status.deleted,
        to_push: &status.pending.to_push,
        to_pull: &status.pending.to_pull,
        copies_to_push: &status.copies,
        not_pulled: &status.pending.not_pulled,
        excluded: &status.pending.excluded,
        skipped: &status.pending.skipped,
        skipped_files: &status.skipped_files,
        extras_to_push: &status.extras_to_push,
        extras_to_pull: &status.extras_to_pull,
        locks: status.locks.iter().map(row).collect(),
        lost_locks: lost.collect(),
        damaged_locks: &status.damaged_locks,
        unread_notes: status.unread_notes,
        running: &status.running,
        machines: machines.collect(),
    }
}
