//! The name of a secret: its form, and an id that stands for its value on one machine.

use std::fmt;

/// Length of an id, in characters of 5 bits.
pub const SECRET_ID_LEN: usize = 16;

/// Maximum length of the name of a form, in characters.
pub const MAX_FORM_LEN: usize = 40;

/// The characters of an id.
pub const SECRET_ID_DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The name of a secret: `github-token.k3f7…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName {
    text: String,
    /// Offset of the dot.
    dot: usize,
}

impl SecretName {
    /// Returns the name, if both parts have the right characters.
    pub fn new(form: &str, id: &str) -> Option<Self> {
        let is_form_char = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is_form = (1..=MAX_FORM_LEN).contains(&form.len()) && form.bytes().all(is_form_char);
        let is_id = id.len() == SECRET_ID_LEN && id.bytes().all(|b| SECRET_ID_DIGITS.contains(&b));
        (is_form && is_id).then(|| Self {
            text: format!("{form}.{id}"),
            dot: form.len(),
        })
    }

    /// Returns the name that was written as text, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (form, id) = text.split_once('.')?;
        Self::new(form, id)
    }

    /// Returns the name of the form, such as `github-token`.
    pub fn form(&self) -> &str {
        &self.text[..self.dot]
    }

    /// Returns the id, which does not reveal the value.
    pub fn id(&self) -> &str {
        &self.text[self.dot + 1..]
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
