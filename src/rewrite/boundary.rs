//! Decides where a path begins and ends in running text.
//!
//! Owns the two rules. They read the local text only, never across a line end, and never
//! change it. They decide what is replaced, so they may be wrong without harm to
//! exactness: the expander restores whatever was replaced.

use super::encoding::{percent_at, utf16_unit};
use super::path_form::{Lead, Separator};

/// Returns true if the text before `at` ends there, so that a path can begin.
pub(super) fn begins(text: &[u8], at: usize, lead: Lead) -> bool {
    let head = &text[..at];
    let Some(&before) = head.last() else {
        return true;
    };
    match before {
        b'/' => lead == Lead::Name || ends_with_scheme(head, lead),
        b'\\' => match lead {
            Lead::Name => !is_escape(head, text[at..].first()),
            Lead::Drive(count) => ends_with_verbatim_prefix(head, count),
            _ => false,
        },
        b'-' | b'+' => lead != Lead::Name && begins_after_sign(head, lead),
        b'_' | b'.' | b'~' | b')' | b'}' => false,
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
            ends_with_escape(head)
                || ends_with_colour(head)
                || ends_with_encoded_boundary(head, lead)
        }
        0x80.. => last_char(head).is_none_or(|c| !continues_word(c)),
        _ => true,
    }
}

/// Returns true if the text from `at` cannot continue the last component of a path that
/// ends there.
pub(super) fn ends(text: &[u8], at: usize, separator: Separator) -> bool {
    begins_separator(text, at, separator) || ends_component(text, at, separator)
}

/// Returns true if a directory name that ends before `at` is whole.
pub(super) fn ends_name(text: &[u8], at: usize) -> bool {
    text.get(at)
        .is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'-')
}

/// The lines of a diff and the items of a list: a sign counts as one only where a word could begin.
fn begins_after_sign(head: &[u8], lead: Lead) -> bool {
    let before = &head[..head.len() - 1];
    !before.ends_with(b"-") && !before.ends_with(b"+") && begins(before, before.len(), lead)
}

fn ends_with_scheme(head: &[u8], lead: Lead) -> bool {
    let head = match lead {
        Lead::Drive(_) if !head.ends_with(b"://") && !head.ends_with(b":\\/\\/") => {
            strip_slash(head)
        }
        _ => head,
    };
    head.ends_with(b"file://")
        || head.ends_with(b"file:\\/\\/")
        || head.ends_with(b"file:\\\\/\\\\/")
}

fn strip_slash(head: &[u8]) -> &[u8] {
    let mut head = &head[..head.len() - 1];
    while let Some(rest) = head.strip_suffix(b"\\") {
        head = rest;
    }
    head
}

/// Returns true if the backslash that `head` ends with escapes `next`, so that a name
/// cannot begin there.
fn is_escape(head: &[u8], next: Option<&u8>) -> bool {
    next.is_some_and(|next| b"ntrbfu".contains(next)) && !backslashes_before(head).is_multiple_of(2)
}

/// `\\?\` before a drive, where a separator is `count` backslashes.
fn ends_with_verbatim_prefix(head: &[u8], count: usize) -> bool {
    let inner = backslashes_before(head);
    inner == count
        && head[..head.len() - inner]
            .strip_suffix(b"?")
            .is_some_and(|outer| backslashes_before(outer) == 2 * count)
}

fn backslashes_before(head: &[u8]) -> usize {
    head.iter().rev().take_while(|b| **b == b'\\').count()
}

/// `\n` and its like, and `\u001b` and its like if the character they stand for ends a word.
fn ends_with_escape(head: &[u8]) -> bool {
    let Some((last, rest)) = head.split_last() else {
        return false;
    };
    matches!(last, b'n' | b't' | b'r' | b'b' | b'f') && rest.ends_with(b"\\")
        || escaped_unit(head)
            .is_some_and(|unit| char::from_u32(u32::from(unit)).is_none_or(|c| !continues_word(c)))
}

/// The UTF-16 unit of the `\uXXXX` that `head` ends with.
fn escaped_unit(head: &[u8]) -> Option<u16> {
    let (rest, digits) = head.split_at(head.len().checked_sub(4)?);
    if rest.ends_with(b"\\u") {
        utf16_unit(digits)
    } else {
        None
    }
}

