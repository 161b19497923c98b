//! Formats numbers, sizes, times and paths for the user. Pure: the present time is an
//! argument.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{SessionId, System};
pub(crate) use crate::report::count::count;
use crate::sys::clock::local;
use crate::ui::sanitize;

/// Formats a size with at most three digits and a decimal unit: `412 B`, `4.2 kB`, `118
/// MB`.
pub(crate) fn bytes(n: u64) -> String {
    if n < 1000 {
        return format!("{n} B");
    }
    for (unit, size) in [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)] {
        let tenths = rounded(n, size / 10);
        if tenths < 100 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        let whole = rounded(n, size);
        if whole < 1000 {
            return format!("{whole} {unit}");
        }
    }
    format!("{} TB", rounded(n, 1_000_000_000_000))
}

/// Formats a time that something took: `0.4 s`, `12 s`, `3 min`.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        ..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

fn rounded(n: u64, unit: u64) -> u64 {
    n / unit + u64::from(n % unit >= unit / 2)
}

/// Says that a session goes on under another id, in whose place that one is used.
pub(crate) fn successor_note(from: &SessionId, to: &SessionId) -> String {
    format!("session {from} goes on as session {to}")
}

/// Formats the age of `then`: `just now`, `5 min ago`, `3 h ago`, `2 days ago`; after a
/// month, the date.
pub(crate) fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let past = now - then;
    if past < -TimeDelta::minutes(1) || past >= TimeDelta::days(31) {
        return then.format("%Y-%m-%d").to_string();
    }
    match (past.num_minutes(), past.num_hours(), past.num_days()) {
        (..1, _, _) => "just now".to_owned(),
        (minutes, 0, _) => format!("{minutes} min ago"),
        (_, hours, 0) => format!("{hours} h ago"),
        (_, _, days) => format!("{} ago", count(days.unsigned_abs(), "day")),
    }
}

/// Formats a time on this machine's clock: `2026-11-20 14:03`.
pub(crate) fn moment(time: DateTime<Utc>) -> String {
    let mut shown = local(time);
    shown.truncate(shown.len().saturating_sub(":00".len()));
    shown
}

/// Formats a portable path: the placeholder of the home directory becomes `~`, control
/// characters are escaped.
pub(crate) fn project(portable: &str) -> String {
    let shown = match portable.strip_prefix("{{HOME}}") {
        Some("") => "~".to_owned(),
        Some(rest) if rest.starts_with('/') => format!("~{rest}"),
        _ => portable.to_owned(),
    };
    sanitize::one_line(&shown).into_owned()
}

/// Returns the name of an operating system.
pub(crate) fn system(system: System) -> &'static str {
    match system {
        System::Linux => "Linux",
        System::Macos => "macOS",
        System::Windows => "Windows",
        System::Wsl => "WSL",
    }
}

/// Returns the first eight characters of a session id, which are enough to recognise it.
pub(crate) fn short_id(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_size_has_at_most_three_digits() {
        let shown = |n| bytes(n);
        assert_eq!(shown(0), "0 B");
        assert_eq!(shown(999), "999 B");
        assert_eq!(shown(1000), "1.0 kB");
        assert_eq!(shown(1049), "1.0 kB");
        assert_eq!(shown(1050), "1.1 kB");
        assert_eq!(shown(9_949), "9.9 kB");
        assert_eq!(shown(9_950), "10 kB");
        assert_eq!(shown(999_499), "999 kB");
        assert_eq!(shown(999_999), "1.0 MB");
        assert_eq!(shown(118_000_000), "118 MB");
        assert_eq!(shown(2_500_000_000), "2.5 GB");
        assert_eq!(shown(u64::MAX / 1_000_000), "18 TB");
    }

    #[test]
    fn format_old_age_becomes_date() {
        let now: DateTime<Utc> = "2026-03-10T12:00:00Z".parse().expect("a date");
        let shown = |seconds| age(now - TimeDelta::seconds(seconds), now);
        assert_eq!(shown(59), "just now");
        assert_eq!(shown(-30), "just now");
        assert_eq!(shown(60), "1 min ago");
        assert_eq!(shown(3_600), "1 h ago");
        assert_eq!(shown(86_400), "1 day ago");
        assert_eq!(shown(30 * 86_400), "30 days ago");
        assert_eq!(shown(31 * 86_400), "2026-02-07");
        assert_eq!(shown(-86_400), "2026-03-11");
    }

    #[test]
    fn format_home_is_tilde_and_other_placeholders_stay() {
        assert_eq!(project("{{HOME}}/work/app"), "~/work/app");
        assert_eq!(project("{{HOME}}"), "~");
        assert_eq!(project("{{HOMER}}/x"), "{{HOMER}}/x");
        assert_eq!(project("{{PROJECTS}}/a\u{1b}b"), "{{PROJECTS}}/a\\u{1b}b");
    }

    #[test]
    fn format_duration_is_short() {
        let shown = [0, 440, 9_900, 59_000, 119_000, 7_260_000];
        let shown = shown.map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(
            shown,
            ["0.0 s", "0.4 s", "9.9 s", "59 s", "119 s", "121 min"]
        );
    }
}
