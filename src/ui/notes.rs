//! Shows notes from other machines. Each line of a note begins with a bar, so that a note
//! cannot imitate a message of this program.

use chrono::{DateTime, Utc};

use crate::report::transfer::ReceivedNote;
use crate::ui::{
    format::age, format::count, output::Screen, report::machine, sanitize, style::ATTENTION,
    style::QUIET, style::paint,
};

/// Maximum number of lines of one note in a report.
const MAX_LINES_OF_NOTE: usize = 8;
/// Maximum number of notes in a report.
const MAX_NOTES: usize = 5;
const BAR: &str = "  | ";

/// Returns the lines on new notes in a report: the newest notes, in at most half of the
/// screen.
pub(crate) fn arrived(notes: &[ReceivedNote], now: DateTime<Utc>, screen: Screen) -> Vec<String> {
    let shown = notes.len().min(MAX_NOTES).min((screen.height / 4).max(1));
    let hidden = notes.len() - shown;
    let mut lines = Vec::new();
    if hidden > 0 {
        lines.push(paint(
            ATTENTION,
            &format!(
                "{} not shown: ccsync notes",
                count(hidden as u64, "older note")
            ),
        ));
    }
    let max_lines = (screen.height / 2 / shown.max(1))
        .saturating_sub(2)
        .clamp(1, MAX_LINES_OF_NOTE);
    for note in &notes[hidden..] {
        lines.extend(one(note, "", now, screen.width, Some(max_lines)));
    }
    lines
}

/// Returns the lines of one note: sender, time and text. `marks` follows the time. Shows
/// at most `max_lines` lines of the text, and says so if there are more.
pub(crate) fn one(
    note: &ReceivedNote,
    marks: &str,
    now: DateTime<Utc>,
    width: usize,
    max_lines: Option<usize>,
) -> Vec<String> {
    let addressee = note
        .for_machine
        .as_ref()
        .map(|to| format!(" for {}", machine(to)))
        .unwrap_or_default();
    let head = format!(
        "note from {}{addressee}, {}{marks}:",
        machine(&note.machine),
        age(note.time, now)
    );
    let text = sanitize::lines(&note.text);
    let room = width.saturating_sub(BAR.len()).max(20);
    let wrapped: Vec<_> = text
        .lines()
        .flat_map(|line| textwrap::wrap(line, room))
        .collect();
    let shown = wrapped.len().min(max_lines.unwrap_or(usize::MAX));
    let mut lines = vec![paint(ATTENTION, &head)];
    lines.extend(
        wrapped[..shown]
            .iter()
            .map(|line| format!("{BAR}{line}").trim_end().to_owned()),
    );
    if shown < wrapped.len() {
        lines.push(paint(QUIET, "    … the rest: ccsync notes"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::transfer::MachineName;

    fn note(text: &str) -> ReceivedNote {
        ReceivedNote {
            id: "20260310T100000000Z-00000001".to_owned(),
            time: "2026-03-10T10:00:00Z".parse().unwrap(),
            machine: MachineName {
                id: "ab".repeat(16).parse().unwrap(),
                name: Some("laptop\u{1b}]0;x".to_owned()),
            },
            for_machine: None,
            text: text.to_owned(),
        }
    }

    fn shown(notes: &[ReceivedNote], height: usize) -> String {
        let now = "2026-03-10T12:00:00Z".parse().unwrap();
        let text = arrived(notes, now, Screen { width: 60, height }).join("\n");
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn notes_hostile_text_is_escaped_and_indented() {
        let hostile =
            "first\u{1b}[2J\r\u{202e}\n$ ccsync push\nnote from desk, just now:\n\u{9b}1A last";
        insta::assert_snapshot!(shown(&[note(hostile)], 24));
        let words = "x ".repeat(2000);
        insta::assert_snapshot!(shown(&[note(&words)], 24));
    }

    #[test]
    fn notes_many_never_fill_screen() {
        let many: Vec<_> = (0..40)
            .map(|n| note(&format!("{n}\n").repeat(40)))
            .collect();
        for height in [4, 8, 24, 60] {
            let lines = shown(&many, height).lines().count();
            assert!(lines <= height.max(5), "{lines} of {height}");
        }
        assert!(
            shown(&many, 24).starts_with("35 older notes not shown"),
            "{}",
            shown(&many, 24)
        );
    }
}
