//! Keeps credentials out of the store: finds them, and keeps their values on this machine.
//!
//! Must not do I/O but for the vault, and must not know sessions.
//!
//! ```text
//! scan:   anchors (one search) -> form, assignment, private key or URL -> place of the secret
//! rules:  keywords (one search) -> pattern of the user -> place of the secret
//! vault:  value <-> name of the secret; decisions
//! ```

mod assignment;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod block_bits;
mod class_tables;
mod excerpt;
mod forms;
mod masking;
mod private_key;
mod rule;
mod rule_file;
mod rule_search;
mod rule_text;
mod scan;
mod start_search;
mod vault;
mod words;

pub use excerpt::excerpt;
pub use forms::{Form, form_name, forms};
pub use masking::{FoundSecrets, Secrets};
pub use scan::{FindingKind, Scanner, SecretFinding};
pub use vault::{KnownSecret, SecretDecision, SecretPlace, SecretSource, Vault};
