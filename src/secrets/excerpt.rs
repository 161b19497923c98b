//! The text around a secret, for display: without that secret and those next to it.

use std::ops::Range;

use crate::rewrite::SecretSpan;

/// Bytes of text before and after a secret.
const BEFORE: usize = 32;
const AFTER: usize = 12;

/// Text in the place of a secret.
const MARK: &str = "[secret]";

/// Returns the text around the secret at `range`, one of `secrets`.
pub fn excerpt(text: &[u8], range: &Range<usize>, secrets: &[SecretSpan]) -> String {
    let is_other = |span: &&SecretSpan| span.range != *range;
    let others = || secrets.iter().filter(is_other);
    let line_start = memchr::memrchr(b'\n', &text[..range.start]).map_or(0, |end| end + 1);
    let ends = others()
        .map(|span| span.range.end)
        .filter(|end| *end <= range.start);
    let start = ends
        .chain([line_start, range.start.saturating_sub(BEFORE)])
        .max();
    let line_end = memchr::memchr(b'\n', &text[range.end..]).map(|end| range.end + end);
    let starts = others()
        .map(|span| span.range.start)
        .filter(|start| *start >= range.end);
    let end = starts
        .chain(line_end)
        .chain([text.len().min(range.end + AFTER)])
        .min();
    // The string of JSON that the secret is in is enough.
    let start = start.unwrap_or(range.start);
    let start = memchr::memrchr(b'"', &text[start..range.start]).map_or(start, |at| start + at + 1);
    let end = end.unwrap_or(range.end);
    let end = memchr::memchr(b'"', &text[range.end..end]).map_or(end, |at| range.end + at);
    let shown = |part: Range<usize>| String::from_utf8_lossy(&text[part]).into_owned();
    plain(&format!(
        "{}{MARK}{}",
        shown(start..range.start),
        shown(range.end..end)
    ))
}

/// Returns text of JSON without its escapes, as far as a reader needs it.
fn plain(text: &str) -> String {
    let text = text
        .trim_matches('\u{fffd}')
        .replace("\\n", " ")
        .replace('\\', "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
