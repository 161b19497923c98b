//! The only place that runs `git` against a network, and only to list, fetch and push.
//!
//! Owns the remote's address, what is asked of it and how its answers are read. Must not know what the references mean,
//! open the repository (that is `store`'s), print or prompt. `docs/git.md` gives the reason of every flag and variable.

mod caller;
mod failure;
pub mod git_cli;
pub mod porcelain;
pub mod remote;
pub mod url;
