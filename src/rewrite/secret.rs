//! Secrets in text: their placeholders in the store, and what stands for them elsewhere.
//!
//! Owns both notations and the traits that find secrets and know their values. Must not know
//! what a secret looks like.

use std::ops::Range;
use std::sync::Arc;

use memchr::memchr;

use super::kinds::TextKind;
use super::placeholder::{PlaceholderToken, placeholder_at};
use super::strings::{Protection, Strings};
use crate::domain::SecretName;

/// Name of the placeholders of secrets. Their tags have a dot, those of paths do not.
const NAME: &[u8] = b"SECRET";

/// Beginning of a redaction.
pub const REDACTION_START: &str = "[secret: ";

/// Longest value of one placeholder, in bytes, so that no text grows beyond the limit of
/// [`super::Expander::expand_bounded`].
pub const MAX_SECRET_BYTES: usize = 2048;

/// Finds the secrets of a text that become placeholders.
pub trait SecretFinder: Send + Sync {
    /// Returns the places, which do not overlap, in ascending order.
    fn find(&self, text: &[u8], kind: TextKind) -> Vec<SecretSpan>;
}

/// Knows the values of secrets.
pub trait SecretValues: Send + Sync {
    /// Returns the bytes that a placeholder stands for, if this machine knows them.
    fn value(&self, name: &SecretName) -> Option<Arc<[u8]>>;
}

/// Text that becomes the placeholder of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpan {
    /// Its place.
    pub range: Range<usize>,
    /// The secret.
    pub name: SecretName,
}

/// Returns the spans that lie in a part of the text they were found in, as spans of that part.
pub fn spans_within(spans: &[SecretSpan], part: Range<usize>) -> Vec<SecretSpan> {
    let inside = |span: &&SecretSpan| part.start <= span.range.start && span.range.end <= part.end;
    let moved = |span: &SecretSpan| SecretSpan {
        range: span.range.start - part.start..span.range.end - part.start,
        name: span.name.clone(),
    };
    spans.iter().filter(inside).map(moved).collect()
}

/// Returns `text` with other text in the place of its secrets.
pub fn replace_spans(
    text: &[u8],
    spans: &[SecretSpan],
    replacement: impl Fn(&SecretName) -> String,
) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut from = 0;
    for span in spans {
        replaced.extend_from_slice(&text[from..span.range.start]);
        replaced.extend_from_slice(replacement(&span.name).as_bytes());
        from = span.range.end;
    }
    replaced.extend_from_slice(&text[from..]);
    replaced
}

/// How the placeholders of secrets are expanded.
#[derive(Clone, Copy)]
pub enum SecretView<'v> {
    /// They stay placeholders: the same text on every machine.
    Placeholder,
    /// They become redactions.
    Redaction,
    /// They become their values; unknown ones become redactions.
    Value(&'v dyn SecretValues),
}

impl SecretView<'_> {
    /// Appends the text that stands for a secret, given its placeholder.
    pub(super) fn write(self, name: &SecretName, placeholder: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Placeholder => out.extend_from_slice(placeholder),
            Self::Redaction => out.extend_from_slice(redaction(name).as_bytes()),
            Self::Value(values) => match values.value(name) {
                Some(value) => out.extend_from_slice(&value),
                None => out.extend_from_slice(redaction(name).as_bytes()),
            },
        }
    }
}

/// Returns the placeholder of a secret.
pub fn secret_placeholder(name: &SecretName) -> String {
    format!("{{{{SECRET:{name}}}}}")
}

/// Returns the text that a machine without the value reads.
pub fn redaction(name: &SecretName) -> String {
    format!("{REDACTION_START}{} {}]", name.form(), name.id())
}

/// Returns the secret whose redaction `text` begins with, and the length of the redaction.
pub fn redaction_at(text: &[u8]) -> Option<(SecretName, usize)> {
    const MAX_LEN: usize = 64;
    let rest = text.strip_prefix(REDACTION_START.as_bytes())?;
    let end = memchr(b']', &rest[..rest.len().min(MAX_LEN)])?;
    let (form, id) = std::str::from_utf8(&rest[..end]).ok()?.split_once(' ')?;
    Some((SecretName::new(form, id)?, REDACTION_START.len() + end + 1))
}

/// Returns the placeholders of secrets in portable text, escaped ones aside.
pub fn secrets_in(portable: &[u8]) -> impl Iterator<Item = (Range<usize>, SecretName)> {
    memchr::memmem::find_iter(portable, b"{{SECRET:").filter_map(|at| {
        let token = placeholder_at(portable, at)?;
        Some((at..token.end, secret_of(&token)?))
    })
}

/// Returns the secret of a placeholder.
pub(super) fn secret_of(token: &PlaceholderToken<'_>) -> Option<SecretName> {
    if token.name != NAME || token.tail.is_some() {
        return None;
    }
    SecretName::parse(std::str::from_utf8(token.tag).ok()?)
}

/// Returns true if text at `at` that looks like a placeholder has one more tilde in the store.
/// Its name begins at `letter`; nothing from `end` on counts.
///
/// The model's thinking is signed, so only what would read as a secret is escaped there.
pub(super) fn is_escaped(
    strings: &mut Strings<'_>,
    text: &[u8],
    at: usize,
    letter: usize,
    end: usize,
) -> bool {
    match strings.protection(at) {
        Protection::None => true,
        Protection::Thinking => super::placeholder::token_at(&text[..end], letter)
            .is_some_and(|token| secret_of(&token).is_some()),
        Protection::Bytes => false,
    }
}

/// Returns the spans without those whose replacement would change the structure of the text.
pub fn replaceable(spans: Vec<SecretSpan>, text: &[u8], kind: TextKind) -> Vec<SecretSpan> {
    let mut strings = Strings::new(text, kind);
    let mut end = 0;
    let mut spans = spans;
    spans.retain(|span| {
        let Range { start, end: stop } = span.range;
        let is_whole = start >= end
            && text.get(start..stop).is_some_and(|value| {
                !value.is_empty()
                    && !value.contains(&b'\n')
                    && is_within_string(text, value, start, kind)
            })
            && strings.protection(start) != Protection::Bytes;
        if is_whole {
            end = stop;
        }
        is_whole
    });
    spans
}

/// Returns true if `value`, at `start` of the text, neither holds a quote nor cuts an escape.
fn is_within_string(text: &[u8], value: &[u8], start: usize, kind: TextKind) -> bool {
    let escapes = |text: &[u8]| text.iter().rev().take_while(|b| **b == b'\\').count();
    kind == TextKind::Plain
        || !value.contains(&b'"')
            && escapes(&text[..start]).is_multiple_of(2)
            && !text[start.saturating_sub(5)..start]
                .windows(2)
                .any(|pair| pair == b"\\u")
            && escapes(value).is_multiple_of(2)
}
