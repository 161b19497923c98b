//! What is searched for: found in what was said, and before that, roughly and fast, in the bytes of the store.
//!
//! The text of the store is JSON with placeholders in place of paths. A line is taken apart only if a *fragment* stands in it: a piece of what
//! is searched for that stands in the store as it is, however the rest is escaped or abbreviated there; a record also only if it matches the
//! *sketch*: the whole, drawn so roughly that nothing of that matters. So no line that says it is missed, and nearly none is taken apart in vain. Pure.

use std::ops::Range;

use regex::{Regex, RegexBuilder, bytes};

use crate::browse::search::fragment;
use crate::browse::search::fragment::Fragment;
use crate::browse::search::parts::parts;
use crate::browse::search::sketch::sketch;
use crate::browse::search::written::Written;

/// How to read what is searched for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Case {
    /// Upper and lower case are one, unless an upper-case letter is asked for.
    #[default]
    Smart,
    /// Upper and lower case are one.
    Ignore,
    /// They are two.
    Exact,
}

/// Why a text cannot be searched for.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// There is none.
    #[error("there is nothing to search for")]
    Empty,
    /// Not a regular expression, or one that would need too much memory.
    #[error("this is no regular expression that can be searched for")]
    Regex(#[source] regex::Error),
}

/// What is searched for.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// Finds it in what was said.
    pub(crate) said: Regex,
    /// The same, to be read.
    source: String,
    ignores_case: bool,
}

/// Finds lines that may say it in the bytes of the store.
pub(crate) struct Candidates {
    /// Without one, every line is a candidate.
    fragments: Option<bytes::Regex>,
    /// Without one, the fragments say it all.
    sketch: Option<bytes::Regex>,
}

impl Pattern {
    /// # Errors
    /// [`PatternError`].
    pub(crate) fn new(text: &str, is_regex: bool, case: Case) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let ignores_case = match case {
            Case::Smart => !asks_for_upper_case(text, is_regex),
            Case::Ignore => true,
            Case::Exact => false,
        };
        let source = if is_regex {
            text.to_owned()
        } else {
            regex::escape(text)
        };
        let said = RegexBuilder::new(&source)
            .case_insensitive(ignores_case)
            .multi_line(true)
            .build();
        let said = said.map_err(PatternError::Regex)?;
        Ok(Self {
            said,
            source,
            ignores_case,
        })
    }

    /// What is to be looked for in the store. `written`: what may be read where the store has a placeholder.
    pub(crate) fn candidates(&self, written: &Written) -> Candidates {
        let parts = parts(&self.source, self.ignores_case).unwrap_or_default();
        let fragments = fragment::best(&parts, written).and_then(|fragments| {
            let alternatives: Vec<String> = fragments.iter().map(Fragment::as_regex).collect();
            bytes::Regex::new(&alternatives.join("|")).ok()
        });
        // One that needs too much memory is done without.
        let sketch = sketch(&parts, written).and_then(|sketch| bytes::Regex::new(&sketch).ok());
        Candidates { fragments, sketch }
    }
}

impl Candidates {
    /// Where the next line that may say it holds what was looked for, at or after `from`.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        match &self.fragments {
            Some(fragments) => fragments.find_at(text, from).map(|found| found.start()),
            None => (from < text.len()).then_some(from),
        }
    }

    /// As [`Self::find`], in records: what stands in the name of a field is not said.
    pub(crate) fn find_in_records(&self, text: &[u8], mut from: usize) -> Option<usize> {
        let Some(fragments) = &self.fragments else {
            return self.find(text, from);
        };
        loop {
            let found = fragments.find_at(text, from)?;
            if !is_in_name(text, found.range()) {
                return Some(found.start());
            }
            // A fragment may begin within the one before.
            from = found.start() + 1;
        }
    }

    /// Whether the record in `line`, in which [`Self::find_in_records`] found something, may say it.
    pub(crate) fn may_be_said_in(&self, line: &[u8]) -> bool {
        self.sketch
            .as_ref()
            .is_none_or(|sketch| sketch.is_match(line))
    }
}

/// Whether `place` lies in the name of a field: between quotes that are not escaped, of which the second is followed by a colon. Inside of a text
/// all quotes are escaped.
fn is_in_name(text: &[u8], place: Range<usize>) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let before = text[..place.start]
        .iter()
        .rev()
        .skip_while(|byte| is_of_name(byte))
        .take(2);
    let after = text[place.end..]
        .iter()
        .skip_while(|byte| is_of_name(byte))
        .take(2);
    text[place].iter().all(is_of_name)
        && matches!(before.collect::<Vec<_>>()[..], [b'"', b'{' | b',' | b' '])
        && after.eq(b"\":")
}

/// Whether there is an upper-case letter that is searched for: not one of an escape such as `\W` or `\p{Greek}`.
fn asks_for_upper_case(text: &str, is_regex: bool) -> bool {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if is_regex && c == '\\' {
            let escaped = chars.next();
            if matches!(escaped, Some('p' | 'P' | 'x' | 'u' | 'U')) && chars.peek() == Some(&'{') {
                chars.by_ref().find(|c| *c == '}');
            }
        } else if c.is_uppercase() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_upper_case_letter_makes_case_matter() {
        let ignores = |text: &str, is_regex| {
            Pattern::new(text, is_regex, Case::Smart)
                .unwrap()
                .ignores_case
        };
        assert!(ignores("login form", false));
        assert!(!ignores("Login", false));
        assert!(!ignores("École", false));
        assert!(ignores(r"\Wlogin\p{Greek}\S", true));
        assert!(!ignores(r"\\Login", true));
        assert!(!ignores(r"\Wa", false), "no escape where nothing is one");
    }

    #[test]
    fn search_field_names_are_skipped() {
        let pattern = Pattern::new("uuid", false, Case::Smart).unwrap();
        let candidates = pattern.candidates(&Written::at_home());
        let finds = |text: &str| candidates.find_in_records(text.as_bytes(), 0).is_some();
        assert!(!finds(r#"{"uuid":"x","parentUuid":"y"}"#));
        for text in [
            r#"{"x":"uuid"}"#,
            r#"{"x":"a uuid: b"}"#,
            r#"{"x":"{\"uuid\":7}"}"#,
            r#"{"uuid":"uuid"}"#,
            r#"uuid":"#,
            r#"\"uuid":"#,
        ] {
            assert!(finds(text), "{text}");
        }
    }

    #[test]
    fn search_invalid_pattern_error_shows_position() {
        assert!(matches!(
            Pattern::new("", false, Case::Smart),
            Err(PatternError::Empty)
        ));
        let Err(PatternError::Regex(e)) = Pattern::new("a(b", true, Case::Smart) else {
            panic!("no group is open")
        };
        assert!(e.to_string().contains("a(b\n     ^"), "{e}");
        assert!(Pattern::new("a(b", false, Case::Smart).is_ok());
        assert!(
            Pattern::new(r"\w{1000}{1000}", true, Case::Smart).is_err(),
            "it would take all memory"
        );
    }
}
