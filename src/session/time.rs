//! The client's time stamps.

use chrono::{DateTime, Utc};

/// Parses a time stamp of a record (RFC 3339).
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.to_utc())
}
