//! Commands that are killed at every step that matters; the next run repairs the rest.
//!
//! Needs the feature `fail-points`, with which the program kills itself at a given point
//! (`src/sys/fail_point.rs`).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::print_stderr, reason = "says how often it killed")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests make the files, processes and variables that the program then meets"
)]

#[allow(
    dead_code,
    unused_imports,
    reason = "shared with another test program, which uses the rest"
)]
#[path = "../harness/mod.rs"]
mod harness;

/// Makes one test for each story, so that the stories run in parallel.
macro_rules! tests {
    ($stories:ident: $($name:ident => $number:literal),*) => {
        $(#[test]
        fn $name() {
            run_story(&$stories[$number]);
        })*
        const _: () = assert!([$($number),*].len() == $stories.len());
    };
}

mod deletion;
mod encrypted;
mod expiry;
mod extras;
mod locks;
mod new_history;
mod parts;
mod points;
mod station;
mod story;
