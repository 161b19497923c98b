//! `ccsync demo`: a story with two machines, played by this program.
//!
//! Must not touch the user's data: both machines have home directories in a temporary
//! directory and get nothing of this process's environment.

mod client;
mod machine;
mod story;
mod transcript;

pub(in crate::cli) use client::{is_stand_in, run_stand_in};
pub(in crate::cli) use story::{DemoArgs, run};
