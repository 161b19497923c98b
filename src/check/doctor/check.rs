//! The result of one check, and the context of all checks.

use std::time::Duration;

use serde::Serialize;

use crate::config::{ConfigError, Settings};
use crate::domain::{url::RemoteUrl, url::project_identity};
use crate::sys::{Clock, Env};
use crate::workspace::{SyncError, paths::remote_url};

/// Time limit for a program without output.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// Status of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Works.
    Ok,
    /// Works, but needs attention.
    Warning,
    /// Does not work.
    Error,
}

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name of the check, the same in every run.
    pub name: &'static str,
    /// Status.
    pub status: CheckStatus,
    /// The finding, not sanitized.
    pub message: String,
    /// The fix: a command, or else an instruction. Not sanitized.
    pub fix: Option<String>,
}

/// Everything that checks work with.
pub(crate) struct DoctorContext<'a> {
    pub(crate) env: &'a Env,
    pub(crate) clock: &'a dyn Clock,
    /// `Ok(None)`: the machine was never set up.
    pub(crate) settings: Result<Option<Settings>, ConfigError>,
}

impl Check {
    pub(crate) fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            status: CheckStatus::Ok,
            message: message.into(),
            fix: None,
        }
    }

    pub(crate) fn warning(
        name: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            name,
            status: CheckStatus::Warning,
            message: message.into(),
            fix: Some(fix.into()),
        }
    }

    pub(crate) fn error(
        name: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            name,
            status: CheckStatus::Error,
            message: message.into(),
            fix: Some(fix.into()),
        }
    }
}

impl DoctorContext<'_> {
    pub(crate) fn set_up(&self) -> Option<&Settings> {
        self.settings.as_ref().ok()?.as_ref()
    }

    /// Returns the remote that a command would use; `None` if it is unknown.
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
