//! The key as text: 64 hexadecimal digits, or 24 words (BIP 39, English).

use std::fmt::Write as _;

use bip39::{Language, Mnemonic};
use zeroize::{Zeroize as _, Zeroizing};

use super::key::StoreKey;

/// Number of words of a key.
const WORDS: usize = 24;

/// Number of hexadecimal digits of a key.
const DIGITS: usize = StoreKey::LEN * 2;

/// Why a text is not a key. Never contains a part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// There is no text.
    #[error("the key is empty")]
    Empty,
    /// One word that is not as long as a key in digits.
    #[error("a key has {DIGITS} hexadecimal digits, or {WORDS} words; this has {0} characters")]
    Length(usize),
    /// A character is not a hexadecimal digit.
    #[error("character {0} of the key is not a hexadecimal digit")]
    Digit(usize),
    /// The number of words is wrong.
    #[error("a key has {WORDS} words; these are {0}")]
    WordCount(usize),
    /// A word is not on the list. Counted from 1.
    #[error("word {0} of the key is not on the list of words")]
    UnknownWord(usize),
    /// All words are on the list, but they are not a key.
    #[error("these {WORDS} words are not a key: one is wrong, or two are swapped")]
    Checksum,
}

impl StoreKey {
    /// Reads a key: 64 hexadecimal digits, or 24 words, which may be numbered.
    ///
    /// # Errors
    /// [`KeyTextError`]
    pub fn parse(text: &str) -> Result<Self, KeyTextError> {
        let text = text.trim();
        match text.split_whitespace().count() {
            0 => Err(KeyTextError::Empty),
            1 => from_digits(text),
            _ => from_words(text),
        }
    }

    /// Returns the key as 64 hexadecimal digits.
    pub fn to_digits(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(DIGITS));
        for byte in self.as_bytes() {
            write!(text, "{byte:02x}").expect("a string can be written");
        }
        text
    }

    /// Returns the key as 24 words. The last one contains a checksum.
    pub fn to_words(&self) -> Vec<&'static str> {
        let words = Mnemonic::from_entropy_in(Language::English, self.as_bytes());
        words.expect("the length is right").words().collect()
    }
}

/// Returns true if `text` has as many words or digits as a key, so that an error of
/// [`StoreKey::parse`] helps its author.
pub fn is_like_key(text: &str) -> bool {
    let is_digits = text.trim().len() == DIGITS && text.trim().is_ascii();
    is_digits && !text.trim().contains(' ') || words(text).count() == WORDS
}

fn from_digits(text: &str) -> Result<StoreKey, KeyTextError> {
    let count = text.chars().count();
    if count != DIGITS {
        return Err(KeyTextError::Length(count));
    }
    let mut bytes = Zeroizing::new([0; StoreKey::LEN]);
    for (at, digit) in text.chars().enumerate() {
        let value = digit.to_digit(16).ok_or(KeyTextError::Digit(at + 1))?;
        bytes[at / 2] = bytes[at / 2] << 4 | u8::try_from(value).expect("it is a digit");
    }
    Ok(StoreKey::from_bytes(*bytes))
}

fn from_words(text: &str) -> Result<StoreKey, KeyTextError> {
    let count = words(text).count();
    if count != WORDS {
        return Err(KeyTextError::WordCount(count));
    }
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    for word in words(text) {
        plain.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        plain.push(' ');
    }
    let parsed = Mnemonic::parse_in_normalized(Language::English, &plain);
    let words = parsed.map_err(|error| match error {
        bip39::Error::UnknownWord(at) => KeyTextError::UnknownWord(at + 1),
        _ => KeyTextError::Checksum,
    })?;

    let (mut entropy, _) = words.to_entropy_array();
    let mut bytes = Zeroizing::new([0; StoreKey::LEN]);
    bytes.copy_from_slice(&entropy[..StoreKey::LEN]);
    entropy.zeroize();
    Ok(StoreKey::from_bytes(*bytes))
}

/// Returns the words of a text without numbers and punctuation.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> KeyTextError {
        StoreKey::parse(text).unwrap_err()
    }

    #[test]
    fn key_words_equal_test_vectors_of_bip_39() {
        // From the vectors of the reference implementation.
        let vectors = [
            ([0; 32], "abandon ".repeat(23) + "art"),
            (
                [0x7f; 32],
                "legal winner thank year wave sausage worth useful \
                 legal winner thank year wave sausage worth useful \
                 legal winner thank year wave sausage worth title"
                    .to_owned(),
            ),
            ([0xff; 32], "zoo ".repeat(23) + "vote"),
        ];
        for (bytes, words) in vectors {
            let key = StoreKey::from_bytes(bytes);
            assert_eq!(key.to_words().join(" "), words);
            assert!(StoreKey::parse(&words).unwrap() == key);
        }
    }

    #[test]
    fn key_text_round_trips_for_random_keys() {
        for _ in 0..50 {
            let key = StoreKey::generate();
            assert!(StoreKey::parse(&key.to_digits()).unwrap() == key);
            let words = key.to_words();
            assert!(StoreKey::parse(&words.join("\n")).unwrap() == key);
            let numbered = words.iter().zip(1..).map(|(w, n)| format!("{n}. {w}, "));
            let numbered = numbered.collect::<String>().to_uppercase();
            assert!(StoreKey::parse(&numbered).unwrap() == key);
        }
    }

    #[test]
    fn key_with_wrong_words_is_named_by_position() {
        let words = StoreKey::from_bytes([7; 32]).to_words();
        let changed = |at: usize, word: &'static str| {
            let mut words = words.clone();
            words[at] = word;
            words.join(" ")
        };
        assert_eq!(error(&changed(0, "abandn")), KeyTextError::UnknownWord(1));
        assert_eq!(error(&changed(23, "xyzzy")), KeyTextError::UnknownWord(24));
        assert_eq!(error(&words[1..].join(" ")), KeyTextError::WordCount(23));
        let mut swapped = words.clone();
        let other = (1..24).find(|at| words[*at] != words[0]).unwrap();
        swapped.swap(0, other);
        // One of 256 wrong orders has the right checksum; the check value of the store tells it.
        assert_eq!(error(&swapped.join(" ")), KeyTextError::Checksum);
    }

    #[test]
    fn key_with_wrong_digits_is_refused_without_showing_it() {
        let digits = StoreKey::from_bytes([0xab; 32]).to_digits();
        assert_eq!(error(&digits[1..]), KeyTextError::Length(63));
        assert_eq!(error(&digits.replacen('a', "g", 1)), KeyTextError::Digit(1));
        assert_eq!(error(" \n"), KeyTextError::Empty);
        assert!(!error(&digits[1..]).to_string().contains("abab"));
        assert_eq!(
            format!("{:?}", StoreKey::from_bytes([0xab; 32])),
            "StoreKey"
        );
    }
}
