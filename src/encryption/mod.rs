//! Keys and sealed data of an encrypted store: what is in the remote in place of plain objects.
//!
//! Pure: must not do I/O, and must not know git or sessions. `docs/dev/encryption.md` is the
//! specification.

mod hex;
mod key;
mod key_text;
mod passphrase;

pub use key::{Purpose, StoreKey, Subkey};
pub use key_text::{KeyTextError, is_like_key};
pub use passphrase::{MIN_PASSPHRASE_CHARS, PassphraseCosts, PassphraseError, WrappedKey};
