//! Finds the JSON string at a place and decides whether that string may be rewritten.
//!
//! Owns the rule that protects strings. It looks back from a place to the quote that opens
//! its string; places are asked for in ascending order, so that a line of many megabytes
//! with many paths is read once. Must not change text.
//!
//! The rule must say the same of a line and of its portable form. It does: a path form in
//! JSON text never holds an unescaped quote or a line end and never ends within an
//! escape, so both forms have the same strings.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::{memchr, memmem, memrchr, memrchr2};

use super::kinds::TextKind;
use super::outline::{CLIENT_RECORD_SIGNS, LineOutline, is_of_record, outline};

/// The model's thinking, which the API checks as it is.
const THINKING_KEY: &[u8] = b"\"thinking\"";

/// Strings that are never rewritten: signatures, which are checked, and base64, which holds no
/// paths.
const BYTES_KEYS: [&[u8]; 2] = [b"\"signature\"", b"\"base64\""];

/// A string under this key is protected if its object is of `type` `base64` or `redacted_thinking`.
const DATA_KEY: &[u8] = b"\"data\"";

/// The record's own string under this key is the client's.
const CWD_KEY: &[u8] = b"\"cwd\"";

/// The key of a directory that the client compares with the resolved one before it restores a file
/// (client 2.1.332).
const REAL_DIRECTORY_KEY: &[u8] = b"\"realParentDir\"";

/// Which parts of a string are never rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    /// Nothing is protected.
    None,
    /// Everything but secrets.
    Thinking,
    /// Everything.
    Bytes,
}

/// Answers questions about places in one text, which must be asked in ascending order.
pub(super) struct Strings<'t> {
    text: &'t [u8],
    kind: TextKind,
    opening: LookBack<'t>,
    last: Option<(usize, Protection)>,
    /// The line that was asked about last.
    line: Range<usize>,
    outlined: Range<usize>,
    outline: LineOutline,
    /// Offset of the next of [`CLIENT_RECORD_SIGNS`], once searched for.
    next_sign: Option<usize>,
}

impl<'t> Strings<'t> {
    pub(super) fn new(text: &'t [u8], kind: TextKind) -> Self {
        let opening = LookBack::new(text);
        Self {
            text,
            kind,
            opening,
            last: None,
            line: 0..0,
            outlined: 0..0,
            outline: LineOutline::default(),
            next_sign: None,
        }
    }

    /// Returns true if paths in the text at `at` stay as they are.
    pub(super) fn is_protected(&mut self, at: usize) -> bool {
        self.protection(at) != Protection::None
    }

    /// Returns the protection of the text at `at`. No unescaped quote may lie between `at` and
    /// a later place that was asked for before.
    pub(super) fn protection(&mut self, at: usize) -> Protection {
        if self.kind == TextKind::Plain {
            return Protection::None;
        }
        let Some(quote) = self.opening.find(at, is_unescaped) else {
            return Protection::None;
        };
        if let Some((_, protection)) = self.last.filter(|(last, _)| *last == quote) {
            return protection;
        }
        let protection = self.protection_of_string(quote);
        self.last = Some((quote, protection));
        protection
    }

    /// Returns true if the text at `at` is read by the client only: a record's `cwd`, or
    /// a record that is no conversation.
    pub(super) fn is_clients_own(&mut self, at: usize) -> bool {
        if self.kind == TextKind::Plain {
            return false;
        }
        let Some(quote) = self.opening.find(at, is_unescaped) else {
            return false;
        };
        let line = self.line_at(quote);
        if !self.may_be_clients_record(&line) {
            let is_cwd = text_before_colon(&self.text[..quote])
                .and_then(|key| key.strip_suffix(CWD_KEY))
                .is_some_and(is_unescaped);
            if !is_cwd {
                return false;
            }
            if let Some(is_own) = is_of_record(&self.text[line.clone()], quote - line.start) {
                return is_own;
            }
        }
        let line = self.outline_at(quote);
        let quote = quote - line;
        self.outline.client_only || self.outline.cwd.binary_search(&quote).is_ok()
    }

    /// Returns true if the text at `at` is a directory that the client compares with the resolved
    /// one, in a record that is no conversation.
    pub(super) fn is_real_path(&mut self, at: usize) -> bool {
        if self.kind == TextKind::Plain {
            return false;
        }
        let Some(quote) = self.opening.find(at, is_unescaped) else {
            return false;
        };
        let is_key = text_before_colon(&self.text[..quote])
            .and_then(|key| key.strip_suffix(REAL_DIRECTORY_KEY))
            .is_some_and(is_unescaped);
        is_key && {
            self.outline_at(quote);
            self.outline.client_only
        }
    }

    /// Returns true if the line has a sign of a record that only the client reads. Lines are
    /// asked for in ascending order, so the text is searched once.
    fn may_be_clients_record(&mut self, line: &Range<usize>) -> bool {
        if self.next_sign.is_none_or(|next| next < line.start) {
            self.next_sign = Some(
                next_sign(&self.text[line.start..]).map_or(usize::MAX, |found| line.start + found),
            );
        }
        self.next_sign.is_some_and(|next| next < line.end)
    }

