//! A time or a commit as users write it. Pure: the present and the time zone are an argument.
//!
//! | form | meaning |
//! |---|---|
//! | `2026-11-20T14:00:00Z`, `2026-11-20T14:00:00+01:00` | that time (RFC 3339) |
//! | `2026-11-20 14:00`, `2026-11-20 14:00:30`, also with `T` | that time in the given time zone |
//! | `2026-11-20` | the end of that day in the given time zone |
//! | `90 min`, `2h`, `3d`, `2 weeks ago` | that long ago |
//! | `yesterday`, `last friday`, `friday`, `april 1` | the end of that day |
//! | `yesterday 8am`, `last friday 18:30` | that time of that day |
//! | 4 to 40 digits of `0-9a-f` | the commit with an id that begins like this |

use chrono::{
    DateTime, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};
use interim::{Dialect, Interval, parse_date_string, parse_duration};

use super::id::CommitId;
use crate::domain::error::{ErrorKind, UserError};

/// A time or a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryPoint {
    /// A time.
    Time(DateTime<Utc>),
    /// The first digits of a commit's id.
    Commit(String),
}

/// The reason why a text is neither a time nor a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHistoryPoint {
    /// The text has none of the forms.
    #[error("`{}` is neither a time nor a commit", .0.escape_debug())]
    Unknown(String),
    /// The clocks were set forward over this time.
    #[error("no time `{}` in this time zone", .0.escape_debug())]
    NoSuchTime(String),
}

/// Minimum number of digits of a commit's id.
const MIN_DIGITS: usize = 4;

/// Maximum length of a word in a phrase: `interim` panics on longer ones.
const MAX_WORD: usize = 15;

impl HistoryPoint {
    /// Parses a text; `now` is the present in the time zone of the user.
    ///
    /// # Errors
    /// [`InvalidHistoryPoint`]
    pub fn parse<Tz: TimeZone>(
        text: &str,
        now: &DateTime<Tz>,
    ) -> Result<Self, InvalidHistoryPoint> {
        let text = text.trim();
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        if let Some(local) = local_time(text) {
            return in_zone(local, now)
                .map(Self::Time)
                .ok_or_else(|| InvalidHistoryPoint::NoSuchTime(text.to_owned()));
        }
        // `100d` is a duration, although its characters are digits of a commit.
        if is_commit(text) && split_number(text).is_none_or(|(_, unit)| unit != "d") {
            return Ok(Self::Commit(text.to_owned()));
        }
        let phrase = text.to_ascii_lowercase();
        time_ago(&phrase, now)
            .or_else(|| time_of_phrase(&phrase, now))
            .map(Self::Time)
            .ok_or_else(|| InvalidHistoryPoint::Unknown(text.to_owned()))
    }
}

fn is_commit(text: &str) -> bool {
    (MIN_DIGITS..=CommitId::DIGITS).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Converts a local time; the earlier of two candidates.
fn in_zone<Tz: TimeZone>(local: NaiveDateTime, now: &DateTime<Tz>) -> Option<DateTime<Utc>> {
    let time = now.timezone().from_local_datetime(&local).earliest();
    time.map(|time| time.to_utc())
}

fn end_of_day(day: NaiveDate) -> NaiveDateTime {
    let end = NaiveTime::from_hms_opt(23, 59, 59);
    day.and_time(end.unwrap_or_default())
}

fn local_time(text: &str) -> Option<NaiveDateTime> {
    let forms = [
        "%Y-%m-%d %H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%dT%H:%M:%S",
    ];
    let time = forms
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    time.or_else(|| day().map(end_of_day))
}

/// Parses `2h`, `3 days`, `1 week ago`: always in the past.
fn time_ago<Tz: TimeZone>(text: &str, now: &DateTime<Tz>) -> Option<DateTime<Utc>> {
    let (number, unit) = split_number(text).filter(|(_, unit)| is_safe(unit))?;
    // `m` may be minutes or months.
    if unit.split(' ').next() == Some("m") {
        return None;
    }
    let now = now.to_utc();
    match parse_duration(&format!("1 {unit}")).ok()? {
        Interval::Seconds(unit) => {
            let seconds = i64::from(unit.unsigned_abs()) * i64::from(number);
            now.checked_sub_signed(TimeDelta::seconds(seconds))
        }
        Interval::Days(unit) => {
            let days = u64::from(unit.unsigned_abs()) * u64::from(number);
            now.checked_sub_days(Days::new(days))
        }
        Interval::Months(unit) => {
            let months = unit.unsigned_abs() * u32::from(number);
            now.checked_sub_months(Months::new(months))
        }
    }
}

/// Splits a text that begins with a number. No larger number is needed, and a longer one may be a
/// commit.
fn split_number(text: &str) -> Option<(u16, &str)> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text[..text.len() - unit.len()].parse().ok()?;
    Some((number, unit.trim_start()))
}

