//! Fields of records, found in lines as bytes. Blanks around the colon, as other programs write
//! them, make no difference.
//!
//! Must not parse: a quote inside a text is escaped, so that a key with its quotes is found only
//! as JSON of the line itself.

use memchr::memmem;

/// Finds the values of the fields called `key`: the offset of the first byte of each.
pub(crate) fn values<'t>(text: &'t [u8], key: &str) -> impl Iterator<Item = usize> + use<'t> {
    let finder = memmem::Finder::new(&quoted(key)).into_owned();
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            from += finder.find(text.get(from..)?)? + finder.needle().len();
            if let Some(at) = value_after(text, from) {
                return Some(at);
            }
        }
    })
}

/// Finds the last value of a field called `key` that `accept` takes.
pub(crate) fn last_value<T>(
    text: &[u8],
    key: &str,
    mut accept: impl FnMut(usize) -> Option<T>,
) -> Option<T> {
    let needle = quoted(key);
    memmem::rfind_iter(text, &needle)
        .filter_map(|at| value_after(text, at + needle.len()))
        .find_map(&mut accept)
}

/// Finds the fields `key` whose value begins with the text `value`: the offsets of the quotes
/// before the values, from the first one on.
pub(crate) fn with_value<'t>(
    text: &'t [u8],
    key: &'t str,
    value: &str,
) -> impl Iterator<Item = usize> + use<'t> {
    let finder = memmem::Finder::new(&format!("\"{value}")).into_owned();
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let at = from + finder.find(text.get(from..)?)?;
            from = at + finder.needle().len();
            if is_value_of(&text[..at], key) {
                return Some(at);
            }
        }
    })
}

/// Finds the last field `key` that has the value `value` and that `accept` takes.
pub(crate) fn last_with_value<T>(
    text: &[u8],
    key: &str,
    value: &str,
    mut accept: impl FnMut(usize) -> Option<T>,
) -> Option<T> {
    memmem::rfind_iter(text, &quoted(value))
        .filter(|at| is_value_of(&text[..*at], key))
        .find_map(&mut accept)
}

/// Returns the JSON string that begins at `at`, with its quotes.
pub(crate) fn string_at(text: &[u8], at: usize) -> Option<&[u8]> {
    let text = text.get(at..).filter(|text| text.starts_with(b"\""))?;
    let mut end = 1;
    loop {
        let found = end + memchr::memchr2(b'"', b'\\', text.get(end..)?)?;
        if text[found] == b'"' {
            return Some(&text[..=found]);
        }
        end = found + 2;
    }
}

/// Returns the line at offset `at`.
pub(crate) fn line_at(lines: &[u8], at: usize) -> &[u8] {
    let start = memchr::memrchr(b'\n', &lines[..at]).map_or(0, |n| n + 1);
    let end = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |n| at + n);
    &lines[start..end]
}

fn quoted(text: &str) -> Vec<u8> {
    format!("\"{text}\"").into_bytes()
}

/// Returns the offset of the value whose key ends at `end`.
fn value_after(text: &[u8], end: usize) -> Option<usize> {
    let colon = skip_blanks(text, end);
    (text.get(colon) == Some(&b':')).then(|| skip_blanks(text, colon + 1))
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    let blanks = text.get(at..).unwrap_or_default().iter();
    at + blanks.take_while(|byte| is_blank(**byte)).count()
}

/// Returns true if a value that follows `head` is that of the field `key`.
fn is_value_of(head: &[u8], key: &str) -> bool {
    let Some(head) = without_blanks(head).strip_suffix(b":") else {
        return false;
    };
    let head = without_blanks(head).strip_suffix(b"\"");
    let head = head.and_then(|head| head.strip_suffix(key.as_bytes()));
    head.is_some_and(|head| head.ends_with(b"\""))
}

fn without_blanks(head: &[u8]) -> &[u8] {
    let last = head.iter().rposition(|byte| !is_blank(*byte));
    &head[..last.map_or(0, |last| last + 1)]
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_blanks_around_colon_make_no_difference() {
        for text in [
            r#"{"cwd":"/a","type":"user"}"#,
            r#"{"cwd": "/a", "type": "user"}"#,
            "{ \"cwd\" :\t\"/a\" , \"type\" : \"user\" }",
        ] {
            let text = text.as_bytes();
            let found: Vec<_> = values(text, "cwd")
                .filter_map(|at| string_at(text, at))
                .collect();
            assert_eq!(found, [b"\"/a\""]);
            assert_eq!(with_value(text, "type", "user\"").count(), 1);
            assert!(last_with_value(text, "type", "user", Some).is_some());
            assert!(last_value(text, "type", Some).is_some());
        }
    }

    #[test]
    fn fields_text_of_other_field_is_not_found() {
        for text in [
            r#"{"x":"\"type\":\"user\""}"#,
            r#"{"role":"user","type":"assistant"}"#,
            r#"["type","user"]"#,
            r#"{"mytype":"user"}"#,
        ] {
            assert_eq!(
                with_value(text.as_bytes(), "type", "user\"").count(),
                0,
                "{text}"
            );
        }
    }

    #[test]
    fn fields_torn_text_has_no_value() {
        for text in ["\"cwd", "\"cwd\"", "\"cwd\": ", "\"cwd\":\"\\"] {
            let text = text.as_bytes();
            assert!(values(text, "cwd").all(|at| string_at(text, at).is_none()));
        }
    }
}
