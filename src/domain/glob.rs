//! Globs over characters. `globset` compares bytes, for which `?` is half an accented letter.

use globset::GlobBuilder;
use regex::{RegexSet, RegexSetBuilder};

/// The reason why globs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidGlob {
    /// The text is not a glob.
    #[error("{}", .0.kind())]
    Syntax(#[from] globset::Error),
    /// The glob has too many parts.
    #[error("it is too complex")]
    TooComplex(#[from] regex::Error),
}

/// Compiles globs whose `*` and `?` stop at `/`.
pub(super) fn compile(globs: &[String], any_case: bool) -> Result<RegexSet, InvalidGlob> {
    let regexes = globs.iter().map(|glob| {
        let glob = GlobBuilder::new(glob).literal_separator(true).build()?;
        Ok(over_characters(glob.regex()))
    });
    let regexes = regexes.collect::<Result<Vec<String>, globset::Error>>()?;
    let mut set = RegexSetBuilder::new(regexes);
    set.case_insensitive(any_case)
        .dot_matches_new_line(true)
        // The length of a pattern is limited, and no part of it is repeated.
        .size_limit(usize::MAX);
    Ok(set.build()?)
}

/// Converts a regular expression over bytes, as `globset` makes them: in it all characters
/// but those of ASCII are escaped byte by byte.
fn over_characters(regex: &str) -> String {
    let mut rest = regex.strip_prefix("(?-u)").unwrap_or(regex).as_bytes();
    let mut text = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (taken, byte) = match rest {
            [b'\\', b'x', high, low, ..] => (4, hex(*high, *low)),
            [b'\\', _, ..] => (2, None),
            _ => (1, None),
        };
        match byte {
            Some(byte) => text.push(byte),
            None => text.extend_from_slice(&rest[..taken]),
        }
        rest = &rest[taken..];
    }
    String::from_utf8(text).unwrap_or_else(|_| regex.to_owned())
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |digit| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(glob: &str, text: &str) -> bool {
        compile(&[glob.to_owned()], false).unwrap().is_match(text)
    }

    #[test]
    fn glob_wildcards_match_whole_characters() {
        for (glob, text) in [
            ("caf?", "caf\u{e9}"),
            ("caf[\u{e9}]", "caf\u{e9}"),
            ("caf[\u{e8}-\u{ea}\u{4e2d}]/x", "caf\u{e9}/x"),
            ("{\u{e9},a}*", "\u{e9}t\u{e9}"),
            ("**/\u{1f680}?", "a/b/\u{1f680}\u{76ee}"),
            (r"\\xc3?", r"\xc3a"),
            ("a.b", "a.b"),
            ("a/**", "a/b\n/c"),
        ] {
            assert!(is_match(glob, text), "{glob}");
        }
        for (glob, text) in [
            ("caf??", "caf\u{e9}"),
            ("caf[!\u{e9}]", "caf\u{e9}"),
            ("a.b", "a-b"),
            ("?", "/"),
            ("*", "a/b"),
        ] {
            assert!(!is_match(glob, text), "{glob}");
        }
        let any_case = compile(&["CAF\u{c9}".to_owned()], true).unwrap();
        assert!(any_case.is_match("caf\u{e9}"));
        assert!(compile(&["[".to_owned()], true).is_err());
    }
}
