//! Text that must not be shown, such as a key or a passphrase.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroizing;

/// A text that is cleared from memory when dropped, and never appears in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns an empty text with room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::new(String::with_capacity(bytes))
    }

    /// Appends a character, if there is room for it: a text that grows would leave a copy.
    pub fn push(&mut self, c: char) {
        if self.0.len() + c.len_utf8() <= self.0.capacity() {
            self.0.push(c);
        }
    }

    /// Removes the last character.
    pub fn pop(&mut self) {
        self.0.pop();
    }
}

impl Deref for SecretText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Never shows the text.
impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_text_debug_output_hides_it() {
        let text = SecretText::new("hunter2".to_owned());
        assert_eq!(format!("{:?}", Some(&text)), "Some(SecretText)");
        assert_eq!(&*text, "hunter2");
    }
}
