//! Checks what ccsync needs on this machine and says how to fix it.

pub mod check;
pub mod local;
pub mod programs;
pub mod remote;
pub mod run;
pub mod store;
