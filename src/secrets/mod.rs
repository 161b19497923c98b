//! Keeps credentials out of the store: finds them, and keeps their values on this machine.
//!
//! Must not do I/O but for the vault, and must not know sessions.
//!
//! ```text
//! scan:   anchors (one search) -> form, assignment, private key or URL -> place of the secret
//! vault:  value <-> name of the secret; decisions
//! ```

mod assignment;
mod forms;
mod keeper;
mod private_key;
mod scan;
mod vault;

pub use forms::{Form, forms};
pub use keeper::Secrets;
pub use scan::{Finding, Scanner};
pub use vault::Vault;
