//! Fragments: pieces of the searched text that are in the store unchanged.
//!
//! The store holds JSON with placeholders for paths. Quotes, backslashes and control
//! characters are escaped, by some writers also slashes and non-ASCII characters, and
//! path separators differ between systems. Everything else is stored byte for byte,
//! unless it comes from a placeholder. Pure.

use std::cmp::Reverse;
use std::ops::Range;

use crate::browse::{search::parts::Part, search::parts::cases, search::written::Written};

/// Text that is in the store wherever the whole text is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fragment {
    text: String,
    ignores_case: bool,
}

/// Maximum characters of a non-ASCII fragment; more make the search slower, not better.
const MAX_OTHER_CHARS: usize = 6;

/// Maximum alternatives; more do not narrow the search.
const MAX_ALTERNATIVES: usize = 16;

impl Fragment {
    pub(crate) fn new(text: &str, ignores_case: bool) -> Self {
        Self {
            text: text.to_owned(),
            ignores_case,
        }
    }

    /// Returns the regular expression that finds it in the store.
    pub(crate) fn as_regex(&self) -> String {
        let body: String = self.text.chars().map(|c| self.char_as_regex(c)).collect();
        if self.ignores_case {
            format!("(?i:{body})")
        } else {
            format!("(?:{body})")
        }
    }

    /// Returns the regular expression for a character. One outside of ASCII is stored raw
    /// or as one or two escapes.
    fn char_as_regex(&self, c: char) -> String {
        let plain = regex::escape(c.encode_utf8(&mut [0; 4]));
        if c.is_ascii() {
            return plain;
        }
        let cases = if self.ignores_case { cases(c) } else { vec![c] };
        let escapes = cases.into_iter().map(|c| {
            let units = c
                .encode_utf16(&mut [0; 2])
                .iter()
                .map(|unit| format!("u{unit:04x}"))
                .collect::<Vec<_>>();
            // Digits of escapes may be upper case.
            format!(r"|(?i:\\{})", units.join(r"\\"))
        });
        format!("(?:{plain}{})", escapes.collect::<String>())
    }

    /// Returns an estimate of its rarity. Characters other than letters count little.
    fn weight(&self) -> usize {
        let of = |c: char| match c {
            _ if !c.is_ascii() => 3,
            _ if c.is_ascii_alphanumeric() => 2,
            _ => 1,
        };
        let tells = self.text.chars().any(char::is_alphanumeric);
        self.text.chars().map(of).sum::<usize>() * if tells { 4 } else { 1 }
    }
}

/// Returns fragments; every text with these parts contains at least one of them.
///
/// `None` if no fragment is certain.
pub(crate) fn best(parts: &[Part], written: &Written) -> Option<Vec<Fragment>> {
    let value = |all: &Vec<Fragment>| (all.iter().map(Fragment::weight).min(), Reverse(all.len()));
    parts
        .iter()
        .filter_map(|part| best_of_part(part, written))
        .max_by_key(value)
}

fn best_of_part(part: &Part, written: &Written) -> Option<Vec<Fragment>> {
    match part {
        Part::Run { text, ignores_case } => {
            // The end of a directory name narrows little, and it is missing where the
            // client has shortened the name.
            let goes_on = |piece: &Steady| {
                piece.may_end_name && text[piece.range.end..].starts_with(is_steady)
            };
            let pieces = steady(text, written)
                .into_iter()
                .filter(|piece| !goes_on(piece));
            let fragments = pieces.map(|piece| Fragment::new(&text[piece.range], *ignores_case));
            fragments
                .max_by_key(Fragment::weight)
                .map(|best| vec![best])
        }
        Part::Repeated {
            parts,
            is_optional: false,
        } => best(parts, written),
        Part::OneOf(branches) => {
            let all = branches
                .iter()
                .map(|parts| best(parts, written))
                .collect::<Option<Vec<_>>>()?
                .concat();
            (all.len() <= MAX_ALTERNATIVES).then_some(all)
        }
        Part::Repeated {
            is_optional: true, ..
        }
        | Part::Class(_)
        | Part::Anything => None,
    }
}

/// A piece of a text that is stored unchanged.
pub(crate) struct Steady {
    pub(crate) range: Range<usize>,
    /// True if it may be the end of a directory name (`my-app` in `-home-al-my-app is`).
    /// Such a name is stored as a placeholder with the rest of the path and ends with
    /// braces. The client shortens long names; then the end is missing, but not the
    /// braces.
    pub(crate) may_end_name: bool,
}

/// Returns the pieces of a text that are stored unchanged, in order.
pub(crate) fn steady(text: &str, written: &Written) -> Vec<Steady> {
    let ascii = runs(text, is_steady).flat_map(|run| {
        let may_begin_in_name = run.start == 0 || text[..run.start].ends_with('-');
        let start = run.start
            + if written.converts_separators() {
                separator_len(text, &run)
            } else {
                0
            };
        let name = if may_begin_in_name {
            start + name_len(&text[start..run.end])
        } else {
            start
        };
        [(start..name, true), (name..run.end, false)]
    });
    let other = runs(text, |c| !c.is_ascii() && c.is_alphanumeric());
    let other = other.map(|run| {
        let end = text[run.clone()]
            .char_indices()
            .nth(MAX_OTHER_CHARS)
            .map_or(run.end, |(at, _)| run.start + at);
        (run.start..end, false)
    });
    let pieces = ascii
        .chain(other)
        .filter(|(run, _)| !run.is_empty())
        .filter_map(|(run, is_name)| {
            let range = written.outside(text, run.clone())?;
            Some(Steady {
                may_end_name: is_name && range.end == run.end,
                range,
            })
        });
    let mut pieces: Vec<_> = pieces.collect();
    pieces.sort_by_key(|piece| piece.range.start);
    pieces
}

