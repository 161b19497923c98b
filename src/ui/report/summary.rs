//! The last lines of a report: counts that add up, reasons, and the remote.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::report::{Outcome, RemoteState, Report, SessionReport};
use crate::ui::{
    format::bytes, format::count, format::duration, sanitize, style::ATTENTION, style::paint,
};

/// Sessions that are not pulled or excluded, by outcome and reason.
type ByReason<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a SessionReport>>;

fn by_reason(report: &Report) -> ByReason<'_> {
    let mut by_reason = ByReason::new();
    for session in &report.sessions {
        let key = match &session.outcome {
            Outcome::NotPulled { reason } => ("not pulled", reason.as_str()),
            Outcome::Excluded { reason, .. } => ("excluded", reason.as_str()),
            _ => continue,
        };
        by_reason.entry(key).or_default().push(session);
    }
    by_reason
}

/// Returns one line per reason for sessions that are not pulled or excluded, if it was not `shown`
/// of the same sessions before.
pub(super) fn not_pulled(report: &Report, shown: &BTreeSet<u64>) -> Vec<String> {
    let by_reason = by_reason(report).into_iter();
    by_reason
        .filter(|(key, sessions)| !shown.contains(&fingerprint(&(key, ids(sessions)))))
        .map(|((what, reason), sessions)| reason_line(what, reason, &sessions))
        .collect()
}

/// Returns the fingerprints of the lines of [`not_pulled`].
pub(super) fn reasons(report: &Report) -> Vec<u64> {
    let by_reason = by_reason(report).into_iter();
    by_reason
        .map(|(key, sessions)| fingerprint(&(key, ids(&sessions))))
        .collect()
}

fn ids<'a>(sessions: &[&'a SessionReport]) -> BTreeSet<&'a str> {
    sessions.iter().map(|s| s.session.as_str()).collect()
}

/// Returns a number that differs if the values differ, for a cache.
pub(super) fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn reason_line(what: &str, reason: &str, sessions: &[&SessionReport]) -> String {
    let who = match sessions {
        [one] => format!("session {}", one.session),
        many => count(many.len() as u64, "session"),
    };
    let stored = |s: &&&SessionReport| matches!(s.outcome, Outcome::Excluded { stored: true, .. });
    let kept = match (sessions.iter().filter(stored).count(), sessions.len()) {
        (0, _) => String::new(),
        (all, total) if all == total => " (the store keeps what it has)".to_owned(),
        (some, _) => format!(" (the store keeps what it has of {some})"),
    };
    format!("{what}: {who}{kept}: {}", sanitize::one_line(reason))
}

/// Returns the lines on excluded sessions, for commands that do not list them otherwise.
pub(crate) fn excluded(sessions: &[SessionReport]) -> Vec<String> {
    let report = Report {
        sessions: sessions.to_vec(),
        ..Report::default()
    };
    not_pulled(&report, &BTreeSet::new())
}

/// Returns the line on sessions that were deleted here, if any.
pub(crate) fn deleted(sessions: u64, all: bool) -> Option<String> {
    let number = count(sessions, "session");
    match (sessions, all) {
        (0, _) => None,
        (_, false) => Some(format!(
            "deleted here: {number}, still in the store: ccsync pull --all"
        )),
        (_, true) => {
            let line = format!(
                "no session is left here; the store has {number} of this machine: ccsync pull --all"
            );
            Some(paint(ATTENTION, &line))
        }
    }
}

/// Returns the summary, with the sums on a line of their own if they do not fit into `width`.
pub(super) fn summary_lines(command: &str, report: &Report, width: usize) -> Vec<String> {
    let mut line = summary(command, report);
    let Some(totals) = totals(report) else {
        return vec![line];
    };
    if line.chars().count() + 1 + totals.chars().count() > width {
        return vec![line, totals];
    }
    line.push(' ');
    line.push_str(&totals);
    vec![line]
}

