//! The address of a remote: checked once, shown without its secrets.
//!
//! Owns the rule for the addresses that may be passed to `git`. Must not contact a remote.

mod error;
mod identity;
mod redact;
mod remote;
mod syntax;
#[cfg(all(test, unix))]
mod tests;

pub use error::UrlError;
pub use identity::{project_identity, without_case};
pub use redact::redact;
pub use remote::RemoteUrl;
pub use syntax::RemoteKind;
pub(crate) use syntax::has_drive;
