//! Puts the pieces in order: plan, then push or pull, then report.
//!
//! Owns the two data flows of the program. Must not print, prompt or read the environment: settings arrive as arguments,
//! progress leaves through [`crate::domain::progress::Progress`].

// STUB, to be deleted at merge.
mod api_stub;
pub mod report;

pub use api_stub::*;
