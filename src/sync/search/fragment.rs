//! Pieces of what is searched for that stand in the store as they are.
//!
//! Text is written into the store as JSON, and paths in it as placeholders: quotes, backslashes and control characters are escaped, and for some writers
//! slashes and everything that is not ASCII; the separators of a path differ from system to system. What is left stands there
//! byte for byte, unless it is read from a placeholder. Pure.

use std::cmp::Reverse;
use std::ops::Range;

use regex_syntax::hir::{Class, Hir, HirKind};

/// A piece of text that stands in the store wherever the whole is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fragment {
    text: String,
    ignores_case: bool,
}

/// More characters of a fragment that is not ASCII make the search slower, not better.
const LONGEST_OTHER: usize = 6;

/// More alternatives are as good as none.
const MOST_ALTERNATIVES: usize = 16;

impl Fragment {
    /// What finds it in the store.
    pub(super) fn as_regex(&self) -> String {
        let body: String = self.text.chars().map(|c| self.char_as_regex(c)).collect();
        if self.ignores_case { format!("(?i:{body})") } else { format!("(?:{body})") }
    }

    /// What is not ASCII stands there as it is or as an escape, which for some characters is two.
    fn char_as_regex(&self, c: char) -> String {
        let plain = regex::escape(c.encode_utf8(&mut [0; 4]));
        if c.is_ascii() {
            return plain;
        }
        let mut cases = vec![c];
        if self.ignores_case {
            cases.extend(c.to_lowercase().chain(c.to_uppercase()));
            cases.dedup();
        }
        let escapes = cases.into_iter().map(|c| {
            let units = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("u{unit:04x}")).collect::<Vec<_>>();
            // The escapes' digits may be upper case.
            format!(r"|(?i:\\{})", units.join(r"\\"))
        });
        format!("(?:{plain}{})", escapes.collect::<String>())
    }

    /// How seldom it is likely to stand somewhere. A character that is no letter tells next to nothing.
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

/// The best fragment of a text. `written_for_placeholders`: what may be read where the store has a placeholder.
pub(super) fn best_of_literal(text: &str, ignores_case: bool, written_for_placeholders: &[String]) -> Option<Fragment> {
    let ascii = runs(text, is_steady).map(|run| {
        let may_begin_in_name = run.start == 0 || text[..run.start].ends_with('-');
        let len = if may_begin_in_name { after_name(&text[run.clone()]).len() } else { run.len() };
        run.end - len..run.end
    });
    let other = runs(text, |c| !c.is_ascii() && c.is_alphanumeric());
    let other = other.map(|run| {
        let end = text[run.clone()].char_indices().nth(LONGEST_OTHER).map_or(run.end, |(at, _)| run.start + at);
        run.start..end
    });
    let fragments = ascii.chain(other).filter_map(|run| {
        let run = outside_placeholders(text, run, written_for_placeholders)?;
        Some(Fragment { text: text[run].to_owned(), ignores_case })
    });
    fragments.max_by_key(Fragment::weight)
}

/// Where characters of a kind follow each other.
fn runs(text: &str, is_wanted: impl Fn(char) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(&is_wanted)?;
        let end = text[start..].find(|c| !is_wanted(c)).map_or(text.len(), |len| start + len);
        from = end;
        Some(start..end)
    })
}

/// What of `run` cannot stand on both sides of the end of a directory name (`my-app` in `-home-al-my-app is`): such a name is a placeholder that
/// holds the rest of its path, and ends with braces.
fn after_name(run: &str) -> &str {
    let name = run.find(|c: char| !c.is_ascii_alphanumeric()).filter(|end| !run[*end..].starts_with('_'));
    name.map_or(run, |end| &run[end..])
}

/// Whether every writer of JSON leaves the character as it is, and no system writes another in its place in a path.
fn is_steady(c: char) -> bool {
    c.is_ascii_alphanumeric() || " _.,;()[]=+*?!#$@|^`".contains(c)
}

/// What of a run in `text` stands in the store even where a part of the text is read from a placeholder; `None` where all of the run may be.
fn outside_placeholders(text: &str, run: Range<usize>, written: &[String]) -> Option<Range<usize>> {
    let folded = text.to_lowercase();
    // Lengths differ for a few characters that are not ASCII. Those are looked at as they are.
    let folded = if folded.len() == text.len() { folded } else { text.to_owned() };
    let within = folded.get(run.clone())?;
    let (mut start, mut end) = (run.start, run.end);
    for path in written.iter().map(|path| path.to_lowercase()) {
        if path.contains(within) {
            return None;
        }
        let places = || run.clone().filter(|at| text.is_char_boundary(*at) && folded.is_char_boundary(*at));
        // Where a path can end in it, and where one can begin.
        let ends = |at: &usize| path.ends_with(&folded[..*at]) || folded[..*at].ends_with(&path);
        let begins = |at: &usize| path.starts_with(&folded[*at..]) || folded[*at..].starts_with(&path);
        start = start.max(places().skip(1).filter(ends).last().unwrap_or(run.start));
        end = end.min(places().find(begins).unwrap_or(run.end));
    }
    (start < end).then_some(start..end)
}

/// Fragments of which at least one is in everything that the regular expression matches; `None` if there are none.
pub(super) fn best_of_pattern(pattern: &str, ignores_case: bool, written: &[String]) -> Option<Vec<Fragment>> {
    let hir = regex_syntax::ParserBuilder::new().multi_line(true).build().parse(pattern).ok()?;
    let mut text = Text { ignores_case, written, run: String::new(), found: Vec::new() };
    text.read(&hir);
    text.finish()
}

