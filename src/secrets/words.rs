//! Boundaries of words in text with escapes, and words that only examples have.

use std::collections::BTreeSet;

/// Words that mark an example value.
const EXAMPLE_WORDS: [&str; 6] = [
    "EXAMPLE",
    "YOUR",
    "XXXX",
    "PLACEHOLDER",
    "0000000000",
    "****",
];

/// Words that mark an example of a password, which may be short or real words.
const EXAMPLE_PASSWORDS: [&str; 7] = [
    "EXAMPLE", "XXXX", "CHANGEME", "YOUR", "****", "...", "REDACTED",
];

/// Returns true for a character of words.
pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Returns true if a word may begin at `at`: nothing stands before it that continues it. The
/// letter of an escape such as `\n` does not.
pub(super) fn begins_word(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else {
        return true;
    };
    if !is_word(text[before]) {
        return true;
    }
    let is_escape = |length: usize| {
        at.checked_sub(length)
            .is_some_and(|slash| text[slash] == b'\\' && b"ntrbfu".contains(&text[slash + 1]))
    };
    // `\n`, `\u001b[1m`, `\u003d`
    is_escape(2)
        || is_escape(6) && text[at - 5] == b'u'
        || text[before] == b'm' && ends_colour(&text[..before])
}

fn ends_colour(text: &[u8]) -> bool {
    let digits = |b: &&u8| b.is_ascii_digit() || **b == b';';
    let length = text.iter().rev().take(16).take_while(digits).count();
    text[..text.len() - length].ends_with(b"[")
}

/// Returns true for a value of documentation.
pub(super) fn is_example(value: &[u8]) -> bool {
    let distinct = value.iter().collect::<BTreeSet<_>>().len();
    distinct < 6 || has_word(value, &EXAMPLE_WORDS)
}

/// Returns true for a password of documentation.
pub(super) fn is_example_password(value: &[u8]) -> bool {
    has_word(value, &EXAMPLE_PASSWORDS)
}

fn has_word(value: &[u8], words: &[&str]) -> bool {
    let text = String::from_utf8_lossy(value).to_ascii_uppercase();
    words.iter().any(|word| text.contains(word))
}

/// Bits for each character, by how often the value repeats them.
pub(super) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let total = value.len() as f64;
    let shares = counts
        .iter()
        .filter(|n| **n > 0)
        .map(|n| f64::from(*n) / total);
    -shares.map(|share| share * share.log2()).sum::<f64>()
}
