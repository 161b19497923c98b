//! Arguments in, exit code out; one file or folder per command.
//!
//! Owns the command line, the text of errors, and the exit codes. Must not do the work: a
//! command gathers what was asked, calls one of the folders below, and shows the answer.

mod app;
mod args;
mod ask;
mod command;
mod command_line;
mod complete;
mod error;
mod examples;
mod exit;
mod man_page;
mod panic;
mod placeholder_directory;
mod run;
mod shell;

pub use run::main;
