//! Text of `ccsync status`.

use chrono::{DateTime, Utc};

use super::summary::summary;
use crate::browse::status::Status;
use crate::cli::command::lock::holder;
use crate::domain::CommitId;
use crate::leasing::LockView;
use crate::lock::LockRecord;
use crate::report::SessionReport;
use crate::ui::{
    ATTENTION, Cell, HEADING, QUIET, Table, extras, format::age, format::project, format::short_id,
    report::deleted, report::details, report::excluded, report::outcome, report::skipped_file,
    report::title, sanitize::one_line, style::paint,
};

pub(super) fn lines(status: &Status, now: DateTime<Utc>, width: usize) -> Vec<String> {
    let pending = &status.pending;
    let mut lines = facts(status, now).lines(width);
    lines.extend(sessions("to push", &pending.to_push, width));
    lines.extend(sessions("copies to push", &status.copies, width));
    lines.extend(sessions("to pull", &pending.to_pull, width));
    lines.extend(sessions("skipped", &pending.skipped, width));
    lines.extend(status.skipped_files.iter().map(skipped_file));
    lines.extend(excluded(&pending.not_pulled));
    lines.extend(excluded(&pending.excluded));
    lines.extend(deleted(status.deleted, status.sessions_here == 0));
    for (heading, bundles) in [
        ("extras to push", &status.extras_to_push),
        ("extras to pull", &status.extras_to_pull),
    ] {
        let files: Vec<String> = bundles
            .iter()
            .flat_map(|bundle| extras::lines(bundle, true, false))
            .collect();
        if !files.is_empty() {
            lines.push(paint(HEADING, heading));
            lines.extend(files.into_iter().map(|line| format!("  {line}")));
        }
    }
    let attention = |text: String| paint(ATTENTION, &one_line(&text));
    let damaged = status.damaged_locks.iter();
    lines.extend(damaged.map(|why| attention(format!("cannot read a lock file: {why}"))));
    let unreached = status.unreached.iter();
    lines.extend(unreached.map(|why| attention(format!("the remote was not reached: {why}"))));
    lines.push(summary(status, now));
    lines
}

fn facts(status: &Status, now: DateTime<Utc>) -> Table {
    let when =
        |time: Option<DateTime<Utc>>| time.map_or_else(|| "never".to_owned(), |t| age(t, now));
    let mut table = Table::new(2, 1);
    let mut fact =
        |name: &str, value: &str| table.row([Cell::new(name), Cell::new(one_line(value))]);
    fact("machine", &status.machine);
    let encrypted = if status.encrypted { " (encrypted)" } else { "" };
    if status.embedded {
        fact("remote", &format!("{} (on this disk only)", status.remote));
    } else {
        fact("remote", &format!("{}{encrypted}", status.remote));
        fact("fetched", &when(status.fetched));
    }
    fact("store", &status.store.to_string_lossy());
    fact(
        "commit",
        status
            .head
            .as_ref()
            .map_or("the store is empty", CommitId::short),
    );
    fact("last push", &when(status.last_push));
    fact("sessions", &session_counts(status));
    for session in &status.running {
        fact("running", session.as_str());
    }
    for lock in &status.locks {
        fact("locked", &locked(lock, now));
    }
    for (session, reason) in &status.lost_locks {
        fact("lost", &format!("{session}, {reason}"));
    }
    for (name, last_push) in &status.machines {
        fact("other", &format!("{name}, last push {}", when(*last_push)));
    }
    table
}

fn session_counts(status: &Status) -> String {
    let not_here = match status.sessions_not_here {
        0 => String::new(),
        n => format!(", {n} of them not here"),
    };
    format!(
        "{} here, {} in the store{not_here}",
        status.sessions_here, status.sessions_in_store
    )
}

/// Describes a lock: whose it is, and whether its holder is at work.
fn locked(lock: &LockView, now: DateTime<Utc>) -> String {
    let renewed = |record: &LockRecord| age(record.renewed, now);
    let session = &lock.session;
    match lock.record() {
        None => format!("{session}, the lock is unreadable: `ccsync lock show`"),
        Some(_) if lock.is_own() && lock.running.is_none() => {
            format!("{session} by this machine, its process has ended: `ccsync recover`")
        }
        Some(record) => format!(
            "{session} by {}, heartbeat {}",
            holder(lock),
            renewed(record)
        ),
    }
}

fn sessions(heading: &str, sessions: &[SessionReport], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    if !sessions.is_empty() {
        lines.push(paint(HEADING, heading));
    }
    let mut table = Table::new(2, 1);
    for session in sessions {
        let (what, style) = outcome(&session.outcome, true);
        let project = session.project.as_deref().map(project).unwrap_or_default();
        table.row([
            Cell::new(short_id(session.session.as_str())).style(QUIET),
            Cell::new(title(session.title.as_deref())),
            Cell::new(what).style(style),
            Cell::new(project),
        ]);
    }
    for (session, line) in sessions.iter().zip(table.lines(width)) {
        lines.push(line);
        let details = details(session, true).into_iter();
        lines.extend(details.map(|detail| format!("            {detail}")));
    }
    lines
}
