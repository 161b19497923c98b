//! The last line of `ccsync status`: everything that is not in sync, counted. It says
//! "nothing" only if there is nothing at all.

use chrono::{DateTime, Utc};

use crate::browse::status::Status;
use crate::report::{BundleReport, ExtraOutcome};
use crate::ui::{format::age, format::count};

pub(super) fn summary(status: &Status, now: DateTime<Utc>) -> String {
    let pending = &status.pending;
    let (push, pull) = (&status.extras_to_push, &status.extras_to_pull);
    let extras =
        |kind: fn(&ExtraOutcome) -> bool| count_files(push, kind) + count_files(pull, kind);
    let live_locks = status.locks.len();
    let parts = [
        part(pending.to_push.len(), "session", "to push"),
        part(status.copies.len(), "copied session", "to push"),
        part(count_files(push, is_moved), "extra", "to push"),
        part(pending.to_pull.len(), "session", "to pull"),
        part(count_files(pull, is_moved), "extra", "to pull"),
        part(extras(is_to_approve), "extra", "to approve"),
        part(extras(is_conflict), "conflict", "to edit"),
        number(status.queued_commits, "commit", "queued"),
        number(status.unmerged_commits, "commit", "to merge"),
        part(pending.skipped.len(), "session", "skipped"),
        part(status.skipped_files.len(), "file", "skipped"),
        part(extras(is_skipped), "extra", "skipped"),
        part(live_locks, "session", "locked"),
        part(status.lost_locks.len(), "lock", "lost"),
        part(status.damaged_locks.len(), "lock file", "unreadable"),
        part(pending.not_pulled.len(), "session", "not pulled"),
        number(status.deleted, "session", "deleted here"),
        part(pending.excluded.len(), "session", "excluded"),
        part(extras(is_excluded), "extra", "excluded"),
        number(status.unread_notes, "note", "unread"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let what = match parts.is_empty() {
        true => "nothing to push or pull".to_owned(),
        false => parts.join(", "),
    };
    format!("status: {what}{}", picture(status, now))
}

/// Says how old the knowledge of the remote is.
fn picture(status: &Status, now: DateTime<Utc>) -> String {
    match status.fetched {
        _ if status.embedded => String::new(),
        Some(time) => format!("; remote as of {}", age(time, now)),
        None => "; remote not fetched yet".to_owned(),
    }
}

fn part(n: usize, thing: &str, what: &str) -> Option<String> {
    number(n as u64, thing, what)
}

fn number(n: u64, thing: &str, what: &str) -> Option<String> {
    (n > 0).then(|| format!("{} {what}", count(n, thing)))
}

fn count_files(bundles: &[BundleReport], kind: fn(&ExtraOutcome) -> bool) -> usize {
    let files = bundles.iter().flat_map(|bundle| &bundle.files);
    files.filter(|file| kind(&file.outcome)).count()
}

fn is_moved(outcome: &ExtraOutcome) -> bool {
    matches!(
        outcome,
        ExtraOutcome::Pushed
            | ExtraOutcome::Pulled
            | ExtraOutcome::Merged
            | ExtraOutcome::Restored
            | ExtraOutcome::Removed
    )
}

fn is_to_approve(outcome: &ExtraOutcome) -> bool {
    matches!(outcome, ExtraOutcome::NeedsApproval { .. })
}

fn is_conflict(outcome: &ExtraOutcome) -> bool {
    matches!(outcome, ExtraOutcome::Conflict)
}

fn is_skipped(outcome: &ExtraOutcome) -> bool {
    matches!(outcome, ExtraOutcome::Skipped { .. })
}

fn is_excluded(outcome: &ExtraOutcome) -> bool {
    matches!(outcome, ExtraOutcome::Excluded { .. })
}
