//! The outside world: clock, environment, files, locks between processes, child processes,
//! signals, threads.
//!
//! Owns every call to the operating system that a test would want to control; `.clippy.toml` bans
//! those calls elsewhere. Must not know about git, sessions or the store, and must not print.

#[cfg(target_os = "linux")]
mod allocator;
mod client_program;
pub mod clock;
pub mod env;
pub mod fail_point;
pub mod failure;
pub mod former_names;
pub mod fs;
pub mod hook_env;
pub mod own_program;
pub mod parallel;
pub mod process;
pub mod process_lock;
pub mod set_aside;
pub mod signal;
pub mod temp;
pub mod temp_file;

pub use clock::{Clock, SystemClock};
pub use env::{Env, GitEnv};
pub use signal::Interrupted;
