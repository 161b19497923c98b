//! Runs all checks, each with its fix.
//!
//! Owns the list of checks and their order. Every check is independent: it runs
//! without a configuration, with an unreadable one, while another ccsync works, and
//! offline. Changes nothing, except that it creates and removes a branch on the remote
//! to test locks. Nothing waits for long.

use crate::check::doctor::{local, programs, remote, store};

use crate::config::{Config, Settings};
use crate::sys::{Clock, Env};

use crate::check::doctor::check::{Check, DoctorContext};

/// Runs all checks.
pub fn doctor(env: &Env, clock: &dyn Clock) -> Vec<Check> {
    let config = Config::load(&crate::workspace::paths::config_path(env));
    let settings = config.and_then(|config| {
        config
            .map(|config| Settings::resolve(&config, env))
            .transpose()
    });
    let context = DoctorContext {
        env,
        clock,
        settings,
    };
    // Slow checks run while the local ones do.
    std::thread::scope(|scope| {
        let programs = scope.spawn(|| programs::checks(&context));
        let remote = scope.spawn(|| remote::checks(&context));
        let here = local::checks(&context);
        let stored = store::checks(&context);
        let configuration = local::configuration(&context);
        let programs = programs.join().expect("a check does not panic");
        let remote = remote.join().expect("a check does not panic");
        std::iter::once(configuration)
            .chain(programs)
            .chain(remote)
            .chain(stored)
            .chain(here)
            .collect()
    })
}