fn summary(command: &str, report: &Report) -> String {
    let all = [
        (
            report.count(|o| matches!(o, Outcome::Added { .. })),
            "added",
        ),
        (
            report.count(|o| matches!(o, Outcome::Extended { .. })),
            "extended",
        ),
        (
            report.count(|o| matches!(o, Outcome::Forked { .. })),
            "forked",
        ),
        (report.count(|o| matches!(o, Outcome::Ahead)), "ahead"),
        (report.count(|o| matches!(o, Outcome::Behind)), "behind"),
        (
            report.count(|o| matches!(o, Outcome::NotPulled { .. })),
            "not pulled",
        ),
        (
            report.count(|o| matches!(o, Outcome::Excluded { .. })),
            "excluded",
        ),
        (
            report.count(|o| matches!(o, Outcome::Skipped { .. })),
            "skipped",
        ),
        (report.unchanged, "unchanged"),
    ];
    let counts: Vec<String> = all
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    let what = match (report.total(), report.sessions.is_empty()) {
        (0, _) => "no sessions found".to_owned(),
        (total, true) => format!("up to date ({})", count(total, "session")),
        (total, false) => format!("{}: {}", count(total, "session"), counts.join(", ")),
    };
    let command = if report.dry_run {
        format!("{command} (dry run, nothing was done)")
    } else {
        command.to_owned()
    };
    format!(
        "{command}: {what}{}",
        remote(&report.remote, report.dry_run)
    )
}

/// Returns the sums of a report in which something was stored.
fn totals(report: &Report) -> Option<String> {
    let mut sessions = report.sessions.iter();
    let totals = report.totals?;
    sessions
        .any(|session| session.outcome.is_stored())
        .then(|| {
            format!(
                "({}, {} in {})",
                count(totals.turns, "turn"),
                bytes(totals.bytes),
                duration(Duration::from_millis(totals.duration_ms))
            )
        })
}

/// Returns the state of the remote, as the end of a sentence.
pub(crate) fn remote(state: &RemoteState, dry_run: bool) -> String {
    match state {
        RemoteState::NotContacted if dry_run => String::new(),
        RemoteState::NotContacted => "; nothing to push".to_owned(),
        RemoteState::UpToDate {
            commit: Some(commit),
        } => format!("; on the remote as {}", commit.short()),
        RemoteState::SavedOnDisk {
            commit: Some(commit),
        } => format!("; saved on this disk as {}", commit.short()),
        RemoteState::SavedOnDisk { commit: None } => "; nothing is saved yet".to_owned(),
        RemoteState::UpToDate { commit: None } => "; the remote is empty".to_owned(),
        RemoteState::Queued { commits: 0, .. } => "; the remote was not reached".to_owned(),
        RemoteState::Queued { commits, .. } => {
            format!(
                "; queued: {} not sent yet, the next command sends {}",
                count(*commits, "commit"),
                pronoun(*commits)
            )
        }
        RemoteState::Refused { commits: 0, .. } => "; refused by the remote".to_owned(),
        RemoteState::Refused { commits, .. } => format!(
            "; refused by the remote: {} {} here",
            count(*commits, "commit"),
            if *commits == 1 { "stays" } else { "stay" }
        ),
    }
}

pub(super) fn pronoun(n: u64) -> &'static str {
    if n == 1 { "it" } else { "them" }
}

/// Returns what the remote refused, with all that it said.
pub(super) fn refusals(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for refusal in &report.refusals {
        let sessions = refusal.sessions.iter().map(ToString::to_string);
        let what: Vec<String> = sessions.chain(refusal.extras.iter().cloned()).collect();
        let what = sanitize::one_line(&what.join(", ")).into_owned();
        lines.push(paint(ATTENTION, &format!("refused by the remote: {what}")));
        let message = sanitize::lines(refusal.message.trim());
        lines.extend(message.lines().map(|line| format!("  {line}")));
    }
    lines
}

/// Returns the number of omitted items and the command that shows them.
pub(crate) fn at_most_of(more: u64, noun: &str, command: &str) -> String {
    format!("… and {}: {command}", count(more, noun))
}

/// Returns the reason why commits are not on the remote, if any.
pub(crate) fn queue_reason(state: &RemoteState) -> Option<String> {
    let (RemoteState::Queued { reason, .. } | RemoteState::Refused { reason, .. }) = state else {
        return None;
    };
    let reason = sanitize::lines(reason.trim());
    let why = format!("not sent: {}", reason.replace('\n', "\n  "));
    (!reason.is_empty()).then(|| paint(ATTENTION, &why))
}
