//! Runs `git` against a network: list, fetch, push, clone. Runs `gh` to find or create a
//! repository.
//!
//! Owns the remote's address, the calls and the parsing of answers. No other folder
//! may use the network. Must not know the meaning of references, open the repository,
//! print or prompt. `docs/dev/transport.md` gives the reason of every flag and
//! variable.

mod caller;
pub mod clone;
mod failure;
pub mod git_cli;
pub mod github;
pub mod porcelain;
pub mod remote;

/// Returns the user's `git` for a query about a local repository: with a clean
/// environment and non-interactive.
pub fn local_git() -> crate::sys::process::Program {
    caller::git(&[]).env("GIT_TERMINAL_PROMPT", "0")
}

pub use git_cli::GitCli;
pub use remote::{ObjectNames, RefUpdate, RemoteError};

pub use remote::PushOutcome;
