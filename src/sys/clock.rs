//! Time as an argument, so that leases and waits are tested without sleeping.
//!
//! Owns the only calls of the system's clocks. Must not format times or decide what they mean.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local, NaiveDateTime, TimeDelta, Utc};

/// A time as the clocks on the wall of this machine show it, to the second.
pub fn local(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The moment at which the clocks on the wall of this machine show `time`; the earlier one of two, none if they never do.
pub fn of_local(time: NaiveDateTime) -> Option<DateTime<Utc>> {
    time.and_local_timezone(Local)
        .earliest()
        .map(|time| time.to_utc())
}

/// Where the program learns the time and how it waits.
pub trait Clock: Send + Sync {
    /// The wall clock. May jump in either direction, and differs between machines.
    fn now(&self) -> DateTime<Utc>;
    /// Time since some fixed moment of this process; never goes back. Stands still while the machine sleeps on Linux
    /// and macOS, so "not seen for so long" errs towards waiting.
    fn monotonic(&self) -> Duration;
    /// Waits for `d`.
    fn sleep(&self, d: Duration);
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

/// By how much the clocks of this process go ahead of the system's.
#[cfg(not(feature = "fail-points"))]
fn ahead() -> Duration {
    Duration::ZERO
}

/// By how much the clocks of this process go ahead of the system's: with the feature `fail-points`, as many seconds as the file says that
/// `CCSYNC_CLOCK_AHEAD` names. It is read at every look at the clock, so that a test moves the time of a process that runs.
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

/// A clock that moves only when told to; sleeping on it moves it and returns at once.
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
    /// A clock whose wall stands at `wall` and whose monotonic time is zero.
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

    /// Sets the wall clock only, as a person or a time server does.
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
