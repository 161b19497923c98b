//! The lock record: `lock.json`, the only file of a lock's commit.
//!
//! Owns its format and validation. Pure. An accepted record has plausible times and
//! durations; its `host` stays untrusted text.

use crate::domain::{InvalidData, MachineId, SessionId, parse::from_json};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::store::{MAX_LOCK_BYTES, machine::Machine};

/// The format version that this program writes. A newer one is refused.
pub const FORMAT: u32 = 1;

/// Time that a lock is valid after its last renewal.
pub const TTL: TimeDelta = TimeDelta::minutes(10);

/// Tolerated difference between two machines' clocks.
pub const ALLOWED_SKEW: TimeDelta = TimeDelta::minutes(2);

/// A lock is renewed this many times before it would expire.
const RENEWALS_PER_TTL: i32 = 4;

/// Interval between renewals.
pub const RENEWAL: TimeDelta = TimeDelta::seconds(TTL.num_seconds() / RENEWALS_PER_TTL as i64);

/// Maximum time to live of a lock, in seconds.
const MAX_TTL_SECONDS: u64 = 24 * 60 * 60;

/// Time to live that only released locks have.
const RELEASED_TTL_SECONDS: u64 = 1;

/// Age of the last renewal that a released lock claims.
const RELEASED_AGE: TimeDelta = TimeDelta::days(1);

/// Largest integer that floating-point JSON readers represent exactly.
const MAX_GENERATION: u64 = 1 << 53;

/// Maximum length of a machine name, in bytes.
const MAX_HOST_BYTES: usize = 256;

const MAX_NONCE_BYTES: usize = 64;

/// Holder of a session, and its time to live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockRecord {
    /// Format version of this record.
    pub format: u32,
    /// The session, equal to the last part of the branch's name.
    pub session: SessionId,
    /// The machine that holds it.
    pub machine: MachineId,
    /// Name of that machine. Untrusted text.
    pub host: String,
    /// Process id of the holder.
    pub pid: u32,
    /// Time of acquisition, by the holder's clock.
    pub acquired: DateTime<Utc>,
    /// Last renewal, by the holder's clock.
    pub renewed: DateTime<Utc>,
    /// Time to live after `renewed`, in seconds.
    pub ttl_seconds: u64,
    /// Incremented by each take-over; 1 for a new lock.
    pub generation: u64,
    /// Random text that makes commits of the same second differ.
    pub nonce: String,
}

/// A machine and process that requests a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The machine.
    pub machine: MachineId,
    /// Its name.
    pub host: String,
    /// The process.
    pub pid: u32,
}

impl Identity {
    /// Returns the identity of this process on `machine`.
    pub(crate) fn for_this_process(machine: &Machine) -> Self {
        Self {
            machine: machine.id.clone(),
            host: machine.name.clone(),
            pid: std::process::id(),
        }
    }
}

/// Time and random text of a new record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Now, by this machine's clock.
    pub now: DateTime<Utc>,
    /// Random.
    pub nonce: String,
}

/// Error: `lock.json` is invalid.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer ccsync.
    #[error("lock record has format {0}; this ccsync reads up to {FORMAT}")]
    Newer(u32),
    /// Larger than `MAX_BYTES`.
    #[error("lock record is too large: {0} bytes (limit {MAX_LOCK_BYTES})")]
    TooLarge(usize),
    /// Not the JSON of a lock record.
    #[error("invalid lock record")]
    Malformed(#[from] InvalidData),
    /// An implausible value.
    #[error("invalid lock record: {0}")]
    Inconsistent(&'static str),
}

/// Read first, so that a newer format is recognised whatever else the file has.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

impl Stamp {
    /// Creates a stamp for `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            now,
            nonce: uuid::Uuid::new_v4().simple().to_string(),
        }
    }
}

impl LockRecord {
    /// Parses and validates the record on the branch of `session`.
    ///
    /// # Errors
    /// [`RecordError`]
    pub fn parse(session: &SessionId, json: &[u8]) -> Result<Self, RecordError> {
        if json.len() > MAX_LOCK_BYTES {
            return Err(RecordError::TooLarge(json.len()));
        }
        let version: Versioned = from_json(json)?;
        if version.format > FORMAT {
            return Err(RecordError::Newer(version.format));
        }
        let record: Self = from_json(json)?;
        record
            .check(session)
            .map_or(Ok(record), |wrong| Err(RecordError::Inconsistent(wrong)))
    }

