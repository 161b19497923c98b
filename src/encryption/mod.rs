//! Keys and sealed data of an encrypted store: what is in the remote in place of plain objects.
//!
//! Pure: must not do I/O, and must not know git or sessions. `docs/dev/encryption.md` is the
//! specification.

mod key;

pub use key::{Purpose, StoreKey, Subkey};