/// What of a concatenation has been read.
struct Text<'a> {
    ignores_case: bool,
    written: &'a [String],
    /// Characters that follow each other.
    run: String,
    /// Fragments: of each list one is needed.
    found: Vec<Vec<Fragment>>,
}

impl Text<'_> {
    fn read(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
                Ok(text) => self.run.push_str(text),
                Err(_) => self.end_run(),
            },
            HirKind::Class(class) => match letter_of(class) {
                Some(letter) => {
                    self.ignores_case = true;
                    self.run.push(letter);
                }
                None => self.end_run(),
            },
            HirKind::Capture(group) => self.read(&group.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.read(part)),
            HirKind::Repetition(repetition) => {
                self.end_run();
                if repetition.min > 0 {
                    self.read(&repetition.sub);
                    self.end_run();
                }
            }
            HirKind::Alternation(branches) => {
                self.end_run();
                self.found.extend(self.one_of(branches));
            }
        }
    }

    fn one_of(&self, branches: &[Hir]) -> Option<Vec<Fragment>> {
        let mut all = Vec::new();
        for branch in branches {
            let mut text =
                Text { ignores_case: self.ignores_case, written: self.written, run: String::new(), found: Vec::new() };
            text.read(branch);
            all.extend(text.finish()?);
        }
        (all.len() <= MOST_ALTERNATIVES).then_some(all)
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        self.found.extend(best_of_literal(&run, self.ignores_case, self.written).map(|one| vec![one]));
    }

    fn finish(mut self) -> Option<Vec<Fragment>> {
        self.end_run();
        // Which letters ignore their case is not told apart: one that does makes all do.
        let ignores_case = self.ignores_case;
        let value = |all: &Vec<Fragment>| (all.iter().map(Fragment::weight).min(), Reverse(all.len()));
        let mut best = self.found.into_iter().max_by_key(value)?;
        best.iter_mut().for_each(|fragment| fragment.ignores_case |= ignores_case);
        Some(best)
    }
}

/// The letter of which a class is the cases (`[Aa]`), in lower case.
fn letter_of(class: &Class) -> Option<char> {
    const MOST_CASES: usize = 4;
    let Class::Unicode(class) = class else { return None };
    let chars: Vec<char> = class.iter().flat_map(|range| range.start()..=range.end()).take(MOST_CASES + 1).collect();
    let letter = chars.iter().copied().find(char::is_ascii_lowercase)?;
    let is_case = |c: &char| c.to_lowercase().eq([letter]) || matches!((*c, letter), ('ſ', 's') | ('\u{212a}', 'k'));
    (chars.len() > 1 && chars.len() <= MOST_CASES && chars.iter().all(is_case)).then_some(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Vec<String> {
        ["/home/al", "%2Fhome%2Fal", "-home-al", "/srv/My Projects"].map(str::to_owned).to_vec()
    }

    fn literal(text: &str) -> Option<String> {
        best_of_literal(text, true, &home()).map(|fragment| fragment.text)
    }

    fn pattern(text: &str) -> Option<String> {
        let fragments = best_of_pattern(text, false, &home())?;
        Some(fragments.into_iter().map(|fragment| fragment.text).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn the_rarest_piece_that_is_never_written_otherwise_is_taken() {
        for (text, fragment) in [
            ("fix the login form", Some(" the login form")),
            ("/fix the login form", Some("fix the login form")),
            ("-my-app is", Some(" is")),
            ("my_app", Some("my_app")),
            ("say \"no\"\nto {{HOMES}}", Some("HOMES")),
            ("/home/al/work/app/src/lib.rs", Some("lib.rs")),
            ("al is here", Some(" is here")),
            ("x/al", Some("x")),
            ("see /srv/My Projects", None),
            ("Projects/are", Some("are")),
            ("home", None),
            ("/home/al", None),
            ("\\\"", None),
            ("日本語", Some("日本語")),
            ("ça — 日本", Some("日本")),
        ] {
            assert_eq!(literal(text).as_deref(), fragment, "{text}");
        }
    }

    #[test]
    fn a_regular_expression_is_searched_by_what_all_its_matches_have() {
        for (text, fragment) in [
            (r"\blogin\s+form\b", Some("form")),
            (r"(fix|mend) the (form|window)", Some(" the ")),
            (r"(?:alpha|beta)", Some("pha|beta")),
            (r"(?:alpha|beta)?", None),
            (r"(?:gamma)+x*", Some("gamma")),
            (r"(?i)login", Some("ogin")),
            (r"a.c|.", None),
            (r"\d{4}-\d\d", None),
            ("err(or|ing)$", Some("err")),
        ] {
            assert_eq!(pattern(text).as_deref(), fragment, "{text}");
        }
    }

    #[test]
    fn a_fragment_is_found_however_it_is_written() {
        let finds = |text: &str, ignores_case, line: &str| {
            let fragment = Fragment { text: text.to_owned(), ignores_case };
            regex::bytes::Regex::new(&fragment.as_regex()).unwrap().is_match(line.as_bytes())
        };
        assert!(finds("été", false, r"x \u00e9t\u00E9"));
        assert!(finds("été", true, r"x \u00c9Té"));
        assert!(!finds("été", false, "Été"));
        assert!(finds("😀", false, r"\ud83d\ude00"));
        assert!(finds("a.c(", false, "a.c("));
        assert!(!finds("a.c(", false, "abc("));
    }
}
