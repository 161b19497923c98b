//! Leases of this machine: one file per session, written before the remote is contacted,
//! so that a crash cannot lose one.
//!
//! Owns those files. Must be used only under the machine-wide process lock. A damaged
//! file is reported and skipped: its lock expires.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{ALLOWED_SKEW, RecordError};
use super::state::{HeldLock, PendingChange};
use crate::domain::{InvalidData, SessionId, parse::from_json};
use crate::sys::fail_point::fail_point;
use crate::sys::fs::{PathError, remove_file_if_exists, write_atomic};
use crate::sys::process::{PidDomain, pid_is_alive, process_start};

/// This machine's right to a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The session.
    pub session: SessionId,
    /// The lock and its pending change.
    #[serde(flatten)]
    pub lock: HeldLock,
    /// The process that holds it.
    pub holder: Holder,
    /// True if another machine has taken the lock. Kept until the user is notified and
    /// the turns are safe.
    #[serde(default)]
    pub lost: bool,
}

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its start time, if the system reports it: a pid may be reused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// The host and container in which the id has a meaning, if the system reports it:
    /// containers and hosts may share these files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<PidDomain>,
}

/// Error: a lease file is unusable.
#[derive(Debug, thiserror::Error)]
pub enum LeaseFileError {
    /// The file cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Not the JSON of a lease.
    #[error("cannot parse lock file `{}`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: InvalidData,
    },
    /// Its lock record is invalid.
    #[error("cannot use lock file `{}`", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: RecordError,
    },
}

impl Holder {
    /// Returns this process.
    pub fn this_process() -> Self {
        Self::process(std::process::id())
    }

    /// Returns a running process of this host and container.
    pub fn process(pid: u32) -> Self {
        Self {
            pid,
            started: start_text(pid),
            domain: PidDomain::of_this_process(),
        }
    }

    /// Returns true if it is this process.
    pub fn is_this_process(&self) -> bool {
        self.pid == std::process::id() && !self.is_foreign()
    }

    /// Returns true if the process runs in another container or on another host, where it
    /// cannot be looked up.
    pub fn is_foreign(&self) -> bool {
        self.domain.as_ref().is_some_and(PidDomain::is_foreign)
    }

    /// Returns true if the process still runs. If the start time is unknown, any process
    /// with that pid counts.
    pub fn is_alive(&self) -> bool {
        let started = || start_text(self.pid);
        pid_is_alive(self.pid)
            && (self.started.is_none() || started().is_none_or(|now| self.started == Some(now)))
    }
}

fn start_text(pid: u32) -> Option<String> {
    process_start(pid).map(|start| start.to_string())
}

impl Lease {
    /// Creates the lease of this process on `lock`.
    pub fn for_this_process(session: SessionId, lock: HeldLock) -> Self {
        Self {
            session,
            lock,
            holder: Holder::this_process(),
            lost: false,
        }
    }

    /// Returns true if its process still runs. One that cannot be looked up counts as
    /// running while its lock has not expired: it renews the lock in time.
    pub fn holder_is_alive(&self, now: DateTime<Utc>) -> bool {
        if self.holder.is_foreign() {
            return now - self.last_renewal() < self.lock.record.ttl() + ALLOWED_SKEW;
        }
        self.holder.is_alive()
    }

    fn last_renewal(&self) -> DateTime<Utc> {
        let sent = match &self.lock.pending {
            Some(PendingChange::Renew { record, .. }) => record.renewed,
            _ => self.lock.record.renewed,
        };
        sent.max(self.lock.record.renewed)
    }

    /// Reads the lease of one session.
    ///
    /// # Errors
    /// [`LeaseFileError`] if it is damaged.
    pub fn load(directory: &Path, session: &SessionId) -> Result<Option<Self>, LeaseFileError> {
        let path = file(directory, session);
        match fs::read(&path) {
            Ok(json) => parse(&path, session, &json).map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(PathError::new("read", &path, e).into()),
        }
    }

    /// Writes the lease durably.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn save(&self, directory: &Path) -> Result<(), PathError> {
        let json = serde_json::to_vec_pretty(self)
            .expect("maps with text keys and plain values always serialise");
        write_atomic(&file(directory, &self.session), &json)?;
        fail_point("a lease is written");
        Ok(())
    }

    /// Removes the lease of a session, damaged or not.
    ///
    /// # Errors
    /// [`PathError`]
    pub fn remove(directory: &Path, session: &SessionId) -> Result<(), PathError> {
        remove_file_if_exists(&file(directory, session))?;
        fail_point("a lease is removed");
        Ok(())
    }
}

