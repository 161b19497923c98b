//! The key of a store, and the keys derived from it.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// The secret of an encrypted store: 32 random bytes. Cleared from memory when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct StoreKey([u8; Self::LEN]);

/// A key for one purpose, derived from a [`StoreKey`]. Cleared from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Subkey([u8; StoreKey::LEN]);

/// The use of a [`Subkey`]. No key has two purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Seals frames.
    Frames,
    /// Makes the nonce of a frame from its content.
    Nonces,
    /// Makes the names of files and lock branches.
    Names,
    /// Tells the right key from a wrong one.
    Check,
}

impl StoreKey {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Makes a new key from random numbers of the system.
    ///
    /// # Panics
    /// If the system has none.
    pub fn generate() -> Self {
        let mut key = Self([0; Self::LEN]);
        getrandom::fill(&mut key.0).expect("the system has random numbers");
        key
    }

    /// Wraps key material.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the key material.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Derives the key for `purpose` (BLAKE3 in key derivation mode).
    pub fn subkey(&self, purpose: Purpose) -> Subkey {
        Subkey(blake3::derive_key(purpose.context(), &self.0))
    }
}

impl Subkey {
    /// Returns the key material.
    pub fn as_bytes(&self) -> &[u8; StoreKey::LEN] {
        &self.0
    }
}

impl Purpose {
    fn context(self) -> &'static str {
        match self {
            Self::Frames => "ccsync encrypted store, version 1, frames",
            Self::Nonces => "ccsync encrypted store, version 1, nonces",
            Self::Names => "ccsync encrypted store, version 1, names",
            Self::Check => "ccsync encrypted store, version 1, check",
        }
    }
}

/// Never shows the key.
impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey")
    }
}
