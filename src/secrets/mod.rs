//! Keeps credentials out of the store: finds them, and keeps their values on this machine.
//!
//! Must not do I/O but for the vault, and must not know sessions.
//!
//! ```text
//! scan:   anchors (one search) -> form, assignment, private key or URL -> place of the secret
//! vault:  value <-> name of the secret; decisions
//! ```

mod assignment;
mod block_bits;
mod excerpt;
mod forms;
mod masking;
mod private_key;
mod scan;
mod start_search;
mod vault;
mod words;

pub use excerpt::excerpt;
pub use forms::{Form, form_name, forms};
pub use masking::{FoundSecrets, Secrets};
pub use scan::{FindingKind, Scanner, SecretFinding};
pub use vault::{KnownSecret, SecretDecision, SecretPlace, Vault};
