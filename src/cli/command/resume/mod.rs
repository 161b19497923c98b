//! `ccsync resume`: continues a session under its lock; `ccsync start` shares most of it.

mod args;
mod background;
mod choose;
mod command;
mod error;
mod lease;
mod listed;
mod place;
mod run;
mod summary;

pub(in crate::cli) use args::{ResumeArgs, RunArgs};
pub(in crate::cli) use command::{begin, run};
pub(in crate::cli) use error::ResumeError;
pub(in crate::cli) use lease::take_if_reachable;
pub(in crate::cli) use run::run_client;