/// Parses a day, or a time on a day: `yesterday`, `last friday 8pm`; nothing in the future.
fn time_of_phrase<Tz: TimeZone>(text: &str, now: &DateTime<Tz>) -> Option<DateTime<Utc>> {
    if text == "now" {
        return Some(now.to_utc());
    }
    // A unit without a number (`day`) means nothing, and `2m` is ambiguous.
    let is_duration = parse_if_safe(text, parse_duration).is_some();
    let names_day = matches!(text, "today" | "yesterday") || text.starts_with("last ");
    if is_duration && !names_day || !text.contains(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let is_past = |time: &NaiveDateTime| time.date() <= now.date_naive();
    let time = local_time_of_phrase(text, now)
        .filter(is_past)
        .or_else(|| local_time_of_phrase(&format!("last {text}"), now).filter(is_past))?;
    in_zone(time, now)
}

/// Parses a phrase. A day without a time means its end.
fn local_time_of_phrase<Tz: TimeZone>(text: &str, now: &DateTime<Tz>) -> Option<NaiveDateTime> {
    // On a Friday, `last friday` is not today: the day is looked for from yesterday on.
    let is_name = parse_if_safe(text, parse_duration).is_none();
    let yesterday = end_of_day(now.date_naive().pred_opt()?);
    let base = match text.starts_with("last ") && is_name {
        true => now.timezone().from_local_datetime(&yesterday).latest()?,
        false => now.clone(),
    };
    let parse = |text: &str| parse_date_string(text, base.clone(), Dialect::Uk);
    let time = parse_if_safe(text, parse)?.naive_local();
    let has_time = text.contains([':', '.']) || text.ends_with("am") || text.ends_with("pm");
    Some(if has_time {
        time
    } else {
        end_of_day(time.date())
    })
}

/// Calls `parse` unless `text` has a word that is too long for it.
fn parse_if_safe<T, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
    is_safe(text).then(|| parse(text).ok())?
}

fn is_safe(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    words.all(|word| word.len() <= MAX_WORD)
}

