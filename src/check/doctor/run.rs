//! Looking at everything that this program needs, one thing at a time, each with what mends it.
//!
//! Owns the checks and the order in which they are told. Every check stands alone: it must run when others cannot, without a configuration
//! or with one that cannot be read, while another ccsync is at work, and offline. Nothing is changed but a branch that is made on the remote
//! and removed again, to see whether locks are allowed; what has to be written for that is in a temporary directory. Nothing waits for long.

use crate::check::doctor::{local, programs, remote, store};
use std::time::Duration;

use serde::Serialize;

use crate::config::{Config, ConfigError, Settings};
use crate::domain::url::project_identity;
use crate::sys::clock::Clock;
use crate::sys::env::Env;
use crate::transport::url::RemoteUrl;
use crate::workspace::error::SyncError;
use crate::workspace::paths::remote_url;

/// Longer than this, no program is waited for that says nothing.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// It works, or will, but somebody should look at it.
    Warning,
    /// Something does not work.
    Error,
}

/// What was looked at, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at. The same word at every run.
    pub name: &'static str,
    /// How it stands.
    pub verdict: CheckStatus,
    /// What was found, unsanitised.
    pub words: String,
    /// What mends it: a command, or else what a person has to do. Unsanitised.
    pub mend: Option<String>,
}

/// This machine, as far as it can be known.
pub(crate) struct DoctorContext<'a> {
    pub(crate) env: &'a Env,
    pub(crate) clock: &'a dyn Clock,
    /// `Ok(None)`: it was never set up.
    pub(crate) settings: Result<Option<Settings>, ConfigError>,
}

impl Check {
    pub(crate) fn ok(name: &'static str, words: impl Into<String>) -> Self {
        Self {
            name,
            verdict: CheckStatus::Ok,
            words: words.into(),
            mend: None,
        }
    }

    pub(crate) fn warning(
        name: &'static str,
        words: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            name,
            verdict: CheckStatus::Warning,
            words: words.into(),
            mend: Some(mend.into()),
        }
    }

    pub(crate) fn error(
        name: &'static str,
        words: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            name,
            verdict: CheckStatus::Error,
            words: words.into(),
            mend: Some(mend.into()),
        }
    }
}

impl DoctorContext<'_> {
    pub(crate) fn set_up(&self) -> Option<&Settings> {
        self.settings.as_ref().ok()?.as_ref()
    }

    /// The remote that a command would use; `None` if that cannot be told.
    pub(crate) fn remote(&self) -> Option<Result<RemoteUrl, SyncError>> {
        let settings = self.set_up()?;
        Some(remote_url(self.env, settings.remote.as_deref()))
    }
}

/// GitHub's own host.
pub(crate) const GITHUB: &str = "github.com";

pub(crate) fn is_on_github(url: &RemoteUrl) -> bool {
    project_identity(url.as_git_argument())
        .is_some_and(|name| name.split('/').next() == Some(GITHUB))
}

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
