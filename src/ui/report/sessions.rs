//! The sessions of a report: grouped by project, one aligned line each.

use anstyle::Style;

use crate::report::{MachineName, Outcome, SessionReport};
use crate::ui::format::{bytes, count, project, short_id};
use crate::ui::sanitize;
use crate::ui::style::{ATTENTION, GOOD, HEADING, QUIET, paint};
use crate::ui::table::{Cell, Table, cut};

/// Index of the column of titles, which shrinks on narrow screens.
const TITLE: usize = 1;
const NO_PROJECT: &str = "(no project)";

pub(super) fn needs_attention(session: &SessionReport) -> bool {
    !session.warnings.is_empty()
        || matches!(
            session.outcome,
            Outcome::Forked { .. } | Outcome::Skipped { .. }
        )
}

/// Returns the sessions below their projects, in the order of the report.
pub(super) fn grouped(sessions: &[&SessionReport], dry_run: bool, width: usize) -> Vec<String> {
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

pub(super) fn row(session: &SessionReport, dry_run: bool) -> Vec<Cell> {
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

/// Returns the number of added turns; empty without any.
pub(super) fn turns(session: &SessionReport, sign: &str) -> Cell {
    let turns = session.turns.filter(|turns| *turns > 0);
    Cell::right(
        turns
            .map(|turns| format!("{sign}{}", count(turns, "turn")))
            .unwrap_or_default(),
    )
}

/// Returns the machines that wrote the added lines.
pub(super) fn origin(session: &SessionReport) -> Option<Cell> {
    /// Maximum number of named machines.
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

/// Returns a machine's name, or the beginning of its id if the name is unknown.
pub(crate) fn machine(machine: &MachineName) -> String {
    /// Maximum length of a name, in cells.
    const MAX_NAME: usize = 24;
    let name = machine
        .name
        .as_deref()
        .filter(|name| !name.trim().is_empty());
    let name = name.unwrap_or_else(|| short_id(machine.id.as_str()));
    cut(sanitize::one_line(name).trim(), MAX_NAME).into_owned()
}

/// Returns a title as one safe line, or `(no title)`.
pub(crate) fn title(title: Option<&str>) -> String {
    let clean = sanitize::one_line(title.unwrap_or_default());
    if clean.trim().is_empty() {
        "(no title)".to_owned()
    } else {
        clean.trim().to_owned()
    }
}

/// Returns the words for an outcome, and their style.
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
        (Outcome::NotPulled { .. }, _) => ("not pulled", QUIET),
        (Outcome::Excluded { .. }, _) => ("excluded", QUIET),
        (Outcome::Skipped { .. }, false) => ("skipped", ATTENTION),
        (Outcome::Skipped { .. }, true) => ("would be skipped", ATTENTION),
    }
}

/// Returns what a session's line cannot say: its fork, the reason of a problem, warnings.
pub(crate) fn details(session: &SessionReport, dry_run: bool) -> Vec<String> {
    let mut details = match &session.outcome {
        Outcome::Forked { fork, lines } => {
            let gets = if dry_run { "would get" } else { "has" };
            let turns = session.turns.filter(|turns| *turns > 0);
            let turns = turns
                .map(|turns| format!(", {}", count(turns, "new turn")))
                .unwrap_or_default();
            vec![
                format!("{} keeps the stored turns", session.session),
                format!(
                    "{fork} {gets} this machine's {}{turns}",
                    count(*lines, "line")
                ),
            ]
        }
        Outcome::Skipped { reason } => vec![sanitize::one_line(reason).into_owned()],
        // Notes of a push say why it is still here.
        Outcome::Ahead if !session.warnings.is_empty() => Vec::new(),
        Outcome::Ahead => vec!["run `ccsync push` to push the rest".to_owned()],
        Outcome::Behind => vec!["run `ccsync pull` to pull the rest".to_owned()],
        Outcome::Added { .. }
        | Outcome::Extended { .. }
        | Outcome::NotPulled { .. }
        | Outcome::Excluded { .. } => Vec::new(),
    };
    details.extend(
        session
            .warnings
            .iter()
            .map(|note| format!("note: {}", sanitize::one_line(note))),
    );
    details
}