/// A terminal's colour sequence, `ESC [ 0 m`, with the escape character raw or as `\u001b`.
fn ends_with_colour(head: &[u8]) -> bool {
    const MAX: usize = 32;
    let Some((b'm' | b'K', rest)) = head.split_last() else {
        return false;
    };
    let tail = &rest[rest.len().saturating_sub(MAX)..];
    let Some(parameters) = tail
        .iter()
        .rposition(|b| !b.is_ascii_digit() && *b != b';' && *b != b':')
    else {
        return false;
    };
    let Some(introducer) = tail[..=parameters].strip_suffix(b"[") else {
        return false;
    };
    introducer.ends_with(b"\x1b") || escaped_unit(introducer) == Some(0x1b)
}

/// Percent-encoded bytes such as `%3D` count as the character that they encode.
fn ends_with_encoded_boundary(head: &[u8], lead: Lead) -> bool {
    if !matches!(lead, Lead::PercentSlash | Lead::PercentDrive | Lead::Name) {
        return false;
    }
    let Some(byte) = head
        .len()
        .checked_sub(3)
        .and_then(|at| percent_at(head, at))
    else {
        return false;
    };
    match byte {
        b'/' | b'\\' if lead == Lead::Name => true,
        b'/' if lead == Lead::PercentDrive => head.ends_with(b"file%3A%2F%2F%2F"),
        b'/' => head.ends_with(b"file%3A%2F%2F"),
        b'_' | b'.' | b'~' | b'-' | b'+' | b'\\' | b')' | b'}' | 0x80.. => false,
        _ => !byte.is_ascii_alphanumeric(),
    }
}

/// The last character of `head`, or `None` if its last bytes are not UTF-8.
fn last_char(head: &[u8]) -> Option<char> {
    let tail = &head[head.len().saturating_sub(4)..];
    let start = tail.iter().rposition(|b| *b & 0xc0 != 0x80)?;
    single_char(std::str::from_utf8(&tail[start..]).ok()?)
}

fn single_char(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// Returns true if a character is part of a word: letters, digits, and the marks that
/// combine with them.
fn continues_word(c: char) -> bool {
    const COMBINING: [std::ops::RangeInclusive<char>; 6] = [
        '\u{300}'..='\u{36f}',
        '\u{1ab0}'..='\u{1aff}',
        '\u{1dc0}'..='\u{1dff}',
        '\u{200c}'..='\u{200d}',
        '\u{20d0}'..='\u{20ff}',
        '\u{fe20}'..='\u{fe2f}',
    ];
    c.is_alphanumeric() || c == '_' || COMBINING.iter().any(|range| range.contains(&c))
}

fn begins_separator(text: &[u8], at: usize, separator: Separator) -> bool {
    let rest = &text[at..];
    match separator {
        Separator::Slash => rest.starts_with(b"/"),
        Separator::AnySlash => {
            rest.starts_with(b"/") || backslashes(rest) > 0 && !escapes_blank(rest)
        }
        Separator::Backslashes(count) => rest.starts_with(b"/") || backslashes(rest) >= count,
        Separator::EscapedSlash(count) => rest.starts_with(b"/") || escapes_slash(rest, count),
        Separator::PercentSlash | Separator::PercentBackslash => {
            matches!(percent_at(text, at), Some(b'/' | b'\\')) || rest.starts_with(b"/")
        }
        Separator::Hyphen => matches!(rest.first(), Some(b'-' | b'/' | b'\\')),
    }
}

fn escapes_blank(rest: &[u8]) -> bool {
    rest.get(backslashes(rest)) == Some(&b' ')
}

fn escapes_slash(rest: &[u8], count: usize) -> bool {
    backslashes(rest) == count && rest.get(count) == Some(&b'/')
}

fn backslashes(rest: &[u8]) -> usize {
    rest.iter().take_while(|b| **b == b'\\').count()
}

fn ends_component(text: &[u8], at: usize, separator: Separator) -> bool {
    let Some(&next) = text.get(at) else {
        return true;
    };
    match next {
        b'-' => ends_quoted_or_spaced(text, at + 1),
        b'.' => ends_sentence(text, at, separator),
        b'\\' => begins_escape(text, at) != Escape::None,
        b'%' if is_percent_encoded(separator) => percent_at(text, at).is_some_and(is_boundary),
        0x80.. => first_char(&text[at..]).is_some_and(is_wide_boundary),
        _ => is_boundary(next),
    }
}

fn is_percent_encoded(separator: Separator) -> bool {
    matches!(
        separator,
        Separator::PercentSlash | Separator::PercentBackslash
    )
}

/// The ASCII characters that end a path where they stand: all but those of names and of
/// opening brackets.
fn is_boundary(next: u8) -> bool {
    next.is_ascii_control() || b" \"'`)]}><|&;,:=!?*#^".contains(&next)
}

/// Dots end a path at the end of a sentence, not in `al.bak` or in `al./x`.
fn ends_sentence(text: &[u8], at: usize, separator: Separator) -> bool {
    let after = at + text[at..].iter().take_while(|b| **b == b'.').count();
    let Some(&next) = text.get(after) else {
        return true;
    };
    match next {
        b'\\' => matches!(begins_escape(text, after), Escape::Space | Escape::Quote),
        b'%' if is_percent_encoded(separator) => percent_at(text, after).is_some_and(is_boundary),
        0x80.. => first_char(&text[after..]).is_some_and(is_wide_boundary),
        _ => is_boundary(next),
    }
}

/// After a hyphen: `/home/al- ` is the end of a phrase, `/home/al-old` is another directory.
fn ends_quoted_or_spaced(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        None | Some(b'"' | b'\'' | b'`') => true,
        Some(b'\\') => matches!(begins_escape(text, at), Escape::Space | Escape::Quote),
        Some(next) => next.is_ascii_whitespace() || next.is_ascii_control(),
    }
}

