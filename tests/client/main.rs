//! The promises of `ccsync` with the real client: a session is pushed on one machine,
//! pulled on another and resumed there, and the tests check each request that then
//! reaches the model.
//!
//! Needs the client's program (`CC_CLIENT`) and a place without a network;
//! `.ci/client-tests` provides both. Without them every test says why it was skipped, and
//! passes. See `docs/dev/testing.md`.

#![allow(missing_docs, unreachable_pub, clippy::disallowed_methods)]

use std::io::Write;

mod api;
#[cfg(unix)]
mod by_itself;
mod client;
#[cfg(unix)]
mod clones;
mod corpus;
mod diverged;
#[cfg(unix)]
mod external_files;
mod history;
mod live;
mod localize_always;
mod localize_never;
mod locations;
mod machine;
mod memory;
#[cfg(unix)]
mod plans;
mod repair;
#[cfg(unix)]
mod resume;
#[cfg(unix)]
mod seat;
mod story;
#[cfg(unix)]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared with the other tests, which press other keys"
)]
#[path = "../harness/terminal.rs"]
mod terminal;

/// Returns the client, or returns from the test after saying why it is skipped.
macro_rules! client_or_skip {
    () => {
        match $crate::client::Client::find() {
            Ok(client) => client,
            Err(reason) => return $crate::skip(&reason),
        }
    };
}
pub(crate) use client_or_skip;

/// Prints why a test is skipped, past the test harness, which hides the output of a
/// passing test.
fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}
