//! The key of a store, wrapped with a passphrase, as the header of the store has it.
//!
//! `docs/dev/encryption.md` describes the form.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::key::StoreKey;
use crate::domain::hex::{from_hex, to_hex};

/// Fewest characters of a passphrase. The host of the remote can guess it without limit.
const MIN_PASSPHRASE_CHARS: usize = 12;

/// Length of a salt, in bytes.
const SALT_LEN: usize = 16;

/// Most memory that a header may ask for, in KiB: 1 GiB.
const MAX_MEMORY: u32 = 1024 * 1024;

/// Most passes that a header may ask for.
const MAX_PASSES: u32 = 64;

/// Most lanes that a header may ask for.
const MAX_LANES: u32 = 16;

/// Most memory times passes, in KiB: a few seconds.
const MAX_WORK: u64 = 4 * 1024 * 1024;

/// Binds what is sealed to this use.
const CONTEXT: &str = "ccsync encrypted store, version 1, passphrase";

/// The costs of argon2id: what one attempt to guess the passphrase takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassphraseCosts {
    /// In KiB.
    memory: u32,
    passes: u32,
    lanes: u32,
}

impl Default for PassphraseCosts {
    /// Returns the second choice of RFC 9106, section 4: 64 MiB.
    fn default() -> Self {
        Self {
            memory: 64 * 1024,
            passes: 3,
            lanes: 4,
        }
    }
}

/// A key that only a passphrase opens. Not secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Hexadecimal.
    salt: String,
    #[serde(flatten)]
    costs: PassphraseCosts,
    /// The sealed key: hexadecimal.
    key: String,
}

/// Why a passphrase does not give the key, or cannot be used. Never contains it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseError {
    /// It opens nothing.
    #[error("wrong passphrase")]
    Wrong,
    /// A guess would be found.
    #[error("a passphrase has at least {MIN_PASSPHRASE_CHARS} characters")]
    Short,
    /// The costs in the header are outside of the limits of this program.
    #[error("the store asks for too much work for its passphrase: {0}")]
    Costs(PassphraseCosts),
    /// The header has something else in its place.
    #[error("the passphrase in the header of the store is damaged")]
    Damaged,
    /// The memory for one attempt is not there.
    #[error("not enough memory to use the passphrase: {} MiB", .0.memory / 1024)]
    Memory(PassphraseCosts),
}

impl fmt::Display for PassphraseCosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory,
            passes,
            lanes,
        } = self;
        write!(f, "{memory} KiB, {passes} passes, {lanes} lanes")
    }
}

impl WrappedKey {
    /// Wraps the key of the store with this id.
    ///
    /// # Errors
    /// [`PassphraseError::Short`], [`PassphraseError::Memory`]
    ///
    /// # Panics
    /// If the system has no random numbers.
    pub fn new(passphrase: &str, key: &StoreKey, store: &[u8]) -> Result<Self, PassphraseError> {
        if normalized(passphrase).chars().count() < MIN_PASSPHRASE_CHARS {
            return Err(PassphraseError::Short);
        }
        let mut salt = [0; SALT_LEN];
        getrandom::fill(&mut salt).expect("the system has random numbers");
        Self::with(passphrase, key, store, &salt, PassphraseCosts::default())
    }

    /// Returns the key of the store.
    ///
    /// # Errors
    /// [`PassphraseError`]
    pub fn open(&self, passphrase: &str, store: &[u8]) -> Result<StoreKey, PassphraseError> {
        let salt = from_hex(&self.salt).filter(|salt| salt.len() == SALT_LEN);
        let salt = salt.ok_or(PassphraseError::Damaged)?;
        let sealed = from_hex(&self.key).ok_or(PassphraseError::Damaged)?;
        let cipher = cipher(passphrase, &salt, self.costs)?;

        let aad = associated_data(store);
        let payload = Payload {
            msg: &sealed,
            aad: &aad,
        };
        let opened = cipher.decrypt(&XNonce::default(), payload);
        let opened = Zeroizing::new(opened.map_err(|_| PassphraseError::Wrong)?);
        let bytes = opened.as_slice().try_into();
        Ok(StoreKey::from_bytes(
            bytes.map_err(|_| PassphraseError::Damaged)?,
        ))
    }

    fn with(
        passphrase: &str,
        key: &StoreKey,
        store: &[u8],
        salt: &[u8],
        costs: PassphraseCosts,
    ) -> Result<Self, PassphraseError> {
        let cipher = cipher(passphrase, salt, costs)?;
        let aad = associated_data(store);
        let payload = Payload {
            msg: key.as_bytes(),
            aad: &aad,
        };
        // The salt is random, so the key of the cipher is used for this nonce once.
        let sealed = cipher.encrypt(&XNonce::default(), payload);
        Ok(Self {
            salt: to_hex(salt),
            costs,
            key: to_hex(&sealed.expect("a key is short")),
        })
    }
}

