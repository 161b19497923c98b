//! The file `ccsync.json` of an encrypted store: all that is readable without the key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::key::{Purpose, StoreKey};
use super::passphrase::{PassphraseError, WrappedKey};
use crate::domain::{InvalidData, parse::from_json};

/// The format that a ccsync that knows nothing of encryption refuses.
const FORMAT: u32 = 4;

/// The version of the sealed form that this program writes and reads.
const VERSION: u32 = 1;

/// Largest header that is read, in bytes.
pub const MAX_HEADER_BYTES: usize = 16 << 10;

/// The random id of an encrypted store: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreId([u8; Self::LEN]);

/// Error: a text is not the id of a store.
#[derive(Debug, thiserror::Error)]
#[error("a store's id has 32 hexadecimal digits")]
pub struct InvalidStoreId;

/// The facts that a machine without the key may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreHeader {
    format: u32,
    encrypted: u32,
    /// The store.
    pub store: StoreId,
    /// Number of its key: 1, and one more with each rotation.
    pub epoch: u32,
    /// Keyed hash of id and epoch, in hexadecimal digits.
    check: String,
    /// The key, if a passphrase opens it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passphrase: Option<WrappedKey>,
}

/// Why the header of a store is refused.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Not JSON of the expected shape.
    #[error(transparent)]
    Malformed(#[from] InvalidData),
    /// Larger than such a file may be.
    #[error("it is too large ({0} bytes, limit {MAX_HEADER_BYTES})")]
    TooLarge(usize),
    /// A newer ccsync sealed the store.
    #[error("it is sealed in version {0}; this ccsync reads up to {VERSION}")]
    Newer(u32),
}

/// The part that every version has. A plain store has no field `encrypted`.
#[derive(Deserialize)]
struct Versioned {
    encrypted: Option<u32>,
}

impl StoreId {
    const LEN: usize = 16;

    /// Makes a new id from random numbers of the system.
    ///
    /// # Panics
    /// If the system has none.
    pub fn random() -> Self {
        let mut bytes = [0; Self::LEN];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        Self(bytes)
    }

    /// Returns the bytes of the id.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl StoreHeader {
    /// Creates the header of a store with this key.
    pub fn new(store: StoreId, epoch: u32, key: &StoreKey) -> Self {
        let check = check_value(store, epoch, key).to_hex().to_string();
        Self {
            format: FORMAT,
            encrypted: VERSION,
            store,
            epoch,
            check,
            passphrase: None,
        }
    }

    /// Parses the file. `None`: the store is not encrypted.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn parse(json: &[u8]) -> Result<Option<Self>, HeaderError> {
        if json.len() > MAX_HEADER_BYTES {
            return Err(HeaderError::TooLarge(json.len()));
        }
        match from_json::<Versioned>(json)?.encrypted {
            None => Ok(None),
            Some(VERSION) => Ok(Some(from_json(json)?)),
            Some(version) => Err(HeaderError::Newer(version)),
        }
    }

    /// Returns the content of the file.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("plain values always serialise");
        json.push(b'\n');
        json
    }

    /// Returns true if `key` is the key of this store and epoch.
    pub fn has_key(&self, key: &StoreKey) -> bool {
        let value = check_value(self.store, self.epoch, key);
        // Compares in constant time.
        blake3::Hash::from_hex(&self.check).is_ok_and(|check| check == value)
    }
}

impl StoreHeader {
    /// Returns true if a passphrase gives the key.
    pub fn has_passphrase(&self) -> bool {
        self.passphrase.is_some()
    }

    /// Sets the passphrase that gives `key`, or removes it.
    ///
    /// # Errors
    /// [`PassphraseError`]; the header is then unchanged.
    pub fn set_passphrase(
        &mut self,
        passphrase: Option<&str>,
        key: &StoreKey,
    ) -> Result<(), PassphraseError> {
        let store = self.store.as_bytes();
        let wrap = |passphrase: &str| WrappedKey::new(passphrase, key, store);
        self.passphrase = passphrase.map(wrap).transpose()?;
        Ok(())
    }

    /// Returns the key that a passphrase gives; `None` if the store has no passphrase.
    ///
    /// # Errors
    /// [`PassphraseError`]
    pub fn open_passphrase(&self, passphrase: &str) -> Result<Option<StoreKey>, PassphraseError> {
        let open = |wrapped: &WrappedKey| wrapped.open(passphrase, self.store.as_bytes());
        self.passphrase.as_ref().map(open).transpose()
    }
}

fn check_value(store: StoreId, epoch: u32, key: &StoreKey) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(key.subkey(Purpose::Check).as_bytes());
    hasher.update(store.as_bytes());
    hasher.update(&epoch.to_be_bytes());
    hasher.finalize()
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for StoreId {
    type Err = InvalidStoreId;

    fn from_str(text: &str) -> Result<Self, InvalidStoreId> {
        let is_hex = text.len() == 2 * Self::LEN
            && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number
            .map(|number| Self(number.to_be_bytes()))
            .ok_or(InvalidStoreId)
    }
}

impl TryFrom<String> for StoreId {
    type Error = InvalidStoreId;

    fn try_from(text: String) -> Result<Self, InvalidStoreId> {
        text.parse()
    }
}

impl From<StoreId> for String {
    fn from(id: StoreId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> StoreKey {
        StoreKey::from_bytes([byte; StoreKey::LEN])
    }

    #[test]
    fn header_knows_its_key_and_no_other() {
        let store = StoreId::random();
        let header = StoreHeader::new(store, 1, &key(1));
        assert!(header.has_key(&key(1)) && !header.has_key(&key(2)));
        let parsed = StoreHeader::parse(&header.to_json()).unwrap().unwrap();
        assert_eq!(parsed, header);
        let later = StoreHeader { epoch: 2, ..parsed };
        assert!(!later.has_key(&key(1)), "the value is of another epoch");
    }

    #[test]
    fn header_passphrase_gives_the_key_and_can_be_removed() {
        let mut header = StoreHeader::new(StoreId::random(), 1, &key(1));
        assert_eq!(header.open_passphrase("four words are enough"), Ok(None));
        let set = header.set_passphrase(Some("four words are enough"), &key(1));
        assert_eq!(set, Ok(()));
        let read = StoreHeader::parse(&header.to_json()).unwrap().unwrap();
        let opened = read.open_passphrase("four words are enough");
        assert_eq!(opened, Ok(Some(key(1))));
        header.set_passphrase(None, &key(1)).unwrap();
        assert!(!header.has_passphrase() && read.has_passphrase());
    }

    #[test]
    fn header_of_plain_or_newer_store_is_recognised() {
        assert!(StoreHeader::parse(b"{\"format\": 2}").unwrap().is_none());
        let newer = StoreHeader::parse(b"{\"format\": 4, \"encrypted\": 9}");
        assert!(matches!(newer, Err(HeaderError::Newer(9))));
        assert!(StoreHeader::parse(b"{\"format\": 4, \"encrypted\": 1}").is_err());
        assert!(StoreHeader::parse(&vec![b' '; MAX_HEADER_BYTES + 1]).is_err());
    }
}
