//! Shows the difference of two texts, for a file that the user approves. Nothing in the
//! texts can steer the terminal, and no line hides another one.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::ui::{sanitize, style::ATTENTION, style::GOOD, style::QUIET, style::paint};

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Maximum length of a printed line, in characters. A longer one continues on the next
/// line.
const MAX_PIECE: usize = 400;

/// Time limit of one comparison. Long texts that have little in common would take
/// minutes.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Returns the lines that differ between `old` and `new`, with context. Shows every
/// changed line.
pub(crate) fn lines(old: &str, new: &str) -> Vec<String> {
    // After the time limit, lines that did not change are shown as changed, too.
    let diff = TextDiff::configure().timeout(TIMEOUT).diff_lines(old, new);
    let mut lines = Vec::new();
    for (n, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if n > 0 {
            lines.push(paint(QUIET, "  …"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (mark, style) = match change.tag() {
                ChangeTag::Delete => ("-", ATTENTION),
                ChangeTag::Insert => ("+", GOOD),
                ChangeTag::Equal => (" ", QUIET),
            };
            let text = change.value();
            lines.extend(
                pieces(text.strip_suffix('\n').unwrap_or(text))
                    .into_iter()
                    .map(|part| paint(style, &format!("  {mark} {part}"))),
            );
        }
    }
    if lines.is_empty() && old != new {
        lines.push(paint(QUIET, "  only the line ends differ"));
    }
    lines
}

/// Splits a line into pieces that fit. Shows all of it: any part may be the dangerous
/// one.
fn pieces(line: &str) -> Vec<String> {
    let clean = sanitize::one_line(line.strip_suffix('\r').unwrap_or(line));
    let characters: Vec<char> = clean.chars().collect();
    if characters.is_empty() {
        return vec![String::new()];
    }
    characters
        .chunks(MAX_PIECE)
        .map(|piece| piece.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(old: &str, new: &str) -> String {
        anstream::adapter::strip_str(&lines(old, new).join("\n")).to_string()
    }

    #[test]
    fn difference_shows_changes_with_context() {
        assert_eq!(
            plain("1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\nfive\n6\n"),
            "    2\n    3\n    4\n  - 5\n  + five\n    6"
        );
        assert_eq!(plain("", "a\n"), "  + a");
        assert_eq!(plain("a", "a"), "");
    }

    #[test]
    fn difference_of_long_unlike_texts_is_complete_and_fast() {
        let text = |factor: u64| -> String {
            (0..100_000_u64)
                .map(|n| format!("{}\n", n * factor % 10_007))
                .collect()
        };
        let shown = lines("", &text(7919)).len();
        assert!(lines(&text(31), &text(7919)).len() >= shown);
    }

    #[test]
    fn difference_control_characters_are_escaped_not_hidden() {
        let hostile = format!(
            "echo ok\r{}rm -rf ~\u{1b}[2K\u{1b}[1A\u{202e}",
            " ".repeat(500)
        );
        let text = plain("", &hostile);
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
        assert!(
            text.contains("rm -rf ~") && text.contains("\\u{1b}[2K"),
            "{text:?}"
        );
    }
}
