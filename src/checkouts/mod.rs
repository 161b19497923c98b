//! Git working trees on this machine, and which session belongs to which. Must not write to them.

pub mod clone_search;
pub mod clones;
pub mod current_placeholders;
pub mod identity;
pub mod locate;
pub mod remote_at;

pub(crate) use clones::Clones;
