//! What every command works with.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Settings;
use crate::domain::progress::Progress;
use crate::sys::clock::Clock;
use crate::sys::env::Env;

/// How long to wait for another ccsync on this machine.
pub const LOCK_WAIT: Duration = Duration::from_secs(120);

/// Everything a command works with.
pub struct Context<'a> {
    /// The surroundings, read once at start.
    pub env: &'a Env,
    /// This machine's settings.
    pub settings: Settings,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Where progress goes.
    pub progress: Arc<dyn Progress + Send + Sync>,
    /// Whether a person is there to answer git's questions.
    pub interactive: bool,
}

impl Context<'_> {
    /// The same with other settings.
    pub(crate) fn with_settings(&self, settings: Settings) -> Self {
        let progress = Arc::clone(&self.progress);
        Self {
            env: self.env,
            settings,
            clock: self.clock,
            progress,
            interactive: self.interactive,
        }
    }
}
