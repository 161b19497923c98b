//! The vocabulary of the program: identifiers, the two kinds of path, roots, addresses of remotes, what git says of a project, progress,
//! turns of a conversation.
//!
//! Owns the types every other module speaks in. Must not do I/O, read the clock or know about git or the terminal.

pub mod client_dir;
pub mod id;
pub mod path;
pub mod progress;
pub mod project;
pub mod root;
pub mod turn;
pub mod url;
