//! Boundaries of words in text with escapes, and words that only examples have.

/// Words that mark an example value.
const EXAMPLE_WORDS: [&str; 6] = [
    "EXAMPLE",
    "YOUR",
    "XXXX",
    "PLACEHOLDER",
    "0000000000",
    "****",
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
    let text = String::from_utf8_lossy(value).to_ascii_uppercase();
    let distinct = value
        .iter()
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    distinct < 6 || EXAMPLE_WORDS.iter().any(|word| text.contains(word))
}
