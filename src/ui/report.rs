//! How a [`Report`] reads: sessions grouped by project, one aligned line each, then one line whose counts add up.

use std::collections::BTreeMap;

use anstyle::Style;

use crate::sync::report::{Outcome, PassedOver, ProseOutcome, RemoteState, Report, SessionReport, ShelfReport};
use crate::ui::format::{bytes, count, project, short_id};
use crate::ui::sanitize;
use crate::ui::style::{ATTENTION, GOOD, HEADING, QUIET, paint};
use crate::ui::table::{Cell, Table};

/// The column of titles, which gives way on narrow screens.
const TITLE: usize = 1;
const NO_PROJECT: &str = "(no project)";

/// The lines that tell what `command` did, or with `--dry-run` would do. `quiet` keeps what needs attention.
pub(crate) fn lines(command: &str, report: &Report, width: usize, quiet: bool) -> Vec<String> {
    let shown = |s: &&SessionReport| !matches!(s.outcome, Outcome::Listed { .. }) && (!quiet || needs_attention(s));
    let sessions: Vec<&SessionReport> = report.sessions.iter().filter(shown).collect();
    let mut lines = grouped(&sessions, report.dry_run, width);
    let beside: Vec<String> = report.beside.iter().flat_map(|shelf| beside(shelf, report.dry_run, quiet)).collect();
    if quiet
        && lines.is_empty()
        && beside.is_empty()
        && report.passed_over.is_empty()
        && !matches!(report.remote, RemoteState::Queued { .. })
    {
        return lines;
    }
    if !quiet {
        lines.extend(listed(report));
    }
    lines.extend(beside);
    lines.extend(report.passed_over.iter().map(passed_over));
    lines.push(summary(command, report));
    lines.extend(queue_reason(report));
    lines
}

fn passed_over(file: &PassedOver) -> String {
    let line = format!("not taken: {}: {}", sanitize::one_line(&file.path), sanitize::one_line(&file.reason));
    paint(ATTENTION, &line)
}

/// What happened to the files of one owner: a line for what was done, and one for each file that needs a look.
pub(crate) fn beside(shelf: &ShelfReport, dry_run: bool, quiet: bool) -> Vec<String> {
    let whose = shelf.project.as_deref().map_or_else(|| "beside sessions".to_owned(), memory_of);
    let named = |kind: fn(&ProseOutcome) -> bool| -> Vec<String> {
        let files = shelf.files.iter().filter(|file| kind(&file.outcome));
        files.map(|file| sanitize::one_line(&file.name).into_owned()).collect()
    };
    let done = [
        (named(|o| matches!(o, ProseOutcome::Sent)), "sent"),
        (named(|o| matches!(o, ProseOutcome::Brought)), "brought"),
        (named(|o| matches!(o, ProseOutcome::Merged)), "merged"),
        (named(|o| matches!(o, ProseOutcome::Removed)), "removed"),
        (named(|o| matches!(o, ProseOutcome::BothKept)), "kept both ways"),
    ];
    let told: Vec<String> = done.iter().filter(|(names, _)| !names.is_empty()).map(|(n, word)| told(n, word)).collect();
    let mut lines = Vec::new();
    let would = if dry_run { "would be: " } else { "" };
    let both_kept = !done[4].0.is_empty();
    if !told.is_empty() && (!quiet || both_kept) {
        let line = format!("{whose}: {would}{}", told.join(", "));
        lines.push(if both_kept { paint(ATTENTION, &line) } else { line });
    }
    if let Some(reason) = shelf.listed.as_ref().filter(|_| !quiet) {
        lines.push(format!("left in the store: {whose}: {}", sanitize::one_line(reason)));
    }
    for file in &shelf.files {
        let name = sanitize::one_line(&file.name);
        lines.extend(match &file.outcome {
            ProseOutcome::Waits { from } => {
                let from = sanitize::one_line(from);
                Some(paint(
                    ATTENTION,
                    &format!("{name} of {from} waits for a yes, because it can run programs: ccsync apply"),
                ))
            }
            ProseOutcome::Left { reason } if !quiet => {
                Some(format!("stays here: {name}: {}", sanitize::one_line(reason)))
            }
            ProseOutcome::Skipped { reason } => {
                Some(paint(ATTENTION, &format!("not taken: {whose}: {name}: {}", sanitize::one_line(reason))))
            }
            _ => None,
        });
    }
    lines
}

