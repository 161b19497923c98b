//! Names in the remote that say nothing: keyed hashes of names.

use std::fmt;

use super::key::Subkey;

/// The name that stands for a file or branch in the remote: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token([u8; Self::LEN]);

impl Token {
    const LEN: usize = 16;

    /// Makes the token of a name. Names of different kinds have different tokens.
    pub(super) fn new(key: &Subkey, kind: &str, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key.as_bytes());
        hasher.update(kind.as_bytes());
        hasher.update(&[0]);
        hasher.update(name.as_bytes());
        let mut bytes = [0; Self::LEN];
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }

    /// Parses the 32 digits.
    pub fn parse(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        let token = Self(number.to_be_bytes());
        (token.to_string() == text).then_some(token)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
