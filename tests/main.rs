//! The one integration binary; each module is a file beside this one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests make the files, processes and variables that the program then meets"
)]

mod harness;

mod attack;
mod crash;
#[cfg(target_os = "linux")]
mod crowd;
mod damage;
mod diverge;
#[cfg(unix)]
mod doctor;
mod errors;
mod extras;
#[cfg(unix)]
mod finding;
mod fixtures;
mod foreign;
mod full_disk;
#[cfg(unix)]
mod github;
mod help;
mod history;
mod hostile_sessions;
mod hostile_store;
mod import;
mod import_beside;
mod layers;
mod left_out;
mod lock;
mod look;
mod machines;
mod model;
#[cfg(unix)]
mod moments;
mod notes;
mod offline;
#[cfg(target_os = "linux")]
mod picker;
mod placeholders;
mod project;
mod projects;
mod prose;
mod race;
mod readme;
#[cfg(target_os = "linux")]
mod relay;
mod repair;
mod reports;
#[cfg(target_os = "linux")]
mod resume;
mod rewrite;
mod round_trip;
mod safety;
mod secrets;
#[cfg(unix)]
mod servers;
mod setting_up;
mod settings;
#[cfg(unix)]
mod terminal;
mod tidy;
mod transport;
#[cfg(unix)]
mod troubleshooting;
mod verify;