impl UserError for InvalidHistoryPoint {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let examples =
            "`--at \"2026-11-20 14:00\"`, `--at 3d`, or `--at` with a commit of `ccsync log`";
        vec![format!("give a time or a commit: {examples}")]
    }
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, MappedLocalTime};
    use proptest::prelude::*;

    use super::*;

    /// One hour east of Greenwich, with a local time that the clocks skip.
    #[derive(Clone)]
    struct SkippingZone;

    impl TimeZone for SkippingZone {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Self {
            Self
        }

        fn offset_from_local_date(&self, _: &NaiveDate) -> MappedLocalTime<FixedOffset> {
            MappedLocalTime::Single(self.offset_from_utc_date(&NaiveDate::MIN))
        }

        fn offset_from_local_datetime(&self, time: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
            match time.to_string().as_str() {
                "2026-03-29 02:30:00" => MappedLocalTime::None,
                _ => self.offset_from_local_date(&time.date()),
            }
        }

        fn offset_from_utc_date(&self, _: &NaiveDate) -> FixedOffset {
            FixedOffset::east_opt(3600).unwrap()
        }

        fn offset_from_utc_datetime(&self, time: &NaiveDateTime) -> FixedOffset {
            self.offset_from_utc_date(&time.date())
        }
    }

    /// Parses on Saturday, 2026-11-21, at 13:00 local time.
    fn parse(text: &str) -> Result<HistoryPoint, InvalidHistoryPoint> {
        let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        HistoryPoint::parse(text, &now.with_timezone(&SkippingZone))
    }

    fn assert_times(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let expected = HistoryPoint::Time(expected.parse().unwrap());
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn history_point_every_form_parses() {
        assert_times(&[
            ("2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z"),
            ("2026-11-20T14:00:00+02:00", "2026-11-20T12:00:00Z"),
            ("2026-11-20 14:00", "2026-11-20T13:00:00Z"),
            ("2026-11-20T14:00:30", "2026-11-20T13:00:30Z"),
            ("2026-11-20", "2026-11-20T22:59:59Z"),
            ("2h", "2026-11-21T10:00:00Z"),
            ("90 min", "2026-11-21T10:30:00Z"),
            ("1 minute ago", "2026-11-21T11:59:00Z"),
            ("3d ago", "2026-11-18T12:00:00Z"),
            ("100d", "2026-08-13T12:00:00Z"),
            ("2 days ago", "2026-11-19T12:00:00Z"),
            (" 2 weeks ago ", "2026-11-07T12:00:00Z"),
            ("3 months ago", "2026-08-21T12:00:00Z"),
            ("1 year", "2025-11-21T12:00:00Z"),
        ]);
        for commit in [
            "1a2b",
            "20261120",
            "3dab",
            "1a2b3c4d5e",
            &"f".repeat(40),
            "1234567890",
        ] {
            let expected = HistoryPoint::Commit(commit.to_owned());
            assert_eq!(parse(commit), Ok(expected));
        }
        let skipped = "2026-03-29 02:30";
        assert_eq!(
            parse(skipped),
            Err(InvalidHistoryPoint::NoSuchTime(skipped.to_owned()))
        );
    }

    #[test]
    fn history_point_phrases_mean_past_days() {
        assert_times(&[
            ("now", "2026-11-21T12:00:00Z"),
            ("today", "2026-11-21T22:59:59Z"),
            ("yesterday", "2026-11-20T22:59:59Z"),
            ("Yesterday 8AM", "2026-11-20T07:00:00Z"),
            ("yesterday 18:30", "2026-11-20T17:30:00Z"),
            ("last friday", "2026-11-20T22:59:59Z"),
            ("friday", "2026-11-20T22:59:59Z"),
            ("last Saturday", "2026-11-14T22:59:59Z"),
            ("saturday", "2026-11-14T22:59:59Z"),
            ("last friday 8pm", "2026-11-20T19:00:00Z"),
            ("last week", "2026-11-14T22:59:59Z"),
            ("april 1", "2026-04-01T22:59:59Z"),
            ("24 december", "2025-12-24T22:59:59Z"),
            ("3 days ago 14:00", "2026-11-18T13:00:00Z"),
        ]);
    }

    #[test]
    fn history_point_invalid_text_is_refused() {
        for bad in [
            "",
            "2m",
            "-2h",
            "h",
            "day",
            "this week",
            "ago",
            "12",
            "1a2",
            "1A2B3C",
            "2026-13-01",
            "g123",
            "99999d ago",
            "tomorrow",
            "next friday",
            "soon",
            &"f".repeat(41),
        ] {
            assert!(parse(bad).is_err(), "{bad}: {:?}", parse(bad));
        }
    }

    proptest! {
        #[test]
        fn history_point_any_text_never_panics(
            text in "\\PC*",
            words in "([0-9]{1,5}|[a-zA-Z]{1,20}|last|friday|PM|yesterday|ago|[-:./ +,é])( ?[0-9]{1,5}| ?[a-zA-Z]{1,20}| friday| PM| ago|[-:./ +,é]){0,6}",
        ) {
            let _ = (parse(&text), parse(&words));
        }
    }

    #[test]
    fn history_point_extreme_times_never_panic() {
        for text in [
            "2\u{e9}",
            "9999-12-31",
            "65535w",
            "65535 years",
            "0001-01-01T00:00:00Z",
        ] {
            let _ = parse(text);
        }
    }
}