/// Meaning of the backslashes at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    /// Nothing: they are part of a name, or escape a blank in a shell.
    None,
    /// White space or another control character, or the end of a torn line.
    Space,
    /// A quote.
    Quote,
    /// A slash.
    Slash,
}

/// Classifies `count` backslashes before a byte. Only as many as some depth of JSON writes
/// are an escape; others are part of the text.
fn begins_escape(text: &[u8], at: usize) -> Escape {
    let count = backslashes(&text[at..]);
    let Some(&next) = text.get(at + count) else {
        return Escape::Space;
    };
    match next {
        b'n' | b't' | b'r' | b'b' | b'f' if matches!(count, 1 | 2 | 4) => Escape::Space,
        b'u' if matches!(count, 1 | 2 | 4) => escaped_boundary(&text[at + count + 1..]),
        b'"' if matches!(count, 1 | 3 | 7) => Escape::Quote,
        b'\'' | b'`' if matches!(count, 1 | 2 | 4) => Escape::Quote,
        b'/' if matches!(count, 1 | 2 | 4) => Escape::Slash,
        _ => Escape::None,
    }
}

/// `001b` and its like after `\u`.
fn escaped_boundary(digits: &[u8]) -> Escape {
    let unit = digits.get(..4).and_then(utf16_unit);
    match unit.and_then(|unit| char::from_u32(u32::from(unit))) {
        Some('"' | '\'') => Escape::Quote,
        Some(c) if c.is_control() || c.is_whitespace() || is_wide_boundary(c) => Escape::Space,
        _ => Escape::None,
    }
}

fn first_char(rest: &[u8]) -> Option<char> {
    let length = match rest.first()? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    single_char(std::str::from_utf8(rest.get(..length)?).ok()?)
}

