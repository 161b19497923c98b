//! `ccsync config`: the settings of this machine.

mod all_excluded;
mod command;
mod patterns;

pub(in crate::cli) use command::{ConfigArgs, run};
