//! The JSON files of the store (`docs/dev/format.md`), and how the text of a session is cut.
//!
//! Checks everything that comes from outside. Must not know git or do I/O.

pub mod bundle;
pub(super) mod json;
pub mod machine;
pub mod manifest;
pub mod milestone;
pub mod note;
pub mod segment;
pub mod tombstone;