/// Reads all leases in `directory`, and the errors of unreadable ones. A missing
/// directory has none.
///
/// # Errors
/// [`PathError`] if the directory cannot be read.
pub fn load_leases(directory: &Path) -> Result<(Vec<Lease>, Vec<LeaseFileError>), PathError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(e) => return Err(PathError::new("read", directory, e)),
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let mut sessions: Vec<SessionId> = names
        .filter_map(|name| {
            name.strip_suffix(".json")
                .and_then(|stem| stem.parse().ok())
        })
        .collect();
    sessions.sort();
    let (mut leases, mut damaged) = (Vec::new(), Vec::new());
    for session in sessions {
        match Lease::load(directory, &session) {
            Ok(lease) => leases.extend(lease),
            Err(e) => damaged.push(e),
        }
    }
    Ok((leases, damaged))
}

/// Returns true if another running process of this machine holds the lock of a session. Needs no
/// process lock.
pub fn is_held_by_other_process(directory: &Path, session: &SessionId, now: DateTime<Utc>) -> bool {
    let lease = Lease::load(directory, session).ok().flatten();
    lease.is_some_and(|lease| {
        !lease.lost && !lease.holder.is_this_process() && lease.holder_is_alive(now)
    })
}

fn file(directory: &Path, session: &SessionId) -> PathBuf {
    directory.join(format!("{session}.json"))
}

fn parse(path: &Path, session: &SessionId, json: &[u8]) -> Result<Lease, LeaseFileError> {
    let malformed = |source| LeaseFileError::Malformed {
        path: path.to_owned(),
        source,
    };
    let lease: Lease = from_json(json).map_err(malformed)?;
    // Values used in calculations are checked, even in files of this program.
    let checked = super::record::LockRecord::parse(session, &lease.lock.record.to_json());
    let wrong = |source| LeaseFileError::Record {
        path: path.to_owned(),
        source,
    };
    checked.map_err(wrong)?;
    if lease.session != *session {
        return Err(wrong(RecordError::Inconsistent("it names another session")));
    }
    Ok(lease)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::record::{Identity, LockRecord, Stamp};

    fn lease(session: &str) -> Lease {
        let by = Identity {
            machine: "a".repeat(32).parse().unwrap(),
            host: "h".to_owned(),
            pid: 1,
        };
        let stamp = Stamp::new(chrono::DateTime::UNIX_EPOCH);
        let record = LockRecord::first(session.parse().unwrap(), &by, stamp);
        let mut lock = HeldLock::new_unconfirmed("c".repeat(40).parse().unwrap(), record.clone());
        lock.begin_renewal("d".repeat(40).parse().unwrap(), record);
        Lease::for_this_process(session.parse().unwrap(), lock)
    }

    #[test]
    fn lease_files_load_and_damaged_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("locks");
        assert!(load_leases(&directory).unwrap().0.is_empty());
        let (one, two) = (lease("one"), lease("two"));
        one.save(&directory).unwrap();
        two.save(&directory).unwrap();
        assert_eq!(
            load_leases(&directory).unwrap().0,
            [one.clone(), two.clone()]
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(
                (mode(&directory), mode(&file(&directory, &one.session))),
                (0o700, 0o600)
            );
        }
        let json = serde_json::to_string(&two).unwrap();
        let damaged = [
            ("three", json.clone()),
            (
                "four",
                json.replace("two", "four")
                    .replace("\"generation\":1", "\"generation\":0"),
            ),
            ("five", json[..json.len() / 2].to_owned()),
        ];
        for (session, text) in damaged {
            write_atomic(
                &file(&directory, &session.parse().unwrap()),
                text.as_bytes(),
            )
            .unwrap();
        }
        write_atomic(&directory.join("no session.json"), b"").unwrap();
        let (leases, wrong) = load_leases(&directory).unwrap();
        assert_eq!((leases.len(), wrong.len()), (2, 3));
        for session in ["one", "three", "three"] {
            Lease::remove(&directory, &session.parse().unwrap()).unwrap();
        }
        assert_eq!(load_leases(&directory).unwrap().0, [two]);
    }

    #[test]
    fn lease_of_other_container_lives_until_it_expires() {
        let mut lease = lease("one");
        lease.holder.domain = Some(PidDomain::new("linux:other:pid:[1]"));
        lease.holder.pid = u32::MAX;
        let alive_after = |minutes| {
            lease.holder_is_alive(DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(minutes))
        };
        assert!(alive_after(11) && !alive_after(12));
    }

    #[test]
    fn lease_process_is_identified_by_pid_and_start() {
        let this = Holder::this_process();
        assert!(this.is_alive());
        assert!(
            Holder {
                started: None,
                ..this.clone()
            }
            .is_alive()
        );
        assert!(
            !Holder {
                pid: u32::MAX,
                started: None,
                domain: None
            }
            .is_alive()
        );
        let foreign = Holder {
            domain: Some(PidDomain::new("linux:other:pid:[1]")),
            ..this.clone()
        };
        assert!(foreign.is_foreign() && !foreign.is_this_process());
        let another = Holder {
            started: Some("1".to_owned()),
            ..this
        };
        assert!(!another.is_alive(), "its number has passed on to this one");
    }
}
