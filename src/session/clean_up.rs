//! The clean-up of Claude Code: once a day, it deletes sessions whose file has not changed for a
//! number of days (client 2.1.329).
//!
//! Owns the choice of a file's time. Must not delete anything.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::sys::fs::read_plain_file;

/// Maximum size of the client's settings, in bytes.
pub(super) const MAX_SETTINGS_BYTES: u64 = 4 << 20;

/// Days after which the client deletes a session, if its settings do not say it.
const DEFAULT_DAYS: f64 = 30.0;

/// Maximum period that is distinguished from a longer one, in days.
const MAX_DAYS: f64 = 36_500.0;

const HOURS_PER_DAY: f64 = 24.0;

/// Time between two clean-ups of the client, with some room, in hours.
const HOURS_BETWEEN: f64 = 26.0;

/// The client's rule for deleting old sessions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanUp {
    /// Age of a file, in hours, at which it is deleted.
    period: f64,
}

/// The settings of the client that say when it deletes a session.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct CleanUpSettings {
    cleanup_period_days: serde_json::Value,
    desktop_session_cleanup_period_days: serde_json::Value,
}

impl CleanUp {
    /// Reads the client's settings. What they do not say has its default.
    pub fn read(claude_dir: &Path) -> Self {
        let mut days: Vec<f64> = Vec::new();
        for name in ["settings.json", "settings.local.json"] {
            let path = claude_dir.join(name);
            let json = read_plain_file(&path, MAX_SETTINGS_BYTES).unwrap_or_default();
            let settings: CleanUpSettings = serde_json::from_slice(&json).unwrap_or_default();
            days.extend(settings.cleanup_period_days.as_f64());
            days.extend(settings.desktop_session_cleanup_period_days.as_f64());
        }
        Self::after_days(days.into_iter().filter(|days| *days > 0.0).reduce(f64::min))
    }

    fn after_days(days: Option<f64>) -> Self {
        let days = days.unwrap_or(DEFAULT_DAYS).min(MAX_DAYS);
        Self {
            period: days * HOURS_PER_DAY,
        }
    }

    /// Returns the time that a session's file gets, whose newest record is of `last_activity`.
    ///
    /// The client shows and continues sessions in the order of these times. So they are those of
    /// the records, unless the client would soon delete the file: then they are moved closer to
    /// the present, in the same order.
    pub fn file_time(self, last_activity: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        let oldest = (self.period * 0.75)
            .min(self.period - HOURS_BETWEEN)
            .max(1.0);
        let limit = oldest * 2.0 / 3.0;
        let age = (now - last_activity).as_seconds_f64() / 3600.0;
        if age <= limit {
            return last_activity;
        }
        // Grows with the age, and never reaches `oldest`.
        let age = limit + (oldest - limit) * (1.0 - limit / age);
        now - TimeDelta::milliseconds((age * 3_600_000.0) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-03-10T12:00:00Z".parse().unwrap()
    }

    /// Returns the age of the file, in days, of a session of this age.
    fn file_age(period: Option<f64>, days: f64) -> f64 {
        let then = now() - TimeDelta::seconds((days * 86_400.0) as i64);
        let time = CleanUp::after_days(period).file_time(then, now());
        (now() - time).as_seconds_f64() / 86_400.0
    }

    #[test]
    fn clean_up_recent_session_keeps_its_time() {
        for days in [-1.0, 0.0, 1.0, 14.0] {
            assert!((file_age(None, days) - days).abs() < 1e-6, "{days}");
        }
    }

    #[test]
    fn clean_up_old_session_is_left_for_more_than_a_day() {
        for period in [
            None,
            Some(2.0),
            Some(3.0),
            Some(7.0),
            Some(30.0),
            Some(99_999.0),
        ] {
            for days in [1.0, 2.9, 6.9, 29.9, 31.0, 365.0, 20_000.0, 90_000.0] {
                let rest = period.unwrap_or(DEFAULT_DAYS).min(MAX_DAYS) - file_age(period, days);
                assert!(rest > 1.0, "{period:?} {days}: {rest}");
            }
        }
        assert!(file_age(Some(1.0), 365.0) < 0.5);
    }

    #[test]
    fn clean_up_order_of_sessions_stays() {
        for period in [1.0, 3.0, 30.0] {
            let ages: Vec<f64> = [0.1, 0.9, 2.0, 15.0, 22.0, 30.0, 31.0, 400.0, 4000.0]
                .map(|days| file_age(Some(period), days))
                .into();
            assert!(ages.is_sorted(), "{period}: {ages:?}");
            assert!(ages.windows(2).all(|pair| pair[0] < pair[1]), "{ages:?}");
        }
    }

    #[test]
    fn clean_up_settings_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            crate::sys::fs::write_atomic(&dir.path().join("settings.json"), text.as_bytes())
                .unwrap();
            CleanUp::read(dir.path())
        };
        assert_eq!(read("{"), CleanUp::after_days(None));
        assert_eq!(
            read(r#"{"cleanupPeriodDays":0}"#),
            CleanUp::after_days(None)
        );
        assert_eq!(
            read(r#"{"model":"x","cleanupPeriodDays":7}"#),
            CleanUp::after_days(Some(7.0))
        );
    }
}
