//! How notes from other machines look: each line of one stands behind a bar, so that no note can pass for what this program says.

use chrono::{DateTime, Utc};

use crate::report::transfer::ReceivedNote;
use crate::ui::format::age;
use crate::ui::output::Screen;
use crate::ui::report::machine;
use crate::ui::sanitize;
use crate::ui::style::{ATTENTION, QUIET, paint};

/// More lines of one note are not shown unasked.
const LINES_OF_ONE: usize = 8;
/// More notes are not shown unasked.
const NOTES_AT_ONCE: usize = 5;
const BAR: &str = "  | ";

/// Notes that came, on top of a report: the newest, of which none takes more than its part of half a screen.
pub(crate) fn arrived(notes: &[ReceivedNote], now: DateTime<Utc>, screen: Screen) -> Vec<String> {
    let shown = notes
        .len()
        .min(NOTES_AT_ONCE)
        .min((screen.height / 4).max(1));
    let hidden = notes.len() - shown;
    let mut lines = Vec::new();
    if hidden > 0 {
        lines.push(paint(
            ATTENTION,
            &format!(
                "{hidden} older note{} came, too: ccsync notes",
                if hidden == 1 { "" } else { "s" }
            ),
        ));
    }
    let most = (screen.height / 2 / shown.max(1))
        .saturating_sub(2)
        .clamp(1, LINES_OF_ONE);
    for note in &notes[hidden..] {
        lines.extend(one(note, "", now, screen.width, Some(most)));
    }
    lines
}

/// One note: who, when, and what it says. `marks` follows the time; of more than `most` lines the rest is left out with a word.
pub(crate) fn one(
    note: &ReceivedNote,
    marks: &str,
    now: DateTime<Utc>,
    width: usize,
    most: Option<usize>,
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
    let shown = most.map_or(wrapped.len(), |most| {
        if wrapped.len() > most {
            most
        } else {
            wrapped.len()
        }
    });
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
            shown(&many, 24).starts_with("35 older notes came, too"),
            "{}",
            shown(&many, 24)
        );
    }
}
