//! Draws [`Progress`] on a terminal: nothing for the first quarter of a second, then one
//! line, which is erased at the end of each phase so that it never mixes with messages.
//!
//! A separate thread draws, because a phase that waits for the network reports nothing
//! meanwhile.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::domain::{Phase, Progress, progress::Silent};

/// Shorter commands show no progress.
const DELAY: Duration = Duration::from_millis(250);
/// Maximum number of updates per second.
const MAX_HZ: u8 = 20;
const TICK: Duration = Duration::from_millis(100);

/// Returns the progress display of one command; a silent one unless `visible`.
pub(crate) fn progress(visible: bool) -> Arc<dyn Progress + Send + Sync> {
    if visible {
        Arc::new(Terminal::default())
    } else {
        Arc::new(Silent)
    }
}

struct Terminal {
    /// Counted from the start of the command: ten short phases deserve a display like one
    /// long phase.
    visible_from: Instant,
    phase: Mutex<Option<Running>>,
}

impl Default for Terminal {
    #[expect(
        clippy::disallowed_methods,
        reason = "decides only when a line is drawn"
    )]
    fn default() -> Self {
        Self {
            visible_from: Instant::now() + DELAY,
            phase: Mutex::new(None),
        }
    }
}

struct Running {
    bar: ProgressBar,
    by_bytes: bool,
    files: u64,
    all_files: u64,
    /// Dropped at the end of the phase, which ends the drawing thread.
    _ended: Sender<()>,
    drawer: JoinHandle<()>,
}

impl Progress for Terminal {
    fn begin(&self, phase: Phase, files: u64, bytes: u64) {
        self.end();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(bar_style(files, bytes));
        bar.set_prefix(label(phase));
        if files.max(bytes) > 0 {
            bar.set_length(if bytes > 0 { bytes } else { files });
        }
        let (ended, waiting) = mpsc::channel();
        let wait = self.visible_from.saturating_duration_since(now());
        let drawn = bar.clone();
        let drawer = thread::spawn(move || {
            if waiting.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                drawn.set_draw_target(ProgressDrawTarget::stderr_with_hz(MAX_HZ));
                drawn.enable_steady_tick(TICK);
            }
        });
        let running = Running {
            bar,
            by_bytes: bytes > 0,
            files: 0,
            all_files: files,
            _ended: ended,
            drawer,
        };
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    fn advance(&self, files: u64, bytes: u64) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = phase.as_mut() else {
            return;
        };
        running.files += files;
        running
            .bar
            .inc(if running.by_bytes { bytes } else { files });
        if running.by_bytes && running.all_files > 0 {
            running
                .bar
                .set_message(format!("{} of {} files", running.files, running.all_files));
        }
    }

    fn end(&self) {
        let running = self
            .phase
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Running {
            bar,
            drawer,
            _ended,
            ..
        }) = running
        else {
            return;
        };
        drop(_ended);
        // A failure of the drawing thread does not affect the work.
        let _ = drawer.join();
        bar.finish_and_clear();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "decides only when a line is drawn"
)]
fn now() -> Instant {
    Instant::now()
}

fn bar_style(files: u64, bytes: u64) -> ProgressStyle {
    let template = match (files, bytes) {
        (0, 0) => "{spinner} {prefix} {pos}",
        (_, 0) => "{spinner} {prefix} {bar:24} {pos} of {len}  {eta} left",
        _ => {
            "{spinner} {prefix} {bar:24} {decimal_bytes} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left  {msg}"
        }
    };
    let style = ProgressStyle::with_template(template).expect("the templates above are valid");
    style.progress_chars("━╸ ")
}

fn label(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "scanning sessions",
        Phase::Store => "storing",
        Phase::Commit => "committing",
        Phase::Send => "pushing",
        Phase::Fetch => "fetching",
        Phase::Materialise => "writing",
        Phase::Check => "checking",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_phases_may_follow_and_end_twice() {
        let progress = progress(true);
        progress.begin(Phase::Scan, 0, 0);
        progress.advance(3, 0);
        progress.begin(Phase::Store, 2, 2000);
        progress.advance(1, 900);
        progress.end();
        progress.end();
        progress.advance(1, 1);
    }
}