    fn check(&self, session: &SessionId) -> Option<&'static str> {
        let is_plain =
            |nonce: &str| !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_alphanumeric());
        let checks = [
            (self.format == FORMAT, "unknown format"),
            (self.session == *session, "it names another session"),
            (self.host.len() <= MAX_HOST_BYTES, "host name is too long"),
            (
                (1..=MAX_TTL_SECONDS).contains(&self.ttl_seconds),
                "ttl_seconds out of range",
            ),
            (
                (1..=MAX_GENERATION).contains(&self.generation),
                "generation out of range",
            ),
            (
                self.nonce.len() <= MAX_NONCE_BYTES && is_plain(&self.nonce),
                "invalid nonce",
            ),
            (
                is_plausible(self.acquired) && is_plausible(self.renewed),
                "time out of range",
            ),
        ];
        checks
            .into_iter()
            .find(|(holds, _)| !holds)
            .map(|(_, wrong)| wrong)
    }

    /// Returns the bytes of `lock.json`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json =
            serde_json::to_vec_pretty(self).expect("a struct of plain values always serialises");
        json.push(b'\n');
        json
    }

    /// Creates the record of a new lock.
    pub fn first(session: SessionId, by: &Identity, stamp: Stamp) -> Self {
        let now = stamp.now.trunc_subsecs(3);
        Self {
            format: FORMAT,
            session,
            machine: by.machine.clone(),
            host: bounded(&by.host),
            pid: by.pid,
            acquired: now,
            renewed: now,
            ttl_seconds: TTL.num_seconds().unsigned_abs(),
            generation: 1,
            nonce: stamp.nonce,
        }
    }

    /// Returns the renewed record.
    #[must_use]
    pub fn renewed(&self, stamp: Stamp) -> Self {
        Self {
            renewed: stamp.now.trunc_subsecs(3),
            nonce: stamp.nonce,
            ..self.clone()
        }
    }

    /// Returns the record that replaces this one if the remote does not allow to delete it: it is
    /// expired for every ccsync, whatever its clock says.
    #[must_use]
    pub fn released(&self, stamp: Stamp) -> Self {
        let renewed = (stamp.now - RELEASED_AGE).trunc_subsecs(3);
        Self {
            renewed,
            ttl_seconds: RELEASED_TTL_SECONDS,
            nonce: stamp.nonce,
            ..self.clone()
        }
    }

    /// Returns true if the lock was released, and only could not be deleted.
    pub fn is_released(&self) -> bool {
        self.ttl_seconds == RELEASED_TTL_SECONDS
    }

    /// Returns the record after a take-over by `by`.
    #[must_use]
    pub fn taken_over_by(&self, by: &Identity, stamp: Stamp) -> Self {
        let generation = self.generation.saturating_add(1).min(MAX_GENERATION);
        Self {
            generation,
            ..Self::first(self.session.clone(), by, stamp)
        }
    }

    /// Returns the time to live after a renewal.
    pub fn ttl(&self) -> TimeDelta {
        TimeDelta::seconds(i64::try_from(self.ttl_seconds).unwrap_or(i64::MAX / 1000))
    }

    /// Returns the interval between renewals.
    pub fn renewal_interval(&self) -> TimeDelta {
        self.ttl() / RENEWALS_PER_TTL
    }

    /// Returns the expiry, by the holder's clock.
    pub fn expires(&self) -> DateTime<Utc> {
        self.renewed
            .checked_add_signed(self.ttl())
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Returns true for years of four digits, so that no sum with a duration overflows.
fn is_plausible(time: DateTime<Utc>) -> bool {
    (0..=253_402_300_799).contains(&time.timestamp())
}

/// Truncates a host name to the maximum length.
fn bounded(host: &str) -> String {
    let end = (0..=MAX_HOST_BYTES.min(host.len()))
        .rev()
        .find(|end| host.is_char_boundary(*end))
        .unwrap_or(0);
    host[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LockRecord {
        let by = Identity {
            machine: "a".repeat(32).parse().unwrap(),
            host: "laptop".to_owned(),
            pid: 7,
        };
        let stamp = Stamp {
            now: "2026-03-10T12:00:00.123456Z".parse().unwrap(),
            nonce: "n1".to_owned(),
        };
        LockRecord::first("s1".parse().unwrap(), &by, stamp)
    }

    fn refused(change: impl Fn(&mut serde_json::Value)) -> String {
        let mut json = serde_json::to_value(record()).unwrap();
        change(&mut json);
        let error = LockRecord::parse(&record().session, json.to_string().as_bytes());
        crate::domain::error::error_chain(&error.unwrap_err())
    }

    #[test]
    fn lock_record_round_trips() {
        let record = record();
        assert_eq!(
            LockRecord::parse(&record.session, &record.to_json()).unwrap(),
            record
        );
        insta::assert_snapshot!(String::from_utf8(record.to_json()).unwrap(), @r#"
        {
          "format": 1,
          "session": "s1",
          "machine": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "host": "laptop",
          "pid": 7,
          "acquired": "2026-03-10T12:00:00.123Z",
          "renewed": "2026-03-10T12:00:00.123Z",
          "ttl_seconds": 600,
          "generation": 1,
          "nonce": "n1"
        }
        "#);
    }

    #[test]
    fn lock_record_garbage_is_refused_with_reason() {
        let s1 = "s1".parse().unwrap();
        assert!(matches!(
            LockRecord::parse(&s1, &vec![b' '; MAX_LOCK_BYTES + 1]),
            Err(RecordError::TooLarge(_))
        ));
        let nested = format!("{}{}", "[".repeat(8000), "]".repeat(8000));
        for garbage in [
            "",
            "null",
            "[]",
            "{}",
            "{\"format\":1}",
            "\u{0}",
            nested.as_str(),
        ] {
            assert!(matches!(
                LockRecord::parse(&s1, garbage.as_bytes()),
                Err(RecordError::Malformed(_))
            ));
        }
        assert!(matches!(
            LockRecord::parse(&s1, b"{\"format\":2,\"new\":{}}"),
            Err(RecordError::Newer(2))
        ));
        insta::assert_snapshot!([
            refused(|json| json["format"] = 0.into()),
            refused(|json| json["session"] = "s2".into()),
            refused(|json| json["session"] = "../x".into()),
            refused(|json| json["host"] = "x".repeat(300).into()),
            refused(|json| json["ttl_seconds"] = 0.into()),
            refused(|json| json["ttl_seconds"] = u64::MAX.into()),
            refused(|json| json["generation"] = 0.into()),
            refused(|json| json["generation"] = u64::MAX.into()),
            refused(|json| json["nonce"] = "\u{1b}[31m".into()),
            refused(|json| json["renewed"] = "+262142-12-31T23:59:59Z".into()),
            refused(|json| json["pid"] = (-1).into()),
            refused(|json| json["extra"] = 1.into()),
        ].join("\n"), @r"
        invalid lock record: unknown format
        invalid lock record: it names another session
        invalid lock record: `session`: `../x` is not a valid session id
        invalid lock record: host name is too long
        invalid lock record: ttl_seconds out of range
        invalid lock record: ttl_seconds out of range
        invalid lock record: generation out of range
        invalid lock record: generation out of range
        invalid lock record: invalid nonce
        invalid lock record: time out of range
        invalid lock record: `pid` must be a whole number, 0 or more
        invalid lock record: unknown key `extra` (one of: format, session, machine, host, pid, acquired, renewed, ttl_seconds, generation, nonce)
        ");
    }

    #[test]
    fn lock_renewal_keeps_holder_and_take_over_counts() {
        let first = record();
        let stamp = |nonce: &str| Stamp {
            now: "2026-03-10T12:05:00Z".parse().unwrap(),
            nonce: nonce.to_owned(),
        };
        let renewed = first.renewed(stamp("n2"));
        assert_eq!((renewed.acquired, renewed.generation), (first.acquired, 1));
        assert_eq!(
            renewed.expires(),
            "2026-03-10T12:15:00Z".parse::<DateTime<Utc>>().unwrap()
        );
        assert_eq!(renewed.renewal_interval(), TimeDelta::seconds(150));
        let other = Identity {
            machine: "b".repeat(32).parse().unwrap(),
            host: "ü".repeat(300),
            pid: 8,
        };
        let taken = renewed.taken_over_by(&other, stamp("n3"));
        assert_eq!(
            (taken.generation, taken.pid, taken.acquired),
            (2, 8, taken.renewed)
        );
        assert!(
            LockRecord::parse(&first.session, &taken.to_json()).is_ok(),
            "the name was cut"
        );
        let last = LockRecord {
            generation: MAX_GENERATION,
            ..taken
        };
        assert_eq!(
            last.taken_over_by(&other, stamp("n4")).generation,
            MAX_GENERATION
        );
    }
}
