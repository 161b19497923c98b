//! The user's git repository that a session works in, where there is one: what is checked out, and how it differs from what the
//! session last saw.
//!
//! Owns every look at a repository of the user's. Must not change it, know the store, or rewrite paths. What concerns a network
//! (cloning it) is `transport`'s; where it belongs is `sync::project`'s.
//!
//! * `facts`: read in this process, in a fraction of a millisecond, for every session that is stored
//! * `difference`: asks the user's `git`, with a limit, before a session is resumed

mod difference;
mod facts;

pub use difference::{WorkingTree, difference};
pub use facts::{GitFacts, linked_worktrees, main_checkout, read};
