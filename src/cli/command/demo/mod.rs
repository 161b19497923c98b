//! `ccsync demo`: a story with two machines, played by this very program.
//!
//! Must not touch anything of the user's: both machines have homes of their own in a temporary
//! directory and get nothing of this process's environment.

mod client;
mod machine;
mod story;
mod transcript;

pub(in crate::cli) use client::{is_stand_in, run_stand_in};
pub(in crate::cli) use story::{DemoArgs, run};
