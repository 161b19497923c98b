//! Files that are not sessions: memory, CLAUDE.md, plans, settings and the like. Compares,
//! merges and writes them. Must not touch transcripts, print or ask.
//!
//! A file that cannot be handled is reported, and the others go on: nothing here keeps a
//! session from travelling.

pub mod approval;
pub(crate) mod bundle_history;
pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod context;
pub(crate) mod file_version;
pub(crate) mod foreign;
pub(crate) mod line_matching;
pub(crate) mod merge;
pub(crate) mod merge_context;
pub(crate) mod open_bundle;
pub(crate) mod owner;
pub(crate) mod path_rewriter;
pub(crate) mod project_finder;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod restore;
pub(crate) mod returned;
pub(crate) mod secret;
pub(crate) mod state;
pub(crate) mod staying;
pub(crate) mod text_file;
pub(crate) mod versions;
