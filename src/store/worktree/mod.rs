//! The working tree of the store, which users may open and read, and git's index.
//!
//! Keeps both equal to the head. Nothing is read back from them except by `checkout`, which makes
//! sure first that a file is the one in the head.

pub(super) mod checkout;
pub(super) mod files;
pub(super) mod index;
pub(super) mod update;
