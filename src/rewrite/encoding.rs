//! The encodings of a path inside a session: JSON escapes, percent signs, directory names.
//!
//! Owns the encoders, and the two decoders that an expander needs. Must not know about
//! placeholders.

/// The deepest nesting of JSON in JSON at which a path is recognised.
pub(super) const MAX_DEPTH: u8 = 3;

/// `text` as it reads inside `depth` levels of JSON strings: each level doubles
/// backslashes and escapes quotes.
pub(super) fn json_escaped(text: &str, depth: u8) -> String {
    (0..depth).fold(text.to_owned(), |text, _| {
        text.replace('\\', "\\\\").replace('"', "\\\"")
    })
}

/// `text` written by an encoder that also escapes slashes (`\/`), inside `depth` levels
/// of JSON strings, one or more.
pub(super) fn slash_escaped(text: &str, depth: u8) -> String {
    json_escaped(&json_escaped(text, 1).replace('/', "\\/"), depth - 1)
}

/// `text` as JavaScript's `encodeURI` writes it: slashes, colons and most punctuation stay.
pub(super) fn percent_encoded(text: &str) -> String {
    percent(text, |b| {
        b.is_ascii_alphanumeric() || b";,/?:@&=+$-_.!~*'()#".contains(&b)
    })
}

/// `text` as JavaScript's `encodeURIComponent` writes it: slashes, colons and backslashes
/// are encoded too.
pub(super) fn component_encoded(text: &str) -> String {
    percent(text, |b| {
        b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b)
    })
}

/// `text` with everything but `[A-Za-z0-9/._-]` encoded: what may stand inside a placeholder.
pub(super) fn tag_encoded(text: &str) -> String {
    percent(text, |b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
}

/// The text that [`tag_encoded`] was given; `None` for anything that function does not write.
pub(super) fn tag_decoded(encoded: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while at < encoded.len() {
        let percent = percent_at(encoded, at);
        bytes.push(percent.unwrap_or(encoded[at]));
        at += if percent.is_some() { 3 } else { 1 };
    }
    let text = String::from_utf8(bytes).ok()?;
    (tag_encoded(&text).as_bytes() == encoded).then_some(text)
}

/// The byte that `%XX` at `at` stands for.
pub(super) fn percent_at(text: &[u8], at: usize) -> Option<u8> {
    match text.get(at..at + 3)? {
        [b'%', high, low] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

/// The UTF-16 unit that four hexadecimal digits stand for.
pub(super) fn utf16_unit(digits: &[u8]) -> Option<u16> {
    digits
        .iter()
        .try_fold(0, |unit, digit| Some(unit << 4 | u16::from(hex(*digit)?)))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn percent(text: &str, is_plain: impl Fn(u8) -> bool) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_json_level_doubles_backslashes() {
        assert_eq!(json_escaped("C:\\a\"b", 0), "C:\\a\"b");
        assert_eq!(json_escaped("C:\\a\"b", 1), "C:\\\\a\\\"b");
        assert_eq!(json_escaped("C:\\a\"b", 2), "C:\\\\\\\\a\\\\\\\"b");
        assert_eq!(slash_escaped("/a", 1), "\\/a");
        assert_eq!(slash_escaped("/a", 3), "\\\\\\\\/a");
    }

    #[test]
    fn encoding_percent_follows_javascript() {
        assert_eq!(percent_encoded("/a b/é#"), "/a%20b/%C3%A9#");
        assert_eq!(component_encoded("C:\\a b"), "C%3A%5Ca%20b");
    }

    #[test]
    fn encoding_tag_round_trips_and_must_be_canonical() {
        for text in ["work/app", "a b/é\"}}%41", ""] {
            assert_eq!(
                tag_decoded(tag_encoded(text).as_bytes()).as_deref(),
                Some(text)
            );
        }
        for not_canonical in ["a b", "%2f", "%41", "%FF", "%", "}"] {
            assert_eq!(
                tag_decoded(not_canonical.as_bytes()),
                None,
                "{not_canonical}"
            );
        }
    }
}