    fn line_at(&mut self, at: usize) -> Range<usize> {
        if !self.line.contains(&at) {
            let start = memrchr(b'\n', &self.text[..at]).map_or(0, |end| end + 1);
            let end = memchr(b'\n', &self.text[at..]).map_or(self.text.len(), |end| at + end);
            self.line = start..end;
        }
        self.line.clone()
    }

    fn protection_of_string(&mut self, quote: usize) -> Protection {
        let Some(key) = text_before_colon(&self.text[..quote]) else {
            return Protection::None;
        };
        let is_key = |name: &[u8]| key.strip_suffix(name).is_some_and(is_unescaped);
        if is_key(THINKING_KEY) {
            return Protection::Thinking;
        }
        if BYTES_KEYS.iter().any(|name| is_key(name)) {
            return Protection::Bytes;
        }
        let is_data = key.ends_with(DATA_KEY) && {
            let line = self.outline_at(quote);
            self.outline.data.binary_search(&(quote - line)).is_ok()
        };
        if is_data {
            Protection::Bytes
        } else {
            Protection::None
        }
    }

    /// Makes `outline` that of the line that holds `at`; returns where the line begins.
    fn outline_at(&mut self, at: usize) -> usize {
        if !self.outlined.contains(&at) {
            let line = self.line_at(at);
            self.outline = outline(&self.text[line.clone()]);
            self.outlined = line;
        }
        self.outlined.start
    }
}

/// A backward search for a quote in the line of a place, for places in ascending order:
/// no byte is read twice.
pub(super) struct LookBack<'t> {
    text: &'t [u8],
    seen: usize,
    found: Option<usize>,
}

impl<'t> LookBack<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            seen: 0,
            found: None,
        }
    }

    /// The last quote before `at`, in its line, that is accepted.
    pub(super) fn find(&mut self, at: usize, accept: impl Fn(&[u8]) -> bool) -> Option<usize> {
        let mut end = at;
        while let Some(found) = self
            .text
            .get(self.seen..end)
            .and_then(|new| memrchr2(b'"', b'\n', new))
        {
            end = self.seen + found;
            let is_quote = self.text[end] == b'"';
            if !is_quote || accept(&self.text[..end]) {
                self.found = is_quote.then_some(end);
                break;
            }
        }
        self.seen = self.seen.max(at);
        self.found
    }
}

/// Returns the offset of the first sign of a record that only the client reads.
fn next_sign(text: &[u8]) -> Option<usize> {
    static SIGNS: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(CLIENT_RECORD_SIGNS));
    match &*SIGNS {
        Some(signs) => signs.find(text).map(|found| found.start()),
        // A processor without vector instructions.
        None => CLIENT_RECORD_SIGNS
            .iter()
            .filter_map(|sign| memmem::find(text, sign))
            .min(),
    }
}

/// Returns true if a quote that follows `head` is one of the line's own JSON, not one
/// inside a string.
fn is_unescaped(head: &[u8]) -> bool {
    head.iter()
        .rev()
        .take_while(|b| **b == b'\\')
        .count()
        .is_multiple_of(2)
}

/// Returns the text before the colon at the end of `head`, without blanks.
fn text_before_colon(head: &[u8]) -> Option<&[u8]> {
    without_blanks(head).strip_suffix(b":").map(without_blanks)
}

/// `head` without the blanks it ends with; a line end stays, so that no line depends on
/// the one before.
fn without_blanks(head: &[u8]) -> &[u8] {
    &head[..head
        .iter()
        .rposition(|b| !matches!(b, b' ' | b'\t'))
        .map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns true if the place of the first `@` is protected.
    fn protected(text: &str) -> bool {
        Strings::new(text.as_bytes(), TextKind::Json).is_protected(text.find('@').expect("a place"))
    }

    #[test]
    fn strings_key_decides_protection() {
        for text in [
            r#"{"thinking":"a \"b\" \\ @"}"#,
            r#"{"x":1,"signature" : "@"}"#,
            r#"{"base64":"@"#,
            r#"{"type":"base64","data":"@"}"#,
        ] {
            assert!(protected(text), "{text}");
        }
        for text in [
            r#"{"text":"@"}"#,
            r#"{"thinking":["@"]}"#,
            r#"{"thinking@":1}"#,
            r#"{"\"thinking":"@"}"#,
            r#"{"x":"\"thinking\":\"@\""}"#,
            r#"{"x":"\"thinking\":","y":"@"}"#,
            "{\"thinking\":\n\"@\"}",
            "{\"thinking\":\"\n@",
        ] {
            assert!(!protected(text), "{text}");
        }
    }

    #[test]
    fn strings_look_back_stops_at_line_and_previous_match() {
        let mut opening = LookBack::new(b"\"a\nb\"c\\\"d");
        assert_eq!(
            [1, 3, 4, 7, 9].map(|at| opening.find(at, is_unescaped)),
            [Some(0), None, None, Some(4), Some(4)]
        );
    }
}
