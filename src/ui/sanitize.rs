//! Makes untrusted text safe for a terminal: a title must not move the cursor, change
//! colours, reverse the reading order or hide a part of itself.
//!
//! Pure. White space becomes a plain space; every other invisible or control character
//! becomes a visible escape.

use std::borrow::Cow;

/// Returns `text` on one line: line breaks and tabs become spaces, control characters
/// become visible escapes.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_break(c) {
            clean.push(' ');
        } else {
            push(&mut clean, c);
        }
    }
    Cow::Owned(clean)
}

/// Sanitizes each line of `text`, for messages of several lines, such as those of git.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n")
}

/// Returns true if a terminal draws the character and does nothing else.
pub(crate) fn is_harmless(c: char) -> bool {
    !is_break(c) && !is_steering(c)
}

fn push(clean: &mut String, c: char) {
    if is_steering(c) {
        clean.extend(c.escape_unicode());
    } else {
        clean.push(c);
    }
}

fn is_break(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\t' | '\u{0b}' | '\u{0c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Returns true for control characters, bidirectional controls and invisible characters
/// (Unicode's `Default_Ignorable_Code_Point` without the variation selectors, which only
/// choose between text and emoji shapes).
fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitize_ordinary_text_is_unchanged() {
        for text in ["", "fix the login form", "naïve 目 🚀 ✔\u{fe0f}", "שלום"] {
            assert!(
                matches!(one_line(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn sanitize_control_bidi_and_zero_width_are_escaped() {
        let shown = |text: &str| one_line(text).into_owned();
        assert_eq!(shown("\u{1b}[2Jgone"), "\\u{1b}[2Jgone");
        assert_eq!(
            shown("a\u{7}\u{8}\u{7f}\u{9b}b"),
            "a\\u{7}\\u{8}\\u{7f}\\u{9b}b"
        );
        assert_eq!(shown("abc\u{202e}txt.exe"), "abc\\u{202e}txt.exe");
        assert_eq!(shown("pay\u{200b}pal\u{feff}"), "pay\\u{200b}pal\\u{feff}");
        assert_eq!(shown("\u{e0041}"), "\\u{e0041}");
    }

    #[test]
    fn sanitize_one_line_has_no_line_breaks() {
        assert_eq!(one_line("a\nb\tc\u{2028}d"), "a b c d");
        assert_eq!(lines("a\r\n\u{1b}b\n"), "a\n\\u{1b}b");
    }
}
