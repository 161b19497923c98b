//! The git repository of the user that a session works in: its checkout, and the difference to
//! the one that the session last saw.
//!
//! Owns all reading of the user's repositories. Must not change them, know the store, or rewrite
//! paths. Cloning is in `transport`, the choice of a checkout in `checkouts`.
//!
//! * `facts`: read in this process, in a fraction of a millisecond, for every stored session
//! * `difference`: asks the user's `git`, with a time limit, before a session is resumed

mod difference;
mod facts;
mod other_format;
mod ssh_hosts;

pub use difference::{CheckoutDifference, difference};
pub use facts::{GitFacts, linked_worktrees, main_checkout, read};
pub(crate) use ssh_hosts::SshHosts;