/// Punctuation, arrows, lines and blanks outside ASCII that no path is continued by.
fn is_wide_boundary(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '«' | '»' | '·')
        || matches!(c, '\u{2010}'..='\u{205e}' | '\u{2190}'..='\u{21ff}' | '\u{2500}'..='\u{259f}')
        || matches!(c, '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}')
        || matches!(c, '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff3d}')
        || matches!(c, '\u{ff5b}'..='\u{ff65}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_follow(before: &str, lead: Lead) -> bool {
        begins(before.as_bytes(), before.len(), lead)
    }

    fn may_precede(after: &str, separator: Separator) -> bool {
        ends(after.as_bytes(), 0, separator)
    }

    #[test]
    fn boundary_path_begins_only_outside_words_and_paths() {
        for before in [
            "", " ", "\"", "'", "`", "(", "[", ":", "=", "@", ",", "a\\n", "a\\\\t", "\\\"",
            "\\u0000",
        ] {
            assert!(may_follow(before, Lead::Slash), "{before:?}");
        }
        for before in [
            "x", "0", "_", ".", "~", "/", "\\", ")", "}", "é", "e\u{301}", "n", "an", "目",
            "\\u00e9",
        ] {
            assert!(!may_follow(before, Lead::Slash), "{before:?}");
        }
    }

    #[test]
    fn boundary_sign_before_path_depends_on_preceding_text() {
        for (before, expected) in [
            ("-", true),
            ("\\n+", true),
            (" -", true),
            ("foo-", false),
            ("--", false),
        ] {
            assert_eq!(may_follow(before, Lead::Slash), expected, "{before:?}");
        }
    }

    #[test]
    fn boundary_path_may_follow_color_code_or_scheme() {
        for before in [
            "\\u001b[0m",
            "\\\\u001b[1;32m",
            "\x1b[m",
            "\x1b[35m\x1b[K",
            "file://",
            "file:\\/\\/",
        ] {
            assert!(may_follow(before, Lead::Slash), "{before:?}");
        }
        for before in ["[0m", "x[m", "http://", "file:/", "file:///", "s3://b/"] {
            assert!(!may_follow(before, Lead::Slash), "{before:?}");
        }
        assert!(
            may_follow("file%3A%2F%2F", Lead::PercentSlash)
                && may_follow("x%3D", Lead::PercentSlash)
        );
        assert!(
            !may_follow("%2F", Lead::PercentSlash) && !may_follow("%2Fmnt", Lead::PercentSlash)
        );
    }

    #[test]
    fn boundary_drive_may_follow_file_url_or_verbatim_prefix() {
        for before in [
            "file:///",
            "file://",
            "\\\\?\\",
            "\\\\\\\\?\\\\",
            "file:\\/\\/\\/",
        ] {
            assert!(
                [0, 1, 2]
                    .iter()
                    .any(|n| may_follow(before, Lead::Drive(*n))),
                "{before:?}"
            );
        }
        for before in ["x\\", "/", "http:///", "?\\"] {
            assert!(
                ![0, 1, 2]
                    .iter()
                    .any(|n| may_follow(before, Lead::Drive(*n))),
                "{before:?}"
            );
        }
    }

    #[test]
    fn boundary_directory_name_may_follow_separator() {
        for (before, expected) in [
            ("/", true),
            ("\\\\", true),
            ("%2F", true),
            ("-", false),
            ("a", false),
            (" ", true),
        ] {
            assert_eq!(may_follow(before, Lead::Name), expected, "{before:?}");
        }
    }

    #[test]
    fn boundary_path_never_ends_inside_a_name() {
        for after in [
            "", "/", "\"", "'", "`", " ", "\n", "\\n", "\\t", "\\\"", "\\\\n", "\\u0000", ")", "]",
            "}", ">", "<", "|", "&", ";", ",", ":", "=", "!", "?", "*", "#", "^", ".", ". ",
            ".\\n", ".\"", "...", "- ", "-\"", "-", "-\\n", "→", "。", "\u{a0}",
        ] {
            assert!(may_precede(after, Separator::Slash), "{after:?}");
        }
        for after in [
            "x", "0", "_", "~", "+", "@", "%", "$", "(", "[", "{", "-old", ".bak", "./x", "..x",
            "\\ x", "\\\\ ", "\\\\\"", "é", "目", "\\u00e9", "\\x", "-/", "\u{301}",
        ] {
            assert!(!may_precede(after, Separator::Slash), "{after:?}");
        }
    }

    #[test]
    fn boundary_separator_must_match_path_form() {
        for (after, separator, expected) in [
            ("\\\\x", Separator::Backslashes(2), true),
            ("\\x", Separator::Backslashes(2), false),
            ("\\nx", Separator::Backslashes(2), true),
            ("\\x", Separator::Backslashes(1), true),
            ("/x", Separator::Backslashes(2), true),
            ("\\/x", Separator::EscapedSlash(1), true),
            ("%2Fx", Separator::PercentSlash, true),
            ("%20x", Separator::PercentSlash, true),
            ("%41x", Separator::PercentSlash, false),
            ("%2Fx", Separator::Slash, false),
            ("-x", Separator::Hyphen, true),
            ("x", Separator::Hyphen, false),
        ] {
            assert_eq!(
                may_precede(after, separator),
                expected,
                "{after:?} {separator:?}"
            );
        }
    }
}
