//! The only place that runs `git` against a network, and only to list, fetch, push, and clone; and `gh`, to find or make a repository.
//!
//! Owns the remote's address, what is asked of it and how its answers are read. Must not know what the references mean,
//! open the repository (that is `store`'s), print or prompt. `docs/dev/transport.md` gives the reason of every flag and variable.

mod caller;
pub mod clone;
mod failure;
pub mod git_cli;
pub mod github;
pub mod porcelain;
pub mod remote;
pub use crate::domain::url;

/// The user's `git` without an argument, for a question about a repository on this disk: its environment names no other one, and
/// nobody is asked anything.
pub fn local_git() -> crate::sys::process::Program {
    caller::git(&[]).env("GIT_TERMINAL_PROMPT", "0")
}
