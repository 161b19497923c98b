//! One check of the doctor, and what all checks work with.

use std::time::Duration;

use serde::Serialize;

use crate::config::{ConfigError, Settings};
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
