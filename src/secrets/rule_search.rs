//! Searches text by the rules of the user.
//!
//! A rule with keywords is tried only near them. It is compared with the text as the user reads
//! it: without escapes, at every depth of JSON.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use std::path::Path;

use super::rule::{Allowance, Rule};
use super::rule_file::RuleFiles;
use super::scan::{FindingKind, SecretFinding};
use crate::rewrite::{MAX_SECRET_BYTES, TextKind};
use crate::sys::fs::PathError;

/// Most text before and after a keyword that a pattern is compared with, in bytes.
const MAX_AROUND: usize = 16 << 10;

/// The rules of the user, ready to search.
#[derive(Default)]
pub(super) struct RuleSearch {
    rules: Vec<Rule>,
    /// Values that are no secrets, whatever finds them.
    allowed: Vec<Allowance>,
    pub(super) warnings: Vec<String>,
    keywords: Option<AhoCorasick>,
    /// For each keyword the number of its rule.
    owners: Vec<usize>,
}

impl RuleSearch {
    /// Reads the rules.
    ///
    /// # Errors
    /// [`PathError`] if a file cannot be read.
    pub(super) fn open(config_dir: &Path, home: &Path) -> Result<Self, PathError> {
        let RuleFiles {
            rules,
            allowed,
            mut warnings,
        } = RuleFiles::read(config_dir, home)?;
        let pairs = rules.iter().enumerate();
        let pairs = pairs.flat_map(|(n, rule)| rule.keywords.iter().map(move |word| (word, n)));
        let (words, owners): (Vec<_>, Vec<_>) = pairs.unzip();
        let mut builder = AhoCorasick::builder();
        let keywords =
            (!words.is_empty()).then(|| builder.ascii_case_insensitive(true).build(words));
        let keywords = keywords.transpose().unwrap_or_else(|error| {
            warnings.push(format!("rules with keywords not used: {error}"));
            None
        });
        Ok(Self {
            rules,
            allowed,
            warnings,
            keywords,
            owners,
        })
    }

    /// Returns true if a value is no secret.
    pub(super) fn is_allowed(&self, value: &[u8]) -> bool {
        self.allowed
            .iter()
            .any(|allowed| allowed.covers_value(value))
    }

    /// Adds what the rules find.
    pub(super) fn scan<'s>(
        &'s self,
        text: &[u8],
        kind: TextKind,
        found: &mut Vec<SecretFinding<'s>>,
    ) {
        if self.rules.is_empty() {
            return;
        }
        for (rule, windows) in self.rules.iter().zip(self.windows(text)) {
            for window in windows {
                let readable = ReadableText::new(text, window, kind);
                for secret in rule.find(&readable.text) {
                    let range = readable.original(secret.secret.range());
                    found.extend(pieces(range).map(|range| SecretFinding {
                        range,
                        kind: FindingKind::Value(&rule.form),
                    }));
                }
            }
        }
    }

    /// Returns the parts of the text that each rule is compared with.
    fn windows(&self, text: &[u8]) -> Vec<Vec<Range<usize>>> {
        let everywhere = |rule: &Rule| match rule.keywords.is_empty() {
            true => lines(text),
            false => Vec::new(),
        };
        let mut windows: Vec<Vec<_>> = self.rules.iter().map(everywhere).collect();
        let hits = self.keywords.iter();
        for hit in hits.flat_map(|keywords| keywords.find_overlapping_iter(text)) {
            let windows = &mut windows[self.owners[hit.pattern().as_usize()]];
            let window = window(text, hit.range());
            match windows.last_mut().filter(|last| window.start < last.end) {
                Some(last) => last.end = last.end.max(window.end),
                None => windows.push(window),
            }
        }
        windows
    }
}

/// Returns the line around a keyword, as far as it is not too long.
fn window(text: &[u8], keyword: Range<usize>) -> Range<usize> {
    let first = keyword.start.saturating_sub(MAX_AROUND);
    let last = text.len().min(keyword.end + MAX_AROUND);
    let start = memchr::memrchr(b'\n', &text[first..keyword.start]);
    let end = memchr::memchr(b'\n', &text[keyword.end..last]);
    start.map_or(first, |end| first + end + 1)..end.map_or(last, |end| keyword.end + end)
}

fn lines(text: &[u8]) -> Vec<Range<usize>> {
    let mut start = 0;
    let lines = text.split_inclusive(|b| *b == b'\n').map(|line| {
        start += line.len();
        start - line.len()..start
    });
    lines.collect()
}

/// Cuts a secret into pieces that one placeholder may stand for.
fn pieces(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(MAX_SECRET_BYTES)
        .map(move |start| start..end.min(start + MAX_SECRET_BYTES))
}

/// A part of a text without escapes.
struct ReadableText {
    text: Vec<u8>,
    /// For each byte where it begins in the original; then where the part ends.
    starts: Vec<usize>,
}

impl ReadableText {
    fn new(original: &[u8], part: Range<usize>, kind: TextKind) -> Self {
        let mut readable = Self {
            text: Vec::with_capacity(part.len()),
            starts: Vec::with_capacity(part.len() + 1),
        };
        let mut at = part.start;
        while at < part.end {
            let (byte, length) = match kind {
                TextKind::Json => readable_byte(&original[at..part.end]),
                TextKind::Plain => (original[at], 1),
            };
            readable.text.push(byte);
            readable.starts.push(at);
            at += length;
        }
        readable.starts.push(part.end);
        readable
    }

    fn original(&self, range: Range<usize>) -> Range<usize> {
        self.starts[range.start]..self.starts[range.end]
    }
}

/// Returns the first byte of text as the user reads it, and the length of its escape.
fn readable_byte(text: &[u8]) -> (u8, usize) {
    let slashes = text.iter().take_while(|b| **b == b'\\').count();
    match (slashes, text.get(slashes)) {
        (0, _) => (text[0], 1),
        (_, Some(byte @ (b'"' | b'\'' | b'/'))) => (*byte, slashes + 1),
        (_, Some(b'n' | b'r')) => (b'\n', slashes + 1),
        (_, Some(b't')) => (b'\t', slashes + 1),
        (_, Some(b'u')) => {
            let digits = text.get(slashes + 1..slashes + 5);
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) if byte.is_ascii() => (byte, slashes + 5),
                _ => (b'\\', slashes),
            }
        }
        _ => (b'\\', slashes),
    }
}
