//! Values of variables and settings that are named like secrets, and passwords in URLs.
//!
//! A name tells less than a form, so the value must look like one that was made at random, or
//! stand in quotes after the name of a password.

use std::ops::Range;

use super::words::{begins_word, entropy, is_example, is_example_password, is_word};

/// The form of a value that a name gives away.
pub(super) const FORM: &str = "named-secret";

/// The form of a password in a URL.
pub(super) const URL_FORM: &str = "url-password";

/// Ends of names of secrets. A part of another name may follow: see [`NAME_RESTS`].
pub(super) const NAME_PARTS: [&str; 30] = [
    "password",
    "Password",
    "PASSWORD",
    "passwd",
    "PASSWD",
    "passphrase",
    "PASSPHRASE",
    "_pass",
    "_PASS",
    "secret",
    "Secret",
    "SECRET",
    "token",
    "Token",
    "TOKEN",
    "api_key",
    "apikey",
    "apiKey",
    "ApiKey",
    "API_KEY",
    "APIKEY",
    "api-key",
    "Api-Key",
    "API-Key",
    "access_key",
    "accessKey",
    "private_key",
    "AccessKey",
    "Bearer ",
    "Basic ",
];

/// Ends of schemes of URLs.
pub(super) const URL_STARTS: [&str; 6] = ["s://", "p://", "l://", "b://", "v://", "e://"];

/// Endings that may follow a part in the name of a secret, in lower case without separators.
const NAME_RESTS: [&str; 10] = [
    "",
    "key",
    "accesskey",
    "token",
    "value",
    "base",
    "keybase",
    "id",
    "hash",
    "b64",
];

/// Longest value, in bytes.
const MAX_VALUE: usize = 512;

/// Shortest value, in bytes, of a password and of others.
const MIN_PASSWORD: usize = 8;
const MIN_VALUE: usize = 16;

/// Returns the place of the value that is assigned to a name; the part of the name is at
/// `start..end`.
pub(super) fn value_at(text: &[u8], start: usize, end: usize) -> Option<Range<usize>> {
    // A placeholder of the store, or text that looks like one.
    if text[..start].ends_with(b"{{") || text[..start].ends_with(b"~") {
        return None;
    }
    let part = &text[start..end];
    let is_scheme = part.ends_with(b" ");
    let at = if is_scheme {
        begins_word(text, start).then_some(end)?
    } else {
        after_operator(text, name_end(text, end)?)?
    };
    let value = value_range(text, at)?;
    let bytes = &text[value.clone()];
    let is_password = part.to_ascii_lowercase().windows(4).any(|w| w == b"pass");
    let is_quoted = at > 0 && matches!(text[at - 1], b'"' | b'\'' | b'`');
    let is_secret = if is_password {
        bytes.len() >= MIN_PASSWORD && (is_quoted && has_symbols(bytes) || is_random(bytes, 8))
    } else {
        is_random(bytes, MIN_VALUE)
    };
    (is_secret && !is_example(bytes) && !is_reference(text, &value)).then_some(value)
}

/// Returns the place of the password of a URL whose authority begins at `start`.
pub(super) fn password_at(text: &[u8], start: usize) -> Option<Range<usize>> {
    const MAX_PART: usize = 128;
    let is_part = |b: &u8| b.is_ascii_graphic() && !b"/\"'`\\<>(){}[]|,;:@ ".contains(b);
    let user = count(&text[start..], MAX_PART, is_part);
    let colon = start + user;
    if text.get(colon) != Some(&b':') {
        return None;
    }
    let is_password = |b: &u8| b.is_ascii_graphic() && !b"/\"'`\\<>(){}[]|, @".contains(b);
    let length = count(&text[colon + 1..], MAX_PART, is_password);
    let value = colon + 1..colon + 1 + length;
    let bytes = &text[value.clone()];
    let is_followed = text.get(value.end) == Some(&b'@');
    let is_host = text
        .get(value.end + 1)
        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'[');
    let is_placeholder = [
        &b"pass"[..],
        b"password",
        b"PASSWORD",
        b"secret",
        b"pw",
        b"pwd",
    ]
    .contains(&bytes)
        || bytes.starts_with(b"$")
        || bytes.starts_with(b"%");
    let is_secret = is_followed && is_host && length >= 6 && !is_placeholder;
    (is_secret && !is_example_password(bytes)).then_some(value)
}

