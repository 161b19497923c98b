//! The input of every command: environment, settings, clock, progress.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Settings;
use crate::domain::Progress;
use crate::sys::{Clock, Env};

/// Maximum time to wait for another ccsync on this machine.
pub const LOCK_WAIT: Duration = Duration::from_secs(120);

/// The user's decision about a remote whose history another program has replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryChoice {
    /// Its history counts: what is missing in it stays out.
    Follow,
    /// It gets again what is missing in it.
    Refill,
}

/// The input of every command.
pub struct Context<'a> {
    /// The environment, read once at start.
    pub env: &'a Env,
    /// This machine's settings.
    pub settings: Settings,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Receiver of progress.
    pub progress: Arc<dyn Progress + Send + Sync>,
    /// True if the user can answer git's questions.
    pub interactive: bool,
    /// True if no remote may be contacted.
    pub offline: bool,
    /// True if the daemon works: what the user did not ask for waits until it matters.
    pub by_itself: bool,
    /// The decision about a replaced history of the remote, if there is one.
    pub history_choice: Option<HistoryChoice>,
}

impl Context<'_> {
    /// Returns the context with other settings.
    pub(crate) fn with_settings(&self, settings: Settings) -> Self {
        let progress = Arc::clone(&self.progress);
        Self {
            env: self.env,
            settings,
            clock: self.clock,
            progress,
            interactive: self.interactive,
            offline: self.offline,
            by_itself: self.by_itself,
            history_choice: self.history_choice,
        }
    }
}