/// `memory of app`: the last part of the project's address or path.
fn memory_of(project: &str) -> String {
    let last = project.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(project);
    let shown = if last == "{{HOME}}" { "~" } else { last };
    format!("memory of {}", sanitize::one_line(shown))
}

/// Few files are named, many are counted; those that need a look are always named.
fn told(names: &[String], word: &str) -> String {
    const FEW: usize = 3;
    if names.len() <= FEW || word == "kept both ways" {
        return format!("{} {word}", names.join(", "));
    }
    format!("{} {word}", count(names.len() as u64, "file"))
}

fn needs_attention(session: &SessionReport) -> bool {
    !session.notes.is_empty() || matches!(session.outcome, Outcome::Forked { .. } | Outcome::Skipped { .. })
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
        let here = session.project.as_deref().map_or_else(|| NO_PROJECT.to_owned(), project);
        if group.as_ref() != Some(&here) {
            lines.push(paint(HEADING, &here));
            group = Some(here);
        }
        lines.push(line);
        lines.extend(details(session, dry_run).into_iter().map(|detail| format!("            {detail}")));
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
            cells.extend([Cell::right(count(*lines, "line")), Cell::right(bytes(*size))]);
        }
        Outcome::Extended { lines, bytes: size } => {
            let lines = if *lines > 0 { format!("+{}", count(*lines, "line")) } else { String::new() };
            cells.extend([Cell::right(lines), Cell::right(format!("+{}", bytes(*size)))]);
        }
        _ => {}
    }
    cells
}

/// A title as one safe line; sessions without one say so.
pub(crate) fn title(title: Option<&str>) -> String {
    let clean = sanitize::one_line(title.unwrap_or_default());
    if clean.trim().is_empty() { "(no title)".to_owned() } else { clean.trim().to_owned() }
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
        (Outcome::Listed { .. }, _) => ("left in the store", QUIET),
        (Outcome::Skipped { .. }, false) => ("skipped", ATTENTION),
        (Outcome::Skipped { .. }, true) => ("would be skipped", ATTENTION),
    }
}

fn details(session: &SessionReport, dry_run: bool) -> Vec<String> {
    let mut details = match &session.outcome {
        Outcome::Forked { fork, lines } => {
            let gets = if dry_run { "would get" } else { "has" };
            vec![
                format!("{} keeps what the store has", session.session),
                format!("{fork} {gets} this machine's {}", count(*lines, "line")),
            ]
        }
        Outcome::Skipped { reason } => vec![sanitize::one_line(reason).into_owned()],
        Outcome::Ahead => vec!["`ccsync push` sends the rest".to_owned()],
        Outcome::Behind => vec!["`ccsync pull` brings the rest".to_owned()],
        Outcome::Added { .. } | Outcome::Extended { .. } | Outcome::Listed { .. } => Vec::new(),
    };
    details.extend(session.notes.iter().map(|note| format!("note: {}", sanitize::one_line(note))));
    details
}

/// Sessions left in the store, one line per reason: there may be thousands of them.
fn listed(report: &Report) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&SessionReport>> = BTreeMap::new();
    for session in &report.sessions {
        if let Outcome::Listed { reason } = &session.outcome {
            by_reason.entry(reason).or_default().push(session);
        }
    }
    let line = |(reason, sessions): (&str, Vec<&SessionReport>)| {
        let who = match sessions.as_slice() {
            [one] => format!("session {}", one.session),
            many => count(many.len() as u64, "session"),
        };
        format!("left in the store: {who}: {}", sanitize::one_line(reason))
    };
    by_reason.into_iter().map(line).collect()
}

fn summary(command: &str, report: &Report) -> String {
    let all = [
        (report.count(|o| matches!(o, Outcome::Added { .. })), "added"),
        (report.count(|o| matches!(o, Outcome::Extended { .. })), "extended"),
        (report.count(|o| matches!(o, Outcome::Forked { .. })), "forked"),
        (report.count(|o| matches!(o, Outcome::Ahead)), "ahead"),
        (report.count(|o| matches!(o, Outcome::Behind)), "behind"),
        (report.count(|o| matches!(o, Outcome::Listed { .. })), "left in the store"),
        (report.count(|o| matches!(o, Outcome::Skipped { .. })), "skipped"),
        (report.unchanged, "unchanged"),
    ];
    let counts: Vec<String> = all.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let what = match (report.total(), report.sessions.is_empty()) {
        (0, _) => "no sessions found".to_owned(),
        (total, true) => format!("nothing to do for {}", count(total, "session")),
        (total, false) => format!("{}: {}", count(total, "session"), counts.join(", ")),
    };
    let command = if report.dry_run { format!("{command} (dry run, nothing was done)") } else { command.to_owned() };
    format!("{command}: {what}{}", remote(&report.remote, report.dry_run))
}

