//! Read-only questions: list, show, status, search. Must not write to the store or to sessions.

pub(crate) mod completion;
pub mod list;
pub mod preview;
pub mod search;
pub mod secrets;
pub mod show;
pub mod status;
mod successor;
