//! Git working trees on this machine, and which session belongs to which. Must not write to them.

pub mod clone_search;
pub mod clones;
pub mod current_placeholders;
pub mod former;
pub mod identity;
pub mod locate;
pub mod origins;
pub mod remote_at;
pub mod run_checkout;

pub(crate) use clones::Clones;
