//! When the daemon pushes and pulls. Pure: times come in.

use std::time::Duration;

/// Time without changes after which a push begins: the client writes its last records up to half a
/// second after a turn (client 2.1.332).
const QUIET: Duration = Duration::from_millis(700);

/// Time after which a push begins although the client still writes.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Minimum time between two pushes.
const BETWEEN: Duration = Duration::from_secs(2);

/// Pause after the first failure. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(4);

/// Longest pause after a failure.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// When to push and pull next. Times are those of one clock that never goes back.
#[derive(Debug)]
pub struct Pace {
    /// Time between two pulls.
    interval: Duration,
    first_change: Option<Duration>,
    last_change: Duration,
    last_push: Option<Duration>,
    /// `None`: at once.
    last_pull: Option<Duration>,
    failures: u32,
    /// No attempt before this time.
    retry: Duration,
}

impl Pace {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            first_change: None,
            last_change: Duration::ZERO,
            last_push: None,
            last_pull: None,
            failures: 0,
            retry: Duration::ZERO,
        }
    }

    /// Records that there is something to push.
    pub(crate) fn changed(&mut self, now: Duration) {
        self.first_change.get_or_insert(now);
        self.last_change = now;
    }

    /// Lets the next pull happen at once.
    pub(crate) fn pull_soon(&mut self) {
        self.last_pull = None;
    }

    /// Forgets pauses: the machine has slept, and other machines have not.
    pub(crate) fn wake(&mut self) {
        self.pull_soon();
        self.succeeded();
    }

    /// Returns true if something waits to be pushed.
    pub(crate) fn is_waiting(&self) -> bool {
        self.first_change.is_some()
    }

    /// Returns true if no pause after a failure is left.
    pub(crate) fn may_try(&self, now: Duration) -> bool {
        now >= self.retry
    }

    /// Returns true if it is time to push.
    pub(crate) fn push_is_due(&self, now: Duration) -> bool {
        let Some(first) = self.first_change else {
            return false;
        };
        let is_quiet = now.saturating_sub(self.last_change) >= QUIET;
        let is_late = now.saturating_sub(first) >= MAX_DELAY;
        let is_apart = self
            .last_push
            .is_none_or(|last| now.saturating_sub(last) >= BETWEEN);
        (is_quiet || is_late) && is_apart && self.may_try(now)
    }

    /// Returns true if it is time to pull.
    pub(crate) fn pull_is_due(&self, now: Duration) -> bool {
        let is_old = self
            .last_pull
            .is_none_or(|last| now.saturating_sub(last) >= self.interval);
        is_old && self.may_try(now)
    }

    /// Returns the time up to which nothing is due, unless something changes.
    pub(crate) fn next_due(&self) -> Duration {
        let after = |last: Option<Duration>, time| {
            last.map_or(Duration::ZERO, |last| last.saturating_add(time))
        };
        let pull = after(self.last_pull, self.interval);
        let push = self.first_change.map(|first| {
            let is_quiet = self.last_change + QUIET;
            is_quiet
                .min(first + MAX_DELAY)
                .max(after(self.last_push, BETWEEN))
        });
        push.map_or(pull, |push| push.min(pull)).max(self.retry)
    }

    /// Records the begin of a push: what changes from now on is for the next one.
    pub(crate) fn push_begins(&mut self, now: Duration) {
        self.first_change = None;
        self.last_push = Some(now);
    }

    /// Records a pull.
    pub(crate) fn pulled(&mut self, now: Duration) {
        self.last_pull = Some(now);
    }

    /// Records a success: the next attempt needs no pause.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.retry = Duration::ZERO;
    }

    /// Records a failure. Attempts become rarer.
    pub(crate) fn failed(&mut self, now: Duration) {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let pause = FIRST_PAUSE.saturating_mul(factor).min(MAX_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.retry = now + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn pace_burst_of_changes_is_one_push() {
        let mut pace = Pace::new(seconds(300.0));
        assert!(!pace.push_is_due(seconds(9.0)));
        for time in [10.0, 10.2, 10.4] {
            pace.changed(seconds(time));
            assert!(!pace.push_is_due(seconds(time)));
        }
        assert!(pace.push_is_due(seconds(11.2)));
        pace.push_begins(seconds(11.2));
        pace.changed(seconds(11.3));
        assert!(
            !pace.push_is_due(seconds(12.5)),
            "two seconds between pushes"
        );
        assert!(pace.push_is_due(seconds(13.3)));
    }

    #[test]
    fn pace_client_that_never_stops_is_pushed_within_seconds() {
        let mut pace = Pace::new(seconds(300.0));
        for tenth in 0..50 {
            pace.changed(seconds(f64::from(tenth) / 10.0));
        }
        assert!(pace.push_is_due(seconds(5.0)));
    }

    #[test]
    fn pace_failures_make_attempts_rarer() {
        let mut pace = Pace::new(seconds(300.0));
        let mut now = seconds(0.0);
        pace.changed(now);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pace.failed(now);
            pace.changed(now);
            let begin = now;
            while !pace.push_is_due(now) {
                now += seconds(1.0);
            }
            pauses.push((now - begin).as_secs());
        }
        assert_eq!(pauses, [4, 8, 16, 32, 64, 128, 256, 300, 300]);
        pace.succeeded();
        assert!(pace.push_is_due(now));
    }

    #[test]
    fn pace_after_sleep_tries_at_once() {
        let mut pace = Pace::new(seconds(300.0));
        pace.pulled(seconds(1.0));
        (0..9).for_each(|_| pace.failed(seconds(2.0)));
        assert!(!pace.pull_is_due(seconds(3.0)));
        pace.wake();
        assert!(pace.pull_is_due(seconds(3.0)));
    }

    #[test]
    fn pace_pull_is_due_at_start_and_after_interval() {
        let mut pace = Pace::new(seconds(300.0));
        assert!(pace.pull_is_due(seconds(0.0)));
        pace.pulled(seconds(1.0));
        assert!(!pace.pull_is_due(seconds(300.0)));
        assert!(pace.pull_is_due(seconds(301.0)));
        pace.pulled(seconds(301.0));
        pace.pull_soon();
        assert!(pace.pull_is_due(seconds(302.0)));
    }
}
