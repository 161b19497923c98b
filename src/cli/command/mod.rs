//! The commands, one file or folder each: arguments, and a `run` that does and shows it.
//!
//! A command gathers what was asked, calls one function of the folders below, and shows the
//! answer. It must not do the work itself, nor know the whole command line.

pub(super) mod apply;
pub(super) mod auto;
pub(super) mod completions;
pub(super) mod config;
pub(super) mod daemon;
pub(super) mod delete;
pub(super) mod demo;
pub(super) mod doctor;
pub(super) mod encrypt;
pub(super) mod hook;
pub(super) mod import;
pub(super) mod init;
pub(super) mod install_docs;
pub(super) mod key;
pub(super) mod list;
pub(super) mod lock;
pub(super) mod log;
pub(super) mod machine;
pub(super) mod man;
pub(super) mod milestone;
pub(super) mod note;
pub(super) mod notes;
pub(super) mod pull;
pub(super) mod purge;
pub(super) mod push;
pub(super) mod recover;
pub(super) mod repair;
pub(super) mod restore;
pub(super) mod resume;
pub(super) mod search;
pub(super) mod secrets;
pub(super) mod self_update;
pub(super) mod service;
pub(super) mod shell_init;
pub(super) mod show;
pub(super) mod start;
pub(super) mod stats;
pub(super) mod status;
pub(super) mod statusline;
pub(super) mod sync;
pub(super) mod undo;
pub(super) mod verify;