/// Returns the ranges of consecutive characters of one kind.
fn runs(text: &str, is_wanted: impl Fn(char) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(&is_wanted)?;
        let end = text[start..]
            .find(|c| !is_wanted(c))
            .map_or(text.len(), |len| start + len);
        from = end;
        Some(start..end)
    })
}

/// Returns the length of the part of a run that may end a directory name. A name has no
/// underscore, but one may follow (`-home-al-app_old`).
fn name_len(run: &str) -> usize {
    run.find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(run.len())
}

/// Returns the length of the part of a run that may belong to a percent-encoded
/// separator: `%2F` is `%5C` on another system. The text before the run is unknown.
fn separator_len(text: &str, run: &Range<usize>) -> usize {
    let steady = text[run.clone()].to_ascii_lowercase();
    match text[..run.start].chars().next_back() {
        Some('%') => steady.len().min(2),
        None if steady.starts_with("2f") || steady.starts_with("5c") => 2,
        None if steady.starts_with(['c', 'f']) || steady == "2" || steady == "5" => 1,
        _ => 0,
    }
}

/// Returns true for characters that every JSON writer keeps and no system replaces in
/// paths.
pub(crate) const STEADY: &str =
    " !#$()*+,.0123456789;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz|";

pub(crate) fn is_steady(c: char) -> bool {
    STEADY.contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browse::search::parts::parts;

    fn pattern(text: &str, ignores_case: bool) -> Option<String> {
        let fragments = best(&parts(text, ignores_case).unwrap(), &Written::at_home())?;
        Some(
            fragments
                .into_iter()
                .map(|fragment| fragment.text)
                .collect::<Vec<_>>()
                .join("|"),
        )
    }

    #[test]
    fn search_fragment_is_rarest_piece_with_one_form() {
        for (text, fragment) in [
            ("fix the login form", Some(" the login form")),
            ("/fix the login form", Some("fix the login form")),
            ("-my-app is", Some(" is")),
            ("my_app", Some("_app")),
            ("-my-app_old", Some("_old")),
            ("say \"no\"\nto {{HOMES}}", Some("HOMES")),
            ("/home/al/work/app/src/lib.rs", Some("lib.rs")),
            ("al is here", Some(" is here")),
            ("x/al", Some("x")),
            ("see /srv/My Projects", None),
            ("Projects/are", Some("are")),
            ("home", None),
            ("ẞ/HOME", Some("ẞ")),
            ("/home/al", None),
            ("\\\"", None),
            ("日本語", Some("日本語")),
            ("ça — 日本", Some("日本")),
        ] {
            assert_eq!(
                pattern(&regex::escape(text), true).as_deref(),
                fragment,
                "{text}"
            );
        }
    }

    #[test]
    fn search_fragment_excludes_foreign_separators() {
        let paths = |more: &str| {
            Written::new(
                &["/home/al", r"\\/home\\/al", more]
                    .map(str::to_owned)
                    .into(),
            )
        };
        assert!(!paths("/x").converts_separators());
        let written = paths(r"C:\Users\al");
        let of = |text: &str| {
            let fragments = best(&parts(text, true).unwrap(), &written);
            fragments.map(|fragments| {
                fragments
                    .into_iter()
                    .map(|fragment| fragment.text)
                    .collect::<String>()
            })
        };
        for (text, fragment) in [
            ("%2Fwork%5C", Some("work")),
            ("5Cx", Some("x")),
            ("fold", Some("old")),
            ("xyz%2", Some("xyz")),
            ("5", None),
        ] {
            assert_eq!(of(text).as_deref(), fragment, "{text}");
        }
    }

    #[test]
    fn search_fragment_of_regex_is_in_every_match() {
        for (text, fragment) in [
            (r"\blogin\s+form\b", Some("form")),
            (r"(fix|open) the (form|window)", Some(" the ")),
            (r"(?:alpha|beta)", Some("pha|beta")),
            (r"(?:alpha|beta)?", None),
            (r"(?:gamma)+x*", Some("gamma")),
            (r"(?i)login", Some("ogin")),
            (r"a.c|.", None),
            (r"\d{4}-\d\d", None),
            ("err(or|ing)$", Some("err")),
        ] {
            assert_eq!(pattern(text, false).as_deref(), fragment, "{text}");
        }
    }

    #[test]
    fn search_fragment_matches_every_escaped_form() {
        let finds = |text: &str, ignores_case, line: &str| {
            let fragment = Fragment::new(text, ignores_case);
            regex::bytes::Regex::new(&fragment.as_regex())
                .unwrap()
                .is_match(line.as_bytes())
        };
        assert!(finds("été", false, r"x \u00e9t\u00E9"));
        assert!(finds("été", true, r"x \u00c9Té"));
        assert!(finds("ß", true, r"\u1E9E"));
        assert!(!finds("été", false, "Été"));
        assert!(finds("😀", false, r"\ud83d\ude00"));
        assert!(finds("a.c(", false, "a.c("));
        assert!(!finds("a.c(", false, "abc("));
    }
}
