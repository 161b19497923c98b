//! Child processes: started, listened to, stopped.
//!
//! Owns the only use of `std::process::Command`. Must not know which program it runs or what the
//! output means.

mod alive;
mod background;
mod descendants;
mod domain;
mod error;
mod job;
mod limits;
mod listen;
mod program;
mod running;
mod start;
mod status;
mod table;
#[cfg(all(test, unix))]
mod tests;

pub use alive::pid_is_alive;
pub use background::leave_terminal;
pub use domain::PidDomain;
pub use error::ProcessError;
pub use limits::{RAISE_LIMIT, has_few_files};
pub use program::{Program, ProgramOutput};
pub use running::Running;
pub use start::{ProcessStart, process_start};
pub use status::shell_code;
pub use table::is_descendant;
