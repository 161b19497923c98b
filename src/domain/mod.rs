//! The vocabulary of the program: identifiers, the two kinds of path, roots, patterns and sizes, addresses of remotes, what is recorded of a project's
//! repository, progress, turns of a conversation, what a search finds.
//!
//! Owns the types every other module speaks in. Must not do I/O, read the clock, use git or know about the terminal.

pub(crate) mod checked;
pub mod client_dir;
pub mod error;
pub mod extras;
pub mod history_point;
pub mod hit;
pub mod id;
pub mod path;
pub mod pattern;
pub mod placeholder;
pub mod progress;
pub mod project;
pub mod session_file;
pub mod shell;
pub mod size;
pub mod turn;
pub mod url;
