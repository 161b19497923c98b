//! The grammar of placeholders in portable text, and the escape for text that looks like one.
//!
//! Owns the meaning of `{{`. Must not know any placeholder's directory.

use memchr::memchr;

/// Meaning of two opening braces.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Braces {
    /// Text that looks like a placeholder, perhaps with escapes: `{{~`*`[A-Z]`. The
    /// letter stands at `letter`.
    LookAlike {
        /// Offset of the letter.
        letter: usize,
    },
    /// Anything else.
    Other,
}

/// Classifies the `{{` at `at`.
pub(super) fn braces_at(text: &[u8], at: usize) -> Braces {
    let letter = at + 2 + text[at + 2..].iter().take_while(|b| **b == b'~').count();
    if text.get(letter).is_some_and(u8::is_ascii_uppercase) {
        Braces::LookAlike { letter }
    } else {
        Braces::Other
    }
}

/// A placeholder, cut into its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlaceholderToken<'t> {
    /// The placeholder's name.
    pub(super) name: &'t [u8],
    /// The tag: the text between the colon and a slash; empty without a colon.
    pub(super) tag: &'t [u8],
    /// The text after the first slash of the tag.
    pub(super) tail: Option<&'t [u8]>,
    /// Offset of the text after the placeholder.
    pub(super) end: usize,
}

/// Reads the placeholder whose `{{` is at `at`.
pub(super) fn placeholder_at(text: &[u8], at: usize) -> Option<PlaceholderToken<'_>> {
    token_at(text, at + 2)
}

/// Reads the placeholder whose name begins at `start`.
pub(super) fn token_at(text: &[u8], start: usize) -> Option<PlaceholderToken<'_>> {
    let name_end = start
        + text[start..]
            .iter()
            .take_while(|b| is_name_byte(**b))
            .count();
    let name = &text[start..name_end];
    if !name.first()?.is_ascii_uppercase() {
        return None;
    }
    let rest = &text[name_end..];
    if rest.starts_with(b"}}") {
        return Some(PlaceholderToken {
            name,
            tag: b"",
            tail: None,
            end: name_end + 2,
        });
    }
    let rest = rest.strip_prefix(b":")?;
    let length = rest.iter().take_while(|b| is_tag_byte(**b)).count();
    if !rest[length..].starts_with(b"}}") {
        return None;
    }
    let slash = memchr(b'/', &rest[..length]);
    let (tag, tail) = slash.map_or((&rest[..length], None), |slash| {
        (&rest[..slash], Some(&rest[slash + 1..length]))
    });
    Some(PlaceholderToken {
        name,
        tag,
        tail,
        end: name_end + 1 + length + 2,
    })
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'
}

fn is_tag_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"/._%-".contains(&b)
}
