//! A whole report, cut to one screen.

use std::collections::BTreeSet;

use crate::report::{Outcome, RemoteState, Report, SessionReport, SkippedFile};
use crate::ui::report::fit::{self, fitting};
use crate::ui::{
    extras, extras::is_staying, output::Screen, report::sessions::needs_attention,
    report::summary::deleted, report::summary::fingerprint, report::summary::not_pulled,
    report::summary::queue_reason, report::summary::reasons, report::summary::refusals,
    report::summary::summary_lines, sanitize, style::ATTENTION, style::paint,
};

/// Returns the lines of a report of `command`, without the `former` notices. If
/// `quiet`, only those that need attention.
pub(crate) fn lines(
    command: &str,
    report: &Report,
    screen: Screen,
    quiet: bool,
    former: &BTreeSet<u64>,
) -> Vec<String> {
    let is_listed = |s: &SessionReport| {
        matches!(
            s.outcome,
            Outcome::NotPulled { .. } | Outcome::Excluded { .. }
        )
    };
    let by_reason = |s: &SessionReport| is_listed(s) && s.warnings.is_empty();
    let shown = |s: &&SessionReport| !by_reason(s) && (!quiet || needs_attention(s));
    let sessions: Vec<&SessionReport> = report.sessions.iter().filter(shown).collect();
    let mut after = Vec::new();
    if !quiet {
        after.extend(fit::at_most(
            not_pulled(report, former),
            screen.height / 4,
            "reasons why sessions are not pulled",
        ));
    }
    after.extend(
        deleted(report.deleted, report.deleted_all).filter(|_| !quiet || report.deleted_all),
    );
    let extras: Vec<String> = report
        .extras
        .iter()
        .flat_map(|bundle| extras::lines(bundle, report.dry_run, quiet))
        .filter(|line| !(is_staying(line) && former.contains(&fingerprint(line))))
        .collect();
    after.extend(fit::at_most(extras, screen.height / 3, "lines on extras"));
    let skipped_files = report.skipped_files.iter().map(skipped_file).collect();
    after.extend(fit::at_most(
        skipped_files,
        screen.height / 4,
        "skipped files",
    ));
    after.extend(
        report
            .warnings
            .iter()
            .map(|warning| paint(ATTENTION, &sanitize::one_line(warning))),
    );
    let is_queued = matches!(
        report.remote,
        RemoteState::Queued { .. } | RemoteState::Refused { .. }
    );
    after.extend(refusals(report));
    if quiet && sessions.is_empty() && after.is_empty() && !is_queued {
        return Vec::new();
    }
    after.extend(summary_lines(command, report, screen.width));
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

/// Returns the fingerprints of what a report says in every run until a setting or a session
/// changes.
pub(crate) fn notices(report: &Report) -> BTreeSet<u64> {
    let extras = report.extras.iter();
    let lines = extras.flat_map(|bundle| extras::lines(bundle, report.dry_run, false));
    let staying = lines.filter(|line| is_staying(line));
    let staying = staying.map(|line| fingerprint(&line));
    staying.chain(reasons(report)).collect()
}

/// Returns the line on a file that is not synced.
pub(crate) fn skipped_file(file: &SkippedFile) -> String {
    let line = format!(
        "skipped file: {}: {}",
        sanitize::one_line(&file.path),
        sanitize::one_line(&file.reason)
    );
    paint(ATTENTION, &line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::transfer::MachineName;

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
        let screen = Screen { width: 78, height };
        let text = lines("push", report, screen, quiet, &BTreeSet::new()).join("\n");
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
        noted
            .warnings
            .push("one line is stored verbatim".to_owned());
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
            "push: up to date (2 sessions); nothing to push"
        );
        assert_eq!(
            shown(&Report::default(), false),
            "push: no sessions found; nothing to push"
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
