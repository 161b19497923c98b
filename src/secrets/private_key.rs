//! Private keys in PEM form (RFC 7468), in plain text and in JSON.

use std::ops::Range;

use memchr::memmem;

use crate::rewrite::{MAX_SECRET_BYTES, TextKind};

/// The form of private keys.
pub(super) const FORM: &str = "private-key";

/// The text that the search finds.
pub(super) const START: &str = "-----BEGIN ";

/// Longest key, in bytes.
const MAX_LEN: usize = 16_000;

/// Longest text between two lines of a key: line ends, quotes, line numbers.
const MAX_GAP: usize = 48;

/// Shortest line of a key that has no end.
const MIN_LINE: usize = 40;

/// Returns the places of the lines of the private key whose header begins at `start`.
pub(super) fn secrets_at(text: &[u8], start: usize, kind: TextKind) -> Vec<Range<usize>> {
    let Some(body) = body_start(text, start) else {
        return Vec::new();
    };
    let mut limit = text.len().min(body + MAX_LEN);
    if kind == TextKind::Json {
        limit = memchr::memchr(b'\n', &text[body..limit]).map_or(limit, |end| body + end);
    }
    let end = memmem::find(&text[body..limit], b"-----END").map(|end| body + end);
    match end {
        Some(end) if is_one_string(&text[body..end]) => pieces(text, body..end),
        Some(end) => lines(text, body..end, 1),
        None => lines(text, body..limit, MIN_LINE),
    }
}

/// Returns the offset after the header, if it is that of a private key.
fn body_start(text: &[u8], start: usize) -> Option<usize> {
    const MAX_HEADER: usize = 64;
    let label = start + START.len();
    let header = &text[label..text.len().min(label + MAX_HEADER)];
    let end = memmem::find(header, b"-----")?;
    memmem::find(&header[..end], b"PRIVATE KEY")?;
    Some(label + end + 5)
}

fn is_one_string(body: &[u8]) -> bool {
    !body.contains(&b'"') && !body.contains(&b'\n')
}

/// Cuts the body of a key into pieces that one placeholder may stand for, at letters.
fn pieces(text: &[u8], body: Range<usize>) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = body.start;
    while body.end - start > MAX_SECRET_BYTES {
        let longest = start + MAX_SECRET_BYTES;
        // An escape is at most six bytes long.
        let is_cut = |at: &usize| text[at - 7..=*at].iter().all(is_key_char);
        let cut = (start + 8..longest).rev().find(is_cut).unwrap_or(longest);
        pieces.push(start..cut);
        start = cut;
    }
    pieces.push(start..body.end);
    pieces
}

/// Returns the lines of a key with other text between them: line ends, quotes, line numbers.
fn lines(text: &[u8], body: Range<usize>, min_len: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let (mut at, mut last) = (body.start, body.start);
    while at < body.end && at - last <= MAX_GAP {
        let escape = escape_len(&text[at..body.end]);
        let length = text[at..body.end]
            .iter()
            .take_while(|b| is_key_char(b))
            .count();
        let line = at..at + length;
        let is_number = text[line.clone()].iter().all(u8::is_ascii_digit);
        if length >= min_len && !is_number {
            last = line.end;
            lines.push(line);
        }
        at += (length + escape).max(1);
    }
    lines
}

/// Returns the length of the escape that `text` begins with, if any.
fn escape_len(text: &[u8]) -> usize {
    match text {
        [b'\\', b'u', ..] => 6,
        [b'\\', _, ..] => 2,
        _ => 0,
    }
}

fn is_key_char(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b"+/=".contains(b)
}
