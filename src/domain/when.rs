//! A moment, or a commit, as a person writes it. Pure: the present and the time zone are arguments.
//!
//! | form | what it is |
//! |---|---|
//! | `2026-11-20T14:00:00Z`, `2026-11-20T14:00:00+01:00` | that moment (RFC 3339) |
//! | `2026-11-20 14:00`, `2026-11-20 14:00:30`, also with `T` | that moment, in the time zone of this machine |
//! | `2026-11-20` | the end of that day, in the time zone of this machine |
//! | `90 min`, `2h`, `3d`, `2 weeks ago` | so long before now: a number and `min`, `h`, `d` or `w`, or the whole word; `ago` may follow |
//! | 4 to 40 digits of `0-9a-f` | the commit whose id begins so |

use crate::domain::error::{ErrorKind, UserError};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use super::id::CommitId;

/// What [`When::parse`] understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// A moment.
    Time(DateTime<Utc>),
    /// The beginning of a commit's id.
    Commit(String),
}

/// Why a text is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWhen {
    /// None of the forms.
    #[error("`{}` is neither a time nor a commit", .0.escape_debug())]
    Unknown(String),
    /// The clocks were put forward over it.
    #[error("no time `{}` in this time zone", .0.escape_debug())]
    NoSuchTime(String),
}

/// The fewest digits by which a commit is named.
const FEWEST_DIGITS: usize = 4;

impl When {
    /// Reads what a person wrote. `to_utc` is the time zone: the earlier one of two moments that a local time may be, none for one that never was.
    ///
    /// # Errors
    /// [`InvalidWhen`]
    pub fn parse(
        text: &str,
        now: DateTime<Utc>,
        to_utc: &dyn Fn(NaiveDateTime) -> Option<DateTime<Utc>>,
    ) -> Result<Self, InvalidWhen> {
        let text = text.trim();
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        if let Some(local) = local_time(text) {
            return to_utc(local)
                .map(Self::Time)
                .ok_or_else(|| InvalidWhen::NoSuchTime(text.to_owned()));
        }
        if let Some(past) = past(text) {
            let time = now.checked_sub_signed(past);
            return time
                .map(Self::Time)
                .ok_or_else(|| InvalidWhen::Unknown(text.to_owned()));
        }
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let longest = CommitId::DIGITS;
        if (FEWEST_DIGITS..=longest).contains(&text.len()) && text.bytes().all(is_digit) {
            return Ok(Self::Commit(text.to_owned()));
        }
        Err(InvalidWhen::Unknown(text.to_owned()))
    }
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
    time.or_else(|| {
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()?
            .and_hms_opt(23, 59, 59)
    })
}

/// `2h`, `3 days`, `1 week ago`.
fn past(text: &str) -> Option<TimeDelta> {
    let text = text.strip_suffix("ago").map_or(text, str::trim_end);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    // Nobody looks further back; and digits of a commit are more.
    let number = i64::from(number.parse::<u16>().ok()?);
    match unit.trim() {
        "min" | "minute" | "minutes" => Some(TimeDelta::minutes(number)),
        "h" | "hour" | "hours" => Some(TimeDelta::hours(number)),
        "d" | "day" | "days" => Some(TimeDelta::days(number)),
        "w" | "week" | "weeks" => Some(TimeDelta::weeks(number)),
        _ => None,
    }
}

impl UserError for InvalidWhen {
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
    use super::*;

    /// One hour east of Greenwich, with an hour that is left out.
    fn parse(text: &str) -> Result<When, InvalidWhen> {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let gap: NaiveDateTime = "2026-03-29T02:30:00".parse().unwrap();
        When::parse(text, now, &|local| {
            (local != gap).then(|| local.and_utc() - TimeDelta::hours(1))
        })
    }

    #[test]
    fn when_every_form_parses_and_no_other() {
        let time = |text: &str| Ok(When::Time(text.parse().unwrap()));
        for (text, expected) in [
            ("2026-11-20T14:00:00Z", "2026-11-20T14:00:00Z"),
            ("2026-11-20T14:00:00+02:00", "2026-11-20T12:00:00Z"),
            ("2026-11-20 14:00", "2026-11-20T13:00:00Z"),
            ("2026-11-20T14:00:30", "2026-11-20T13:00:30Z"),
            ("2026-11-20", "2026-11-20T22:59:59Z"),
            ("2h", "2026-11-21T10:00:00Z"),
            ("90 min", "2026-11-21T10:30:00Z"),
            ("3d ago", "2026-11-18T12:00:00Z"),
            (" 2 weeks ago ", "2026-11-07T12:00:00Z"),
        ] {
            assert_eq!(parse(text), time(expected), "{text}");
        }
        for commit in [
            "1a2b",
            "20261120",
            "1a2b3c4d5e",
            &"f".repeat(40),
            "1234567890",
        ] {
            assert_eq!(parse(commit), Ok(When::Commit(commit.to_owned())));
        }
        assert_eq!(
            parse("2026-03-29 02:30"),
            Err(InvalidWhen::NoSuchTime("2026-03-29 02:30".to_owned()))
        );
        for bad in [
            "",
            "yesterday",
            "2m",
            "-2h",
            "h",
            "ago",
            "1a2",
            "1A2B3C",
            "2026-13-01",
            "g123",
            "99999d ago",
            &"f".repeat(41),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn when_any_text_never_panics() {
        for text in [
            "\u{e9}2h",
            "2\u{e9}",
            "9999-12-31",
            "65535w",
            "0001-01-01T00:00:00Z",
            "é",
        ] {
            let _ = parse(text);
        }
    }
}
