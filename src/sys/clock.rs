//! Time as an argument, so that leases and waits are tested without sleeping.
//!
//! Owns the only calls of the system's clocks. Must not decide what a time means.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local, TimeDelta, Utc};

/// Converts a time to this machine's time zone.
pub fn to_local(time: DateTime<Utc>) -> DateTime<Local> {
    time.with_timezone(&Local)
}

/// Formats a time in this machine's time zone, to the second.
pub fn local(time: DateTime<Utc>) -> String {
    to_local(time).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The source of time, and the way to wait.
pub trait Clock: Send + Sync {
    /// The wall clock. May jump in either direction, and differs between machines.
    fn now(&self) -> DateTime<Utc>;
    /// Time since some fixed moment of this process; never goes back.
    ///
    /// It stops while the machine sleeps on Linux and macOS, so a limit may be reached late.
    fn monotonic(&self) -> Duration;
    /// Waits for `d`.
    fn sleep(&self, d: Duration);
}

/// Difference between the clocks from which the machine counts as having slept.
const SLEEP: TimeDelta = TimeDelta::minutes(1);

/// A time by both clocks: the monotonic one may stop while the machine sleeps, the other may jump.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    monotonic: Duration,
    wall: DateTime<Utc>,
}

impl Moment {
    /// Returns the present.
    pub fn now(clock: &dyn Clock) -> Self {
        Self {
            monotonic: clock.monotonic(),
            wall: clock.now(),
        }
    }

    /// Returns the time since then, by the clock that says more.
    pub fn elapsed(self, clock: &dyn Clock) -> TimeDelta {
        let running = clock.monotonic().saturating_sub(self.monotonic);
        let running = TimeDelta::from_std(running).unwrap_or(TimeDelta::MAX);
        running.max(clock.now() - self.wall)
    }

    /// Returns true if the machine has slept since then, or its clock was set ahead.
    pub fn has_slept_since(self, clock: &dyn Clock) -> bool {
        let running = clock.monotonic().saturating_sub(self.monotonic);
        let running = TimeDelta::from_std(running).unwrap_or(TimeDelta::MAX);
        clock.now() - self.wall - running >= SLEEP
    }
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    fn default() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::from_std(ahead()).unwrap_or(TimeDelta::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed() + ahead()
    }

    fn sleep(&self, d: Duration) {
        thread::sleep(d);
    }
}

/// Returns how far the clocks of this process are ahead of the system's.
#[cfg(not(feature = "fail-points"))]
fn ahead() -> Duration {
    Duration::ZERO
}

/// Returns how far the clocks of this process are ahead of the system's.
///
/// With the feature `fail-points`, it is the number of seconds in the file that
/// `CCSYNC_CLOCK_AHEAD` names. The file is read at every call, so that a test can move the time
/// of a running process.
#[cfg(feature = "fail-points")]
#[expect(
    clippy::disallowed_methods,
    reason = "exists in tests only, where time is moved by hand"
)]
fn ahead() -> Duration {
    let seconds =
        std::env::var_os("CCSYNC_CLOCK_AHEAD").and_then(|path| std::fs::read_to_string(path).ok());
    Duration::from_secs(
        seconds
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0),
    )
}

/// A clock for tests. It moves only by calls; sleeping moves it and returns at once.
#[derive(Debug)]
pub struct ManualClock {
    time: Mutex<Time>,
}

#[derive(Debug)]
struct Time {
    wall: DateTime<Utc>,
    monotonic: Duration,
}

impl ManualClock {
    /// Creates a clock with the wall time `wall` and the monotonic time zero.
    pub fn new(wall: DateTime<Utc>) -> Self {
        Self {
            time: Mutex::new(Time {
                wall,
                monotonic: Duration::ZERO,
            }),
        }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, d: Duration) {
        let mut time = self.time();
        time.monotonic += d;
        time.wall += TimeDelta::from_std(d).unwrap_or(TimeDelta::MAX);
    }

    /// Sets the wall clock only, as a time server does.
    pub fn set_wall(&self, wall: DateTime<Utc>) {
        self.time().wall = wall;
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.time().wall
    }

    fn monotonic(&self) -> Duration {
        self.time().monotonic
    }

    fn sleep(&self, d: Duration) {
        self.advance(d);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_sleep_of_machine_stops_monotonic_clock_only() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let then = Moment::now(&clock);
        clock.advance(Duration::from_secs(9000));
        assert!(!then.has_slept_since(&clock));
        clock.set_wall(clock.now() + TimeDelta::hours(8));
        assert!(then.has_slept_since(&clock));
        assert!(then.elapsed(&clock) > TimeDelta::hours(10));
        clock.set_wall(DateTime::UNIX_EPOCH);
        assert!(!then.has_slept_since(&clock));
    }

    #[test]
    fn clock_manual_moves_only_when_advanced() {
        let start = DateTime::UNIX_EPOCH;
        let clock = ManualClock::new(start);
        clock.sleep(Duration::from_secs(5));
        assert_eq!(
            (clock.now() - start, clock.monotonic()),
            (TimeDelta::seconds(5), Duration::from_secs(5))
        );
        clock.set_wall(start);
        assert_eq!(
            (clock.now(), clock.monotonic()),
            (start, Duration::from_secs(5))
        );
    }
}
