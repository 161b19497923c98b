//! `ccsync verify`: checks that this machine, the store and the remote agree.

mod command;
mod painted;
mod remote_text;
mod text;

pub(in crate::cli) use command::{VerifyArgs, run};