fn remote(state: &RemoteState, dry_run: bool) -> String {
    match state {
        RemoteState::NotContacted if dry_run => String::new(),
        RemoteState::NotContacted => "; nothing waits to be sent".to_owned(),
        RemoteState::UpToDate { commit: Some(commit) } => format!("; on the remote as {}", commit.short()),
        RemoteState::UpToDate { commit: None } => "; the remote is empty".to_owned(),
        RemoteState::Queued { commits: 0, .. } => "; the remote was not reached".to_owned(),
        RemoteState::Queued { commits, .. } => {
            format!("; queued: {} here, the next command sends {}", count(*commits, "commit"), pronoun(*commits))
        }
    }
}

fn pronoun(n: u64) -> &'static str {
    if n == 1 { "it" } else { "them" }
}

fn queue_reason(report: &Report) -> Option<String> {
    let RemoteState::Queued { reason, .. } = &report.remote else { return None };
    let reason = sanitize::lines(reason.trim());
    let why = format!("not on the remote: {}", reason.replace('\n', "\n  "));
    (!reason.is_empty()).then(|| paint(ATTENTION, &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, project: Option<&str>, title: &str, outcome: Outcome) -> SessionReport {
        SessionReport {
            session: id.parse().unwrap(),
            project: project.map(str::to_owned),
            title: Some(title.to_owned()),
            outcome,
            notes: Vec::new(),
        }
    }

    fn shown(report: &Report, quiet: bool) -> String {
        let text = lines("push", report, 78, quiet).join("\n");
        anstream::adapter::strip_str(&text).to_string()
    }

    fn everything() -> Report {
        let app = Some("{{HOME}}/work/app");
        let fork = "9ab00000-0000-4000-8000-000000000009".parse().unwrap();
        let mut noted = session("22222222-a", app, "parser", Outcome::Extended { lines: 3, bytes: 1200 });
        noted.notes.push("one line is stored verbatim".to_owned());
        Report {
            passed_over: Vec::new(),
            beside: Vec::new(),
            sessions: vec![
                session("11111111-a", app, "fix the login form\u{1b}[2J", Outcome::Added { lines: 128, bytes: 41_300 }),
                noted,
                session("33333333-a", app, "two tails", Outcome::Forked { fork, lines: 4 }),
                session(
                    "44444444-a",
                    Some("{{WORK}}/lib"),
                    "a title that is far too long for a line of this width, so it is cut",
                    Outcome::Ahead,
                ),
                session("55555555-a", None, " ", Outcome::Skipped { reason: "cannot read it".to_owned() }),
                session("66666666-a", None, "old", Outcome::Listed { reason: "older than 30 days".to_owned() }),
                session("77777777-a", None, "older", Outcome::Listed { reason: "older than 30 days".to_owned() }),
            ],
            unchanged: 5,
            dry_run: false,
            remote: RemoteState::UpToDate { commit: Some("1a2b3c4d5e".repeat(4).parse().unwrap()) },
        }
    }

    #[test]
    fn sessions_are_grouped_and_counts_add_up() {
        insta::assert_snapshot!(shown(&everything(), false));
    }

    #[test]
    fn quiet_keeps_what_needs_attention() {
        insta::assert_snapshot!(shown(&everything(), true));
        assert_eq!(shown(&Report { unchanged: 2, ..Report::default() }, true), "");
    }

    #[test]
    fn nothing_to_do_is_one_line() {
        assert_eq!(
            shown(&Report { unchanged: 2, ..Report::default() }, false),
            "push: nothing to do for 2 sessions; nothing waits to be sent"
        );
        assert_eq!(shown(&Report::default(), false), "push: no sessions found; nothing waits to be sent");
    }

    #[test]
    fn a_queue_names_its_reason_and_its_end() {
        let remote = RemoteState::Queued { commits: 1, reason: "fatal: no route\nto host".to_owned() };
        let sessions = vec![session("11111111-a", None, "x", Outcome::Added { lines: 1, bytes: 9 })];
        insta::assert_snapshot!(shown(&Report { sessions, remote, ..Report::default() }, false));
    }

    #[test]
    fn a_plan_speaks_in_the_conditional() {
        let report = Report { dry_run: true, remote: RemoteState::NotContacted, ..everything() };
        insta::assert_snapshot!(shown(&report, false));
    }
}
