//! How a [`Report`] reads: sessions grouped by project, one aligned line each, then one line whose counts add up. It fills one screen at
//! most; what needs a look is never left out without a word.

use std::collections::BTreeMap;

use anstyle::Style;

pub(crate) use self::fit::at_most;
use self::fit::fitting;
use crate::report::transfer::{
    MachineName, Outcome, RemoteState, Report, SessionReport, SkippedFile,
};
use crate::ui::extras;
use crate::ui::format::{bytes, count, project, short_id};
use crate::ui::output::Screen;
use crate::ui::sanitize;
use crate::ui::style::{ATTENTION, GOOD, HEADING, QUIET, paint};
use crate::ui::table::{Cell, Table, cut};

mod fit;

/// The column of titles, which gives way on narrow screens.
const TITLE: usize = 1;
const NO_PROJECT: &str = "(no project)";

/// The lines that tell what `command` did, or with `--dry-run` would do. `quiet` keeps what needs attention.
pub(crate) fn lines(command: &str, report: &Report, screen: Screen, quiet: bool) -> Vec<String> {
    let is_listed = |s: &SessionReport| {
        matches!(
            s.outcome,
            Outcome::NotPulled { .. } | Outcome::Excluded { .. }
        )
    };
    let by_reason = |s: &SessionReport| is_listed(s) && s.notes.is_empty();
    let shown = |s: &&SessionReport| !by_reason(s) && (!quiet || needs_attention(s));
    let sessions: Vec<&SessionReport> = report.sessions.iter().filter(shown).collect();
    let mut after = Vec::new();
    if !quiet {
        after.extend(fit::at_most(
            listed(report),
            screen.height / 4,
            "reasons for which sessions are left in the store",
        ));
    }
    let extras: Vec<String> = report
        .extras
        .iter()
        .flat_map(|bundle| extras::lines(bundle, report.dry_run, quiet))
        .collect();
    after.extend(fit::at_most(
        extras,
        screen.height / 3,
        "lines about extras",
    ));
    let not_taken = report.skipped_files.iter().map(passed_over).collect();
    after.extend(fit::at_most(
        not_taken,
        screen.height / 4,
        "files that were not taken",
    ));
    after.extend(
        report
            .warnings
            .iter()
            .map(|remark| paint(ATTENTION, &sanitize::one_line(remark))),
    );
    let is_queued = matches!(report.remote, RemoteState::Queued { .. });
    if quiet && sessions.is_empty() && after.is_empty() && !is_queued {
        return Vec::new();
    }
    after.push(summary(command, report));
    after.extend(queue_reason(&report.remote));
    let room = screen
        .height
        .saturating_sub(1 + fit::rows(&after, screen.width));
    let mut lines = fitting(
        &sessions,
        report.dry_run,
        Screen {
            height: room,
            ..screen
        },
    );
    lines.extend(after);
    lines
}

fn passed_over(file: &SkippedFile) -> String {
    let line = format!(
        "not taken: {}: {}",
        sanitize::one_line(&file.path),
        sanitize::one_line(&file.reason)
    );
    paint(ATTENTION, &line)
}

fn needs_attention(session: &SessionReport) -> bool {
    !session.notes.is_empty()
        || matches!(
            session.outcome,
            Outcome::Forked { .. } | Outcome::Skipped { .. }
        )
}

/// The sessions under their projects, in the order of the report.
fn grouped(sessions: &[&SessionReport], dry_run: bool, width: usize) -> Vec<String> {
    let mut table = Table::new(2, TITLE);
    for session in sessions {
        table.row(row(session, dry_run));
    }
    let mut lines = Vec::new();
    let mut group = None;
    for (session, line) in sessions.iter().zip(table.lines(width)) {
        let here = session
            .project
            .as_deref()
            .map_or_else(|| NO_PROJECT.to_owned(), project);
        if group.as_ref() != Some(&here) {
            lines.push(paint(HEADING, &here));
            group = Some(here);
        }
        lines.push(line);
        lines.extend(
            details(session, dry_run)
                .into_iter()
                .map(|detail| format!("            {detail}")),
        );
    }
    lines
}