/// Returns the end of the name, if the part at its end makes it that of a secret.
fn name_end(text: &[u8], end: usize) -> Option<usize> {
    const MAX_REST: usize = 16;
    let is_name = |b: &u8| is_word(*b) || *b == b'-';
    let length = count(&text[end..], MAX_REST, is_name);
    let rest = text[end..end + length].iter();
    let rest = rest
        .filter(|b| b.is_ascii_alphabetic())
        .map(u8::to_ascii_lowercase);
    NAME_RESTS
        .iter()
        .any(|known| known.bytes().eq(rest.clone()))
        .then_some(end + length)
}

/// Returns the offset of the value after `=`, `:` or the like, and after its quote.
fn after_operator(text: &[u8], at: usize) -> Option<usize> {
    let mut at = skip_quote(text, at);
    at = skip_blanks(text, at);
    at += match text.get(at..)? {
        [b':', b'=', ..] | [b'=', b'>', ..] => 2,
        // A comparison is no assignment, and `::` is a path.
        [b'=', b'=', ..] | [b':', b':', ..] => return None,
        [b'=' | b':', ..] => 1,
        _ => return None,
    };
    at = skip_blanks(text, at);
    at = skip_quote(text, at);
    for scheme in [&b"Bearer "[..], b"Basic ", b"token ", b"bearer "] {
        if text[at..].starts_with(scheme) {
            at += scheme.len();
        }
    }
    Some(at)
}

fn skip_blanks(text: &[u8], at: usize) -> usize {
    at + count(&text[at..], 8, |b| *b == b' ')
}

/// Skips one quote with its backslashes.
fn skip_quote(text: &[u8], at: usize) -> usize {
    let escapes = count(&text[at..], 8, |b| *b == b'\\');
    match text.get(at + escapes) {
        Some(b'"' | b'\'' | b'`') => at + escapes + 1,
        _ => at,
    }
}

fn value_range(text: &[u8], at: usize) -> Option<Range<usize>> {
    let is_value = |b: &u8| b.is_ascii_graphic() && !b"\"'`\\,;<>(){}[]|&$".contains(b);
    let length = count(&text[at..], MAX_VALUE + 1, is_value);
    (length <= MAX_VALUE).then_some(at..at + length)
}

fn count(text: &[u8], most: usize, accept: impl Fn(&u8) -> bool) -> usize {
    text.iter().take(most).take_while(|b| accept(b)).count()
}

/// Returns true if the value seems to be made at random: long, of several kinds of characters,
/// and hardly ever repeating one.
fn is_random(value: &[u8], min_len: usize) -> bool {
    let has = |accept: fn(&u8) -> bool| value.iter().any(accept);
    let kinds = [
        has(u8::is_ascii_lowercase),
        has(u8::is_ascii_uppercase),
        has(u8::is_ascii_digit),
    ];
    value.len() >= min_len
        && kinds[2]
        && (kinds[0] || kinds[1])
        && digit_changes(value) >= 2
        && entropy(value) >= 2.8
        && !looks_like_name(value)
}

fn has_symbols(value: &[u8]) -> bool {
    let has = |accept: fn(&u8) -> bool| value.iter().any(accept);
    has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) || has(u8::is_ascii_punctuation))
        && !looks_like_name(value)
}

/// Number of changes between digits and other characters.
fn digit_changes(value: &[u8]) -> usize {
    let changes = value.windows(2);
    changes
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count()
}

/// Returns true for paths, identifiers of code, versions, times and the like.
fn looks_like_name(value: &[u8]) -> bool {
    let is_path = value.starts_with(b"/") || value.starts_with(b"./") || value.starts_with(b"~");
    let is_url = value.windows(3).any(|w| w == b"://");
    let words = value.split(|b| b"._-/:+= ".contains(b));
    // Words with at most a short number at their end.
    let is_word = |word: &[u8]| {
        let letters = word.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        word[letters..].iter().all(u8::is_ascii_digit)
            && (word.len() - letters <= 3 || letters == 0)
    };
    is_path || is_url || words.into_iter().all(is_word)
}

/// Returns true if the value is read from elsewhere: a call, a member, a template, a uuid.
fn is_reference(text: &[u8], value: &Range<usize>) -> bool {
    let bytes = &text[value.clone()];
    let is_code = matches!(text.get(value.end), Some(b'(' | b'[' | b'$' | b'{' | b'<'));
    let is_template = bytes.starts_with(b"%") || bytes.windows(2).any(|w| w == b"__");
    let is_member = [
        &b"process.env"[..],
        b"os.environ",
        b"env.",
        b"self.",
        b"this.",
        b"config.",
    ]
    .iter()
    .any(|start| bytes.starts_with(start));
    is_code || is_template || is_member
}
