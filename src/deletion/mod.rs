//! Deleting sessions from the store, taking that back, and removing them from its history.
//!
//! Must not decide how deleted sessions are merged, which `flows` does, nor rewrite commits, which
//! `store` does.

pub mod delete;
pub mod error;
pub mod plan;
pub mod purge;
pub mod undelete;
