//! Files that are not sessions: memory, CLAUDE.md, plans and settings. Compares, merges and asks for approval. Must not touch transcripts.

pub mod approval;
pub mod base;
pub mod bundles;
pub mod change;
pub mod check;
pub mod compare;
pub mod context;
pub mod foreign;
pub mod foreign_text;
pub mod merge;
pub mod merge_context;
pub mod owners;
pub mod pull;
pub mod push;
pub mod restore;
pub mod secret;
pub mod state;
pub mod stored_bundles;
pub mod text_file;
