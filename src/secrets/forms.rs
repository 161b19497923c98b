//! The table of well-known forms of credentials.
//!
//! `forms.toml` holds it. A pattern is compiled when text that it begins with is found.

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::bytes::Regex;
use serde::Deserialize;

use super::class_tables::is_token_char;
use super::words::{begins_word, is_example, is_word};

/// Longest text that a form may match, in bytes.
const MAX_LEN: usize = 10_000;

/// One form of credentials.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Name in placeholders and messages.
    pub id: String,
    /// Name for display.
    pub name: String,
    /// Text that it begins with.
    pub starts: Vec<String>,
    /// Pattern of the whole form. Its group, if it has one, is the secret part.
    pub pattern: String,
    /// Text that must stand before it.
    #[serde(default)]
    pub after: Option<Before>,
    /// Checksum at the end of the value.
    #[serde(default)]
    pub checksum: Option<Checksum>,
    /// Address of its public description.
    pub source: String,
    #[serde(skip)]
    regex: OnceLock<Option<Regex>>,
}

/// Text before a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Before {
    /// A digit.
    Digits,
}

/// A checksum that is part of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// The last six characters are the CRC-32 of those after the prefix, in base 62.
    Crc32,
}

#[derive(Deserialize)]
struct Table {
    form: Vec<Form>,
}

/// Returns the table of well-known forms.
pub fn forms() -> &'static [Form] {
    static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
        let table: Table =
            toml::from_str(include_str!("forms.toml")).expect("a table that a test reads");
        table.form
    });
    &FORMS
}

/// Returns the name of a form for display.
pub fn form_name(id: &str) -> &str {
    match id {
        "private-key" => "private key",
        "named-secret" => "value named like a secret",
        "url-password" => "password in a URL",
        _ => forms()
            .iter()
            .find(|form| form.id == id)
            .map_or(id, |form| &form.name),
    }
}

impl Form {
    /// Returns true if what begins with `start` is one word with at least
    /// [`super::class_tables::MIN_TOKEN`] token characters.
    pub(super) fn begins_token(&self, start: &str) -> bool {
        // Other characters of values, and of text between their parts.
        let has_others = self.pattern.contains(['+', '/', '=', '%', '@', '$', ' ']);
        let is_token = start.bytes().all(is_token_char) && is_word(start.as_bytes()[0]);
        is_token && !has_others && self.checksum.is_none() && self.after.is_none()
    }

    /// Returns the place of the secret in a text that has this form at `start`.
    pub(super) fn secret_at(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        let window = &text[start..text.len().min(start + MAX_LEN)];
        let found = self.regex()?.captures(window)?;
        let whole = found.get(0)?;
        let secret = found.get(1).unwrap_or(whole);
        let value = secret.as_bytes();
        let is_sure = self
            .checksum
            .is_some_and(|checksum| checksum.is_right(value));
        let is_real =
            is_sure || self.has_boundaries(text, start, start + whole.end()) && !is_example(value);
        is_real.then(|| start + secret.start()..start + secret.end())
    }

    fn has_boundaries(&self, text: &[u8], start: usize, end: usize) -> bool {
        let is_digit = || start > 0 && text[start - 1].is_ascii_digit();
        let begins = match self.after {
            Some(Before::Digits) => is_digit(),
            None => !is_word(text[start]) || begins_word(text, start),
        };
        begins && !text.get(end).copied().is_some_and(is_word)
    }

    fn regex(&self) -> Option<&Regex> {
        let compile = || Regex::new(&format!(r"^(?-u:{})", self.pattern)).ok();
        self.regex.get_or_init(compile).as_ref()
    }
}

impl Checksum {
    fn is_right(self, value: &[u8]) -> bool {
        match self {
            Self::Crc32 => {
                let body = value
                    .iter()
                    .position(|b| *b == b'_')
                    .map(|at| &value[at + 1..]);
                body.and_then(|body| body.split_at_checked(body.len().checked_sub(6)?))
                    .is_some_and(|(body, sum)| sum == base62(crc32fast::hash(body)))
            }
        }
    }
}

/// Returns six digits of base 62.
fn base62(mut number: u32) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::class_tables::MIN_TOKEN;

    #[test]
    fn forms_table_is_complete() {
        assert!(forms().len() >= 80, "{}", forms().len());
        for form in forms() {
            assert!(form.regex().is_some(), "{}", form.id);
            assert!(form.source.starts_with("https://"), "{}", form.id);
            assert!(
                form.starts.iter().all(|start| start.len() >= 3),
                "{}",
                form.id
            );
        }
    }

    /// Tokens are found by their length.
    #[test]
    fn forms_that_begin_tokens_have_minimum_length() {
        use proptest::strategy::{Strategy, ValueTree};
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut is_token = |form: &Form| {
            let strategy = proptest::string::string_regex(&form.pattern).expect(&form.id);
            (0..100).all(|_| {
                let value = strategy.new_tree(&mut runner).expect(&form.id).current();
                value.bytes().take_while(|b| is_token_char(*b)).count() >= MIN_TOKEN
            })
        };
        for form in forms() {
            if form.starts.iter().any(|start| form.begins_token(start)) {
                assert!(is_token(form), "{}", form.id);
            }
        }
    }

    #[test]
    fn forms_checksum_decides() {
        let body = "1234567890abcdefghijABCDEFGHIJ";
        let sum = base62(crc32fast::hash(body.as_bytes()));
        let token = format!("ghp_{body}{}", String::from_utf8_lossy(&sum));
        assert!(Checksum::Crc32.is_right(token.as_bytes()));
        assert!(!Checksum::Crc32.is_right(format!("ghp_{body}aaaaaa").as_bytes()));
    }
}
