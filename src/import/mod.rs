//! Imports sessions and extras from other tools: a store of claude-session-sync, or a copy of
//! the client's directory. Must not write to the source, or trust anything in it unchecked.
//!
//! Files that cannot be imported are reported. `docs/dev/import.md` describes the format of
//! the other program.

pub(crate) mod agents;
pub(crate) mod claude_session_sync;
pub(crate) mod client_copy;
pub(crate) mod directory;
pub(crate) mod extras;
pub(crate) mod inventory;
pub(crate) mod jobs;
pub(crate) mod lines;
pub(crate) mod machines;
pub(crate) mod metadata;
pub mod run;
pub(crate) mod session_list;
pub mod source;
pub(crate) mod source_machine;
pub(crate) mod staging;
pub(crate) mod store;
pub(crate) mod store_jobs;
pub(crate) mod text;
