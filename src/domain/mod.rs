//! The vocabulary of the program: identifiers, paths, placeholders, patterns, sizes, addresses of
//! remotes, the git facts of a project, progress, turns, search hits, kinds of errors.
//!
//! Owns the types that every other module uses. Must not do I/O, read the clock, use git or know
//! about the terminal.

pub(crate) mod checked;
pub mod client_dir;
pub mod commit_author;
pub mod error;
pub mod extras;
pub mod history_point;
pub mod hit;
pub mod id;
pub mod parse;
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
