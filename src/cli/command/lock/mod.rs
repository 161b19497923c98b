//! `ccsync lock`: who works on which session, and releasing locks.

mod command;
mod release;
mod show;

pub(in crate::cli) use command::{LockArgs, run};
