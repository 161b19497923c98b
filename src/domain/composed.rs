//! Two spellings of one name: `é` is one character or `e` with an accent, as macOS may write it.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Returns the text in the spelling in which names are compared: composed characters (NFC).
pub fn composed(text: &str) -> Cow<'_, str> {
    let is_composed = text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes;
    match is_composed {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfc().collect()),
    }
}

/// Returns true if `text` contains `part` in any spelling.
pub fn contains_spelling(text: &str, part: &str) -> bool {
    composed(text).contains(&*composed(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composed_spellings_of_one_name_are_equal() {
        for (one, other) in [
            ("cafe\u{301}", "caf\u{e9}"),
            // Two marks in either order, and a Korean syllable.
            ("a\u{323}\u{302}", "a\u{302}\u{323}"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{d55c}"),
        ] {
            assert_eq!(composed(one), composed(other));
        }
        assert_ne!(composed("cafe"), composed("caf\u{e9}"));
        assert!(matches!(composed("caf\u{e9}"), Cow::Borrowed(_)));
    }
}
