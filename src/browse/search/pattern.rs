//! The searched text: exact in messages, and a fast pre-filter for the raw bytes of the
//! store.
//!
//! The store holds JSON with placeholders for paths. A line is parsed only if it
//! contains a *fragment*, a piece of the searched text that is stored unchanged
//! however the rest is escaped. A record must also match the *sketch*, a loose byte
//! regex for the whole. So no matching line is missed, and few lines are parsed in
//! vain. Pure.

use std::ops::Range;

use regex::{Regex, RegexBuilder, bytes};

use crate::browse::{
    search::fragment, search::fragment::Fragment, search::parts::parts, search::sketch::sketch,
    search::written::Written,
};
use crate::domain::{ErrorKind, UserError};
use crate::workspace::SyncError;

/// Case sensitivity of a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Case {
    /// Ignore case, unless the text has an upper-case letter.
    #[default]
    Smart,
    /// Ignore case.
    Ignore,
    /// Match case.
    Exact,
}

/// Error: the text cannot be searched for.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// The text is empty.
    #[error("the search text is empty")]
    Empty,
    /// Not a regular expression, or one that would need too much memory.
    #[error("invalid regular expression")]
    Regex(#[source] regex::Error),
}

/// The searched text.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// Expression for messages.
    pub(crate) regex: Regex,
    /// Its parts.
    source: String,
    ignores_case: bool,
}

/// Finds lines of the store that may match.
pub(crate) struct LineFilter {
    /// `None`: every line is a candidate.
    fragments: Option<bytes::Regex>,
    /// `None`: the fragments suffice.
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
        let regex = RegexBuilder::new(&source)
            .case_insensitive(ignores_case)
            .multi_line(true)
            .build();
        let regex = regex.map_err(PatternError::Regex)?;
        Ok(Self {
            regex,
            source,
            ignores_case,
        })
    }

    /// Returns the pre-filter for the store. `written`: text that a placeholder may stand
    /// for.
    pub(crate) fn candidates(&self, written: &Written) -> LineFilter {
        let parts = parts(&self.source, self.ignores_case).unwrap_or_default();
        let fragments = fragment::best(&parts, written).and_then(|fragments| {
            let alternatives: Vec<String> = fragments.iter().map(Fragment::as_regex).collect();
            bytes::Regex::new(&alternatives.join("|")).ok()
        });
        // Omitted if it needs too much memory.
        let sketch = sketch(&parts, written).and_then(|sketch| bytes::Regex::new(&sketch).ok());
        LineFilter { fragments, sketch }
    }
}

impl LineFilter {
    /// Returns the offset of the next candidate match at or after `from`.
    pub(crate) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        match &self.fragments {
            Some(fragments) => fragments.find_at(text, from).map(|found| found.start()),
            None => (from < text.len()).then_some(from),
        }
    }

    /// Returns the next match as [`Self::find`], for records: field names are not
    /// messages.
    pub(crate) fn find_in_records(&self, text: &[u8], mut from: usize) -> Option<usize> {
        let Some(fragments) = &self.fragments else {
            return self.find(text, from);
        };
        loop {
            let found = fragments.find_at(text, from)?;
            if !is_in_name(text, found.range()) {
                return Some(found.start());
            }
            // A fragment may overlap the previous one.
            from = found.start() + 1;
        }
    }

    /// Returns true if the record in `line`, found by [`Self::find_in_records`], may
    /// contain a match.
    pub(crate) fn may_match(&self, line: &[u8]) -> bool {
        self.sketch
            .as_ref()
            .is_none_or(|sketch| sketch.is_match(line))
    }
}

/// Returns true if `place` is in a field name: between unescaped quotes, the second one
/// followed by a colon. Inside a text all quotes are escaped.
fn is_in_name(text: &[u8], place: Range<usize>) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let before = text[..place.start]
        .iter()
        .rev()
        .skip_while(|byte| is_of_name(byte))
        .take(2);
    let mut after = text[place.end..].iter().skip_while(|byte| is_of_name(byte));
    let ends_name = after.next() == Some(&b'"') && after.find(|byte| **byte != b' ') == Some(&b':');
    text[place].iter().all(is_of_name)
        && matches!(before.collect::<Vec<_>>()[..], [b'"', b'{' | b',' | b' '])
        && ends_name
}

/// Returns true if the searched text has an upper-case letter outside of escapes such as
/// `\W` or `\p{Greek}`.
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

impl UserError for PatternError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Empty => "give a text: `ccsync search \"login form\"`",
            Self::Regex(_) => "to search for the text itself, omit `--regex`",
        };
        vec![hint.to_owned()]
    }
}

impl From<PatternError> for SyncError {
    fn from(error: PatternError) -> Self {
        Self::Operation(Box::new(error))
    }
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