fn row(session: &SessionReport, dry_run: bool) -> Vec<Cell> {
    let (what, style) = outcome(&session.outcome, dry_run);
    let mut cells = vec![
        Cell::new(short_id(session.session.as_str())).style(QUIET),
        Cell::new(title(session.title.as_deref())),
        Cell::new(what).style(style),
    ];
    match &session.outcome {
        Outcome::Added { lines, bytes: size } => {
            cells.extend([turns(session, ""), Cell::right(count(*lines, "line"))]);
            cells.push(origin(session).unwrap_or_else(|| Cell::right(bytes(*size))));
        }
        Outcome::Extended { lines, bytes: size } => {
            let lines = if *lines > 0 {
                format!("+{}", count(*lines, "line"))
            } else {
                String::new()
            };
            cells.extend([turns(session, "+"), Cell::right(lines)]);
            cells
                .push(origin(session).unwrap_or_else(|| Cell::right(format!("+{}", bytes(*size)))));
        }
        _ => {}
    }
    cells
}

/// How many turns came; nothing where no line came.
fn turns(session: &SessionReport, sign: &str) -> Cell {
    let turns = session.turns.filter(|turns| *turns > 0);
    Cell::right(
        turns
            .map(|turns| format!("{sign}{}", count(turns, "turn")))
            .unwrap_or_default(),
    )
}

