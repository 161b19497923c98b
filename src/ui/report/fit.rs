//! Selects the sessions that are shown when the screen has no room for all: first those
//! that need attention, then the newest.

use std::collections::BTreeSet;

use dialoguer::console::measure_text_width;

use super::sessions::{grouped, needs_attention};
use crate::report::SessionReport;
use crate::ui::{format::count, output::Screen, style::ATTENTION, style::paint};

/// Returns the number of screen lines; the terminal wraps a line that is too long.
pub(super) fn rows(lines: &[String], width: usize) -> usize {
    let wrapped = |line: &str| measure_text_width(line).div_ceil(width.max(1)).max(1);
    lines
        .iter()
        .flat_map(|line| line.split('\n'))
        .map(wrapped)
        .sum()
}

/// Returns the first `max` lines (at least one), and a line that counts the remaining
/// `things`.
pub(crate) fn at_most(mut lines: Vec<String>, max: usize, things: &str) -> Vec<String> {
    let max = max.max(2);
    if lines.len() > max {
        let more = lines.len() - (max - 1);
        lines.truncate(max - 1);
        lines.push(paint(
            ATTENTION,
            &format!("… and {more} more {things} (all of them: --json)"),
        ));
    }
    lines
}

/// Returns as many sessions as the screen has room for, and the number of the others. If
/// all fit, keeps the order of the report.
pub(super) fn fitting(sessions: &[&SessionReport], dry_run: bool, screen: Screen) -> Vec<String> {
    if sessions.len() <= screen.height {
        let all = grouped(sessions, dry_run, screen.width);
        if rows(&all, screen.width) <= screen.height {
            return all;
        }
    }
    let sorted = by_importance(sessions);
    let mut shown = sorted.len().saturating_sub(1).min(screen.height);
    loop {
        let mut lines = in_groups(&sorted[..shown], dry_run, screen.width);
        lines.push(others(&sorted[shown..]));
        if shown == 0 || rows(&lines, screen.width) <= screen.height {
            return lines;
        }
        shown -= 1;
    }
}

fn by_importance<'a>(sessions: &[&'a SessionReport]) -> Vec<&'a SessionReport> {
    let mut sorted = sessions.to_vec();
    sorted.sort_by(|a, b| {
        let key = |s: &'a SessionReport| (needs_attention(s), s.last_activity.as_deref());
        key(b).cmp(&key(a))
    });
    sorted
}

/// Groups sessions by project: first those that need attention, then the others. A group
/// is placed where its first session is.
fn in_groups(sessions: &[&SessionReport], dry_run: bool, width: usize) -> Vec<String> {
    let first_of = |wanted: &SessionReport| {
        let same = |s: &&SessionReport| {
            s.project == wanted.project && needs_attention(s) == needs_attention(wanted)
        };
        sessions.iter().position(same)
    };
    let mut together = sessions.to_vec();
    together.sort_by_key(|session| first_of(session));
    grouped(&together, dry_run, width)
}

fn others(sessions: &[&SessionReport]) -> String {
    let projects: BTreeSet<_> = sessions
        .iter()
        .map(|session| session.project.as_deref())
        .collect();
    let attention = sessions
        .iter()
        .filter(|session| needs_attention(session))
        .count();
    let line = format!(
        "… and {} in {}",
        count(sessions.len() as u64, "more session"),
        count(projects.len() as u64, "project")
    );
    if attention == 0 {
        return format!("{line} (--json names all)");
    }
    paint(
        ATTENTION,
        &format!("{line}, {attention} of them need attention (--json names all)"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::transfer::Outcome;

    fn session(n: usize, project: &str, outcome: Outcome) -> SessionReport {
        SessionReport {
            project: Some(project.to_owned()),
            title: Some(format!("title {n}")),
            last_activity: Some(format!("2026-03-{:02}T00:00:00Z", n % 28 + 1)),
            ..SessionReport::new(format!("{n:08}-a").parse().unwrap(), outcome)
        }
    }

    fn shown(sessions: &[SessionReport], height: usize) -> String {
        let all: Vec<&SessionReport> = sessions.iter().collect();
        let lines = fitting(&all, false, Screen { width: 60, height });
        assert!(rows(&lines, 60) <= height.max(2), "{lines:#?}");
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    #[test]
    fn report_fit_shows_attention_first_then_newest() {
        let mut sessions: Vec<_> = (0..20)
            .map(|n| {
                session(
                    n,
                    &format!("/p{}", n % 3),
                    Outcome::Added { lines: 1, bytes: 9 },
                )
            })
            .collect();
        sessions.push(session(
            0,
            "/p9",
            Outcome::Skipped {
                reason: "cannot read it".to_owned(),
            },
        ));
        insta::assert_snapshot!(shown(&sessions, 12));
        for height in 0..60 {
            shown(&sessions, height);
        }
    }

    #[test]
    fn report_fit_counts_every_hidden_problem() {
        let skipped = |n| {
            session(
                n,
                "/p",
                Outcome::Skipped {
                    reason: "cannot read it".to_owned(),
                },
            )
        };
        let sessions: Vec<_> = (0..20).map(skipped).collect();
        insta::assert_snapshot!(shown(&sessions, 6));
        insta::assert_snapshot!(shown(&sessions, 0));
    }
}