/// Returns the cipher whose key the passphrase gives.
fn cipher(
    passphrase: &str,
    salt: &[u8],
    costs: PassphraseCosts,
) -> Result<XChaCha20Poly1305, PassphraseError> {
    let PassphraseCosts {
        memory,
        passes,
        lanes,
    } = costs;
    let work = u64::from(memory) * u64::from(passes);
    if memory > MAX_MEMORY || passes > MAX_PASSES || lanes > MAX_LANES || work > MAX_WORK {
        return Err(PassphraseError::Costs(costs));
    }
    let params = Params::new(memory, passes, lanes, Some(StoreKey::LEN));
    let params = params.map_err(|_| PassphraseError::Costs(costs))?;

    let mut key = Zeroizing::new([0; StoreKey::LEN]);
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let done = hash.hash_password_into(normalized(passphrase).as_bytes(), salt, &mut *key);
    done.map_err(|_| PassphraseError::Memory(costs))?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}

/// Returns the passphrase as all keyboards give it: composed, without white space at its ends.
fn normalized(passphrase: &str) -> Zeroizing<String> {
    // Room for every composed form, so that no copy stays behind.
    let mut text = Zeroizing::new(String::with_capacity(3 * passphrase.len()));
    text.extend(passphrase.trim().nfc());
    text
}

fn associated_data(store: &[u8]) -> Vec<u8> {
    [CONTEXT.as_bytes(), &[0], store].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "four words are enough";

    fn wrapped(costs: PassphraseCosts) -> Result<WrappedKey, PassphraseError> {
        let key = StoreKey::from_bytes([7; StoreKey::LEN]);
        WrappedKey::with(PASSPHRASE, &key, b"store", &[1; SALT_LEN], costs)
    }

    fn cheap() -> PassphraseCosts {
        PassphraseCosts {
            memory: 64,
            passes: 1,
            lanes: 1,
        }
    }

    #[test]
    fn passphrase_gives_the_key_back_in_any_spelling() {
        let key = StoreKey::generate();
        let wrapped = WrappedKey::new("Fünf Wörter sind gut", &key, b"store").unwrap();
        let decomposed = " Fu\u{308}nf Wo\u{308}rter sind gut\n";
        assert!(wrapped.open(decomposed, b"store").unwrap() == key);
        let json = serde_json::to_string(&wrapped).unwrap();
        assert!(!json.contains(&**key.to_digits()));
        let read: WrappedKey = serde_json::from_str(&json).unwrap();
        assert_eq!(read, wrapped);
    }

    #[test]
    fn passphrase_wrong_or_of_another_store_opens_nothing() {
        let wrapped = wrapped(cheap()).unwrap();
        assert!(wrapped.open(PASSPHRASE, b"store").is_ok());
        let wrong = PassphraseError::Wrong;
        assert_eq!(
            wrapped.open("four words are enoug", b"store"),
            Err(wrong.clone())
        );
        assert_eq!(wrapped.open(PASSPHRASE, b"stor"), Err(wrong.clone()));
        for at in 0..wrapped.key.len() {
            let mut changed = wrapped.clone();
            let other = if changed.key[at..].starts_with('0') {
                "1"
            } else {
                "0"
            };
            changed.key.replace_range(at..=at, other);
            assert_eq!(changed.open(PASSPHRASE, b"store"), Err(wrong.clone()));
        }
    }

    #[test]
    fn passphrase_short_one_is_refused() {
        let key = StoreKey::generate();
        let short = WrappedKey::new("elevenchars ", &key, b"store");
        assert_eq!(short, Err(PassphraseError::Short));
    }

    #[test]
    fn passphrase_hostile_costs_are_refused_at_once() {
        let costs = |memory, passes, lanes| PassphraseCosts {
            memory,
            passes,
            lanes,
        };
        let good = wrapped(cheap()).unwrap();
        for costs in [
            costs(u32::MAX, 1, 1),
            costs(64, u32::MAX, 1),
            costs(1024, 1, u32::MAX),
            costs(MAX_MEMORY, MAX_PASSES, 1),
            costs(0, 0, 0),
            costs(8, 1, 2),
        ] {
            let hostile = WrappedKey {
                costs,
                ..good.clone()
            };
            let refused = hostile.open(PASSPHRASE, b"store");
            assert_eq!(refused, Err(PassphraseError::Costs(costs)));
        }
        for damaged in ["", "zz", "00112233445566778899aabbccddee", "é"] {
            let salt = damaged.to_owned();
            let damaged = WrappedKey {
                salt,
                ..good.clone()
            };
            let refused = damaged.open(PASSPHRASE, b"store");
            assert_eq!(refused, Err(PassphraseError::Damaged));
        }
    }
}
