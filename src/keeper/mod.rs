//! Keeps open sessions: takes and renews their locks, backs up, and releases at the end.
//!
//! ```text
//! daemon           run.rs, all clients           ┐
//! resume, start    cli/command/resume/run.rs,    ├─> keep.rs: open_sessions.rs, pace.rs,
//!                  the client that it started    ┘            then push and locks (send.rs)
//! ```
//!
//! Each session is kept by the process that holds its lease; the others of this machine leave it
//! alone, and take over when that process dies. Must not pull what is not a fork, print, or ask.

pub mod client_event;
pub mod keep;
pub mod open_sessions;
pub mod pace;
pub mod send;
pub mod session_status;
