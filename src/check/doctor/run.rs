//! Looking at everything that this program needs, one thing at a time, each with what mends it.
//!
//! Owns the checks and the order in which they are told. Every check stands alone: it must run when others cannot, without a configuration
//! or with one that cannot be read, while another ccsync is at work, and offline. Nothing is changed but a branch that is made on the remote
//! and removed again, to see whether locks are allowed; what has to be written for that is in a temporary directory. Nothing waits for long.

use crate::check::doctor::{local, programs, remote, store};

use crate::config::{Config, Settings};
use crate::sys::clock::Clock;
use crate::sys::env::Env;

use crate::check::doctor::check::{Check, DoctorContext};

/// Looks at everything.
pub fn doctor(env: &Env, clock: &dyn Clock) -> Vec<Check> {
    let config = Config::load(&crate::workspace::paths::config_path(env));
    let settings = config.and_then(|config| {
        config
            .map(|config| Settings::resolve(&config, env))
            .transpose()
    });
    let patient = DoctorContext {
        env,
        clock,
        settings,
    };
    // What waits for others goes on while this machine is looked at.
    std::thread::scope(|scope| {
        let programs = scope.spawn(|| programs::checks(&patient));
        let remote = scope.spawn(|| remote::checks(&patient));
        let here = local::checks(&patient);
        let stored = store::checks(&patient);
        let configuration = local::configuration(&patient);
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