/// Who wrote what came from elsewhere.
fn origin(session: &SessionReport) -> Option<Cell> {
    /// More are not named.
    const NAMED: usize = 2;
    let names: Vec<String> = session.machines.iter().take(NAMED).map(machine).collect();
    let more = session.machines.len().saturating_sub(NAMED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    (!names.is_empty()).then(|| Cell::new(format!("from {}{more}", names.join(", "))))
}

/// A machine by its name, or by the beginning of its id where nobody knows that.
pub(crate) fn machine(machine: &MachineName) -> String {
    /// More of a name is not shown.
    const LONGEST_NAME: usize = 24;
    let name = machine
        .name
        .as_deref()
        .filter(|name| !name.trim().is_empty());
    let name = name.unwrap_or_else(|| short_id(machine.id.as_str()));
    cut(sanitize::one_line(name).trim(), LONGEST_NAME).into_owned()
}

/// A title as one safe line; sessions without one say so.
pub(crate) fn title(title: Option<&str>) -> String {
    let clean = sanitize::one_line(title.unwrap_or_default());
    if clean.trim().is_empty() {
        "(no title)".to_owned()
    } else {
        clean.trim().to_owned()
    }
}

/// What happened in a word or two, and how it is painted.
pub(crate) fn outcome(outcome: &Outcome, would: bool) -> (&'static str, Style) {
    match (outcome, would) {
        (Outcome::Added { .. }, false) => ("added", GOOD),
        (Outcome::Added { .. }, true) => ("would be added", GOOD),
        (Outcome::Extended { .. }, false) => ("extended", GOOD),
        (Outcome::Extended { .. }, true) => ("would be extended", GOOD),
        (Outcome::Forked { .. }, false) => ("forked", ATTENTION),
        (Outcome::Forked { .. }, true) => ("would be forked", ATTENTION),
        (Outcome::Ahead, _) => ("ahead", QUIET),
        (Outcome::Behind, _) => ("behind", QUIET),
        (Outcome::NotPulled { .. }, _) => ("left in the store", QUIET),
        (Outcome::Excluded { .. }, _) => ("left out", QUIET),
        (Outcome::Skipped { .. }, false) => ("skipped", ATTENTION),
        (Outcome::Skipped { .. }, true) => ("would be skipped", ATTENTION),
    }
}

fn details(session: &SessionReport, dry_run: bool) -> Vec<String> {
    let mut details = match &session.outcome {
        Outcome::Forked { fork, lines } => {
            let gets = if dry_run { "would get" } else { "has" };
            let turns = session.turns.filter(|turns| *turns > 0);
            let turns = turns
                .map(|turns| format!(", {}", count(turns, "new turn")))
                .unwrap_or_default();
            vec![
                format!("{} keeps what the store has", session.session),
                format!(
                    "{fork} {gets} this machine's {}{turns}",
                    count(*lines, "line")
                ),
            ]
        }
        Outcome::Skipped { reason } => vec![sanitize::one_line(reason).into_owned()],
        Outcome::Ahead => vec!["`ccsync push` sends the rest".to_owned()],
        Outcome::Behind => vec!["`ccsync pull` brings the rest".to_owned()],
        Outcome::Added { .. }
        | Outcome::Extended { .. }
        | Outcome::NotPulled { .. }
        | Outcome::Excluded { .. } => Vec::new(),
    };
    details.extend(
        session
            .notes
            .iter()
            .map(|note| format!("note: {}", sanitize::one_line(note))),
    );
    details
}

/// Sessions left in the store or left out, one line per reason: there may be thousands of them.
fn listed(report: &Report) -> Vec<String> {
    let mut by_reason: BTreeMap<(&str, &str), Vec<&SessionReport>> = BTreeMap::new();
    for session in &report.sessions {
        let key = match &session.outcome {
            Outcome::NotPulled { reason } => ("left in the store", reason.as_str()),
            Outcome::Excluded { reason, .. } => ("left out", reason.as_str()),
            _ => continue,
        };
        by_reason.entry(key).or_default().push(session);
    }
    by_reason
        .into_iter()
        .map(|((what, reason), sessions)| reason_line(what, reason, &sessions))
        .collect()
}

fn reason_line(what: &str, reason: &str, sessions: &[&SessionReport]) -> String {
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

/// The line on what the settings leave out, for commands that do not list it otherwise.
pub(crate) fn left_out(sessions: &[SessionReport]) -> Vec<String> {
    listed(&Report {
        sessions: sessions.to_vec(),
        ..Report::default()
    })
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
            "left in the store",
        ),
        (
            report.count(|o| matches!(o, Outcome::Excluded { .. })),
            "left out",
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
        (total, true) => format!("nothing to do for {}", count(total, "session")),
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

/// What became of the remote, as the end of a sentence.
pub(crate) fn remote(state: &RemoteState, dry_run: bool) -> String {
    match state {
        RemoteState::NotContacted if dry_run => String::new(),
        RemoteState::NotContacted => "; nothing waits to be sent".to_owned(),
        RemoteState::UpToDate {
            commit: Some(commit),
        } => format!("; on the remote as {}", commit.short()),
        RemoteState::UpToDate { commit: None } => "; the remote is empty".to_owned(),
        RemoteState::Queued { commits: 0, .. } => "; the remote was not reached".to_owned(),
        RemoteState::Queued { commits, .. } => {
            format!(
                "; queued: {} here, the next command sends {}",
                count(*commits, "commit"),
                pronoun(*commits)
            )
        }
    }
}

fn pronoun(n: u64) -> &'static str {
    if n == 1 { "it" } else { "them" }
}

/// How many others there are, and what shows them.
pub(crate) fn at_most_of(more: u64, noun: &str, command: &str) -> String {
    format!("… and {}: {command}", count(more, noun))
}

/// Why something is not on the remote, where that is so.
pub(crate) fn queue_reason(state: &RemoteState) -> Option<String> {
    let RemoteState::Queued { reason, .. } = state else {
        return None;
    };
    let reason = sanitize::lines(reason.trim());
    let why = format!("not on the remote: {}", reason.replace('\n', "\n  "));
    (!reason.is_empty()).then(|| paint(ATTENTION, &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, project: Option<&str>, title: &str, outcome: Outcome) -> SessionReport {
        SessionReport {
            project: project.map(str::to_owned),
            title: Some(title.to_owned()),
            ..SessionReport::new(id.parse().unwrap(), outcome)
        }
    }

    fn shown(report: &Report, quiet: bool) -> String {
        on_screen(report, 40, quiet)
    }

    fn on_screen(report: &Report, height: usize, quiet: bool) -> String {
        let text = lines("push", report, Screen { width: 78, height }, quiet).join("\n");
        anstream::adapter::strip_str(&text).to_string()
    }

    fn everything() -> Report {
        let app = Some("{{HOME}}/work/app");
        let fork = "9ab00000-0000-4000-8000-000000000009".parse().unwrap();
        let mut noted = session(
            "22222222-a",
            app,
            "parser",
            Outcome::Extended {
                lines: 3,
                bytes: 1200,
            },
        );
        noted.notes.push("one line is stored verbatim".to_owned());
        Report {
            sessions: vec![
                session(
                    "11111111-a",
                    app,
                    "fix the login form\u{1b}[2J",
                    Outcome::Added {
                        lines: 128,
                        bytes: 41_300,
                    },
                ),
                noted,
                session(
                    "33333333-a",
                    app,
                    "two tails",
                    Outcome::Forked { fork, lines: 4 },
                ),
                session(
                    "44444444-a",
                    Some("{{WORK}}/lib"),
                    "a title that is far too long for a line of this width, so it is cut",
                    Outcome::Ahead,
                ),
                session(
                    "55555555-a",
                    None,
                    " ",
                    Outcome::Skipped {
                        reason: "cannot read it".to_owned(),
                    },
                ),
                session(
                    "66666666-a",
                    None,
                    "old",
                    Outcome::NotPulled {
                        reason: "older than 30 days".to_owned(),
                    },
                ),
                session(
                    "77777777-a",
                    None,
                    "older",
                    Outcome::NotPulled {
                        reason: "older than 30 days".to_owned(),
                    },
                ),
                session(
                    "88888888-a",
                    None,
                    "",
                    Outcome::Excluded {
                        reason: "`~/x` is excluded".to_owned(),
                        stored: true,
                    },
                ),
                session(
                    "99999999-a",
                    None,
                    "",
                    Outcome::Excluded {
                        reason: "`~/x` is excluded".to_owned(),
                        stored: false,
                    },
                ),
            ],
            unchanged: 5,
            dry_run: false,
            remote: RemoteState::UpToDate {
                commit: Some("1a2b3c4d5e".repeat(4).parse().unwrap()),
            },
            ..Report::default()
        }
    }

    #[test]
    fn report_text_groups_sessions_and_counts_add_up() {
        insta::assert_snapshot!(shown(&everything(), false));
    }

    #[test]
    fn report_quiet_keeps_what_needs_attention() {
        insta::assert_snapshot!(shown(&everything(), true));
        assert_eq!(
            shown(
                &Report {
                    unchanged: 2,
                    ..Report::default()
                },
                true
            ),
            ""
        );
    }

    #[test]
    fn report_nothing_to_do_is_one_line() {
        assert_eq!(
            shown(
                &Report {
                    unchanged: 2,
                    ..Report::default()
                },
                false
            ),
            "push: nothing to do for 2 sessions; nothing waits to be sent"
        );
        assert_eq!(
            shown(&Report::default(), false),
            "push: no sessions found; nothing waits to be sent"
        );
    }

    #[test]
    fn report_queued_push_names_reason_and_next_step() {
        let remote = RemoteState::Queued {
            commits: 1,
            reason: "fatal: no route\nto host".to_owned(),
        };
        let sessions = vec![session(
            "11111111-a",
            None,
            "x",
            Outcome::Added { lines: 1, bytes: 9 },
        )];
        insta::assert_snapshot!(shown(
            &Report {
                sessions,
                remote,
                ..Report::default()
            },
            false
        ));
    }

    #[test]
    fn report_pulled_session_names_turns_and_machines() {
        let named = |name: Option<&str>| MachineName {
            id: "ab".repeat(16).parse().unwrap(),
            name: name.map(str::to_owned),
        };
        let from = |machines: &[Option<&str>], turns, outcome| SessionReport {
            machines: machines.iter().map(|name| named(*name)).collect(),
            turns: Some(turns),
            ..session("11111111-a", None, "x", outcome)
        };
        let sessions = vec![
            from(
                &[Some("laptop")],
                1,
                Outcome::Added {
                    lines: 4,
                    bytes: 900,
                },
            ),
            from(
                &[Some("desk\u{1b}[2J"), None, Some("x")],
                12,
                Outcome::Extended {
                    lines: 128,
                    bytes: 9,
                },
            ),
            from(&[], 0, Outcome::Extended { lines: 0, bytes: 9 }),
        ];
        insta::assert_snapshot!(shown(
            &Report {
                sessions,
                ..Report::default()
            },
            false
        ));
    }

    #[test]
    fn report_dry_run_uses_conditional() {
        let report = Report {
            dry_run: true,
            remote: RemoteState::NotContacted,
            ..everything()
        };
        insta::assert_snapshot!(shown(&report, false));
    }
}
