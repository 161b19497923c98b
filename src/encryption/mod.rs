//! Keys and sealed data of an encrypted store: what is in the remote in place of plain objects.
//!
//! Pure: must not do I/O, and must not know git or sessions. `docs/dev/encryption.md` is the
//! specification.

mod frames;
mod header;
mod key;
mod key_text;
mod passphrase;
mod token;

pub use frames::{Sealer, UnsealError, Unsealed};
pub use header::{HeaderError, InvalidStoreId, MAX_HEADER_BYTES, StoreHeader, StoreId};
pub use key::{Purpose, StoreKey, Subkey};
pub use key_text::{KeyTextError, is_like_key};
pub use passphrase::{PassphraseCosts, PassphraseError, WrappedKey};
pub use token::Token;
