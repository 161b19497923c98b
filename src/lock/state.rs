//! Status of a lock, and its permitted changes: pure functions of the observed record,
//! the time, and the observer.
//!
//! A change is a compare-and-swap of the branch; other folders execute it. [`HeldLock`]
//! records a change without an answer, so that the next fetch of the branch settles
//! it.

#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{ALLOWED_SKEW, Identity, LockRecord, Stamp};
use crate::domain::{CommitId, SessionId};

/// A lock on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLock {
    /// The branch's commit.
    pub commit: CommitId,
    /// Its record.
    pub record: LockRecord,
    /// Time at which this machine first saw this commit, by its own clock.
    pub first_seen: DateTime<Utc>,
}

/// The machine and process that observes a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockObserver {
    /// Machine and process.
    pub identity: Identity,
    /// Commits that this machine has or may have pushed to the branch.
    pub own_commits: Vec<CommitId>,
}

/// Status of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockStatus {
    /// Free.
    Free,
    /// Held by this machine.
    Mine,
    /// Held by another process or machine.
    Held {
        /// Its record.
        by: Box<LockRecord>,
        /// Estimated expiry if no renewal arrives, by this machine's clock.
        expires: DateTime<Utc>,
    },
    /// Held by another machine, but expired.
    Expired {
        /// Its record.
        by: Box<LockRecord>,
        /// Evidence of the expiry.
        why: Expiry,
    },
}

/// Evidence that a lock has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// This machine saw no renewal for the whole time to live.
    NoHeartbeat,
    /// The recorded expiry is past by more than the allowed skew.
    ByClock,
}

/// Locks of other holders that may be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TakeOver {
    /// None.
    No,
    /// Expired ones.
    Expired,
    /// Any.
    Live,
}

/// A compare-and-swap of a lock's branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockChange {
    /// Expected value; `None`: it must not exist.
    pub expected: Option<CommitId>,
    /// New record; `None` deletes the branch.
    pub new: Option<LockRecord>,
}

/// A lock that this machine believes to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLock {
    /// The lock.
    pub record: LockRecord,
    /// Its commit.
    pub commit: CommitId,
    /// A pushed change without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingChange>,
}

/// A change with a possibly lost answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingChange {
    /// `commit` was pushed as the new branch. Until that is confirmed, nothing is held.
    Acquire,
    /// The branch was updated from `commit`
    Renew {
        /// to this commit,
        commit: CommitId,
        /// with this record.
        record: LockRecord,
    },
    /// The branch was deleted.
    Release,
}

/// Result of comparing a [`HeldLock`] with the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Held.
    Held,
    /// Held, but the pending change has not arrived and may arrive later: push the same
    /// again.
    Unanswered,
    /// Released, as requested.
    Released,
    /// Lost: another holder took it or was faster.
    Lost,
}

impl LockObserver {
    /// Creates the observer `identity` with its believed `held`.
    pub fn new(identity: Identity, held: Option<&HeldLock>) -> Self {
        Self {
            identity,
            own_commits: held.map(HeldLock::commits).unwrap_or_default(),
        }
    }
}

/// Returns the status of the lock at `now`, by this machine's clock. `seen` was fetched
/// in this command.
pub fn lock_status(
    seen: Option<&ObservedLock>,
    now: DateTime<Utc>,
    observer: &LockObserver,
) -> LockStatus {
    let Some(seen) = seen else {
        return LockStatus::Free;
    };
    if seen.record.is_released() {
        return LockStatus::Free;
    }
    if observer.own_commits.contains(&seen.commit) {
        return LockStatus::Mine;
    }
    let by = Box::new(seen.record.clone());
    let ttl = by.ttl();
    // A clock that was set back would keep a lock forever.
    let first_seen = seen.first_seen.min(now);
    if now - first_seen >= ttl {
        return LockStatus::Expired {
            by,
            why: Expiry::NoHeartbeat,
        };
    }
    if now - by.renewed >= ttl + ALLOWED_SKEW {
        return LockStatus::Expired {
            by,
            why: Expiry::ByClock,
        };
    }
    // The earlier of the two times at which the status changes.
    let expires = (first_seen + ttl).min(by.renewed + ttl + ALLOWED_SKEW);
    LockStatus::Held { by, expires }
}

/// Returns the change that acquires the lock for this process.
///
/// # Errors
/// The status, if another holder has it and `take_over` does not permit to
/// take it.
pub fn acquire(
    session: &SessionId,
    seen: Option<&ObservedLock>,
    observer: &LockObserver,
    take_over: TakeOver,
    stamp: Stamp,
) -> Result<LockChange, LockStatus> {
    let Some(seen) = seen else {
        return Ok(LockChange {
            expected: None,
            new: Some(LockRecord::first(
                session.clone(),
                &observer.identity,
                stamp,
            )),
        });
    };
    check_permission(seen, stamp.now, observer, take_over)?;
    Ok(LockChange {
        expected: Some(seen.commit.clone()),
        new: Some(seen.record.taken_over_by(&observer.identity, stamp)),
    })
}

/// Returns the change that replaces the unreadable lock at `commit`.
///
/// Its expiry is unknown, so the user must have confirmed.
pub fn replace_unreadable(
    session: &SessionId,
    commit: &CommitId,
    observer: &LockObserver,
    stamp: Stamp,
) -> LockChange {
    let record = LockRecord::first(session.clone(), &observer.identity, stamp);
    LockChange {
        expected: Some(commit.clone()),
        new: Some(record),
    }
}

fn check_permission(
    seen: &ObservedLock,
    now: DateTime<Utc>,
    observer: &LockObserver,
    take_over: TakeOver,
) -> Result<(), LockStatus> {
    let status = lock_status(Some(seen), now, observer);
    let needed = match status {
        LockStatus::Free | LockStatus::Mine => TakeOver::No,
        LockStatus::Expired { .. } => TakeOver::Expired,
        LockStatus::Held { .. } => TakeOver::Live,
    };
    if take_over >= needed {
        Ok(())
    } else {
        Err(status)
    }
}

impl HeldLock {
    /// Creates the lock of a first push of `commit`, before it is sent.
    pub fn new_unconfirmed(commit: CommitId, record: LockRecord) -> Self {
        Self {
            record,
            commit,
            pending: Some(PendingChange::Acquire),
        }
    }

    /// Returns the change that renews the lock. A pending renewal is repeated unchanged:
    /// it may have arrived. `None` if the lock is not confirmed or is being released.
    pub fn renewal_change(&self, stamp: Stamp) -> Option<LockChange> {
        let record = match &self.pending {
            None => self.record.renewed(stamp),
            Some(PendingChange::Renew { record, .. }) => record.clone(),
            Some(PendingChange::Acquire | PendingChange::Release) => return None,
        };
        Some(LockChange {
            expected: Some(self.commit.clone()),
            new: Some(record),
        })
    }

    /// Records a renewal with `commit` and `record`, before it is pushed.
    pub fn begin_renewal(&mut self, commit: CommitId, record: LockRecord) {
        self.pending = Some(PendingChange::Renew { commit, record });
    }

    /// Returns the change that releases the lock. `None` if a pending change must be
    /// settled first.
    pub fn release_change(&self) -> Option<LockChange> {
        match self.pending {
            None | Some(PendingChange::Release) => Some(LockChange {
                expected: Some(self.commit.clone()),
                new: None,
            }),
            Some(PendingChange::Acquire | PendingChange::Renew { .. }) => None,
        }
    }

    /// Returns the change that releases the lock of a remote that keeps every branch: it
    /// becomes an expired one. `None` if a pending change must be settled first.
    pub fn expiring_change(&self, stamp: Stamp) -> Option<LockChange> {
        self.pending.is_none().then(|| LockChange {
            expected: Some(self.commit.clone()),
            new: Some(self.record.released(stamp)),
        })
    }

    /// Forgets a pending change that the remote refuses by its rules.
    pub fn drop_refused_change(&mut self) {
        if self.pending != Some(PendingChange::Acquire) {
            self.pending = None;
        }
    }

    /// Records the release, before it is pushed.
    pub fn begin_release(&mut self) {
        self.pending = Some(PendingChange::Release);
    }

    /// Records that the remote has executed the pending change.
    pub fn confirm(&mut self) -> Settlement {
        match self.pending.take() {
            Some(PendingChange::Renew { commit, record }) => {
                (self.commit, self.record) = (commit, record);
                if self.record.is_released() {
                    return Settlement::Released;
                }
            }
            Some(PendingChange::Release) => return Settlement::Released,
            Some(PendingChange::Acquire) | None => {}
        }
        Settlement::Held
    }

    /// Compares with the fetched branch.
    pub fn settle(&mut self, branch: Option<&CommitId>) -> Settlement {
        let is_former = branch == Some(&self.commit);
        match &self.pending {
            Some(PendingChange::Renew { commit, .. }) if branch == Some(commit) => self.confirm(),
            None | Some(PendingChange::Acquire) if is_former => self.confirm(),
            Some(PendingChange::Renew { .. } | PendingChange::Release) if is_former => {
                Settlement::Unanswered
            }
            Some(PendingChange::Release) => Settlement::Released,
            _ => Settlement::Lost,
        }
    }

    /// Returns the commits that would make the branch ours.
    pub fn commits(&self) -> Vec<CommitId> {
        let pending = match &self.pending {
            Some(PendingChange::Renew { commit, .. }) => Some(commit),
            _ => None,
        };
        std::iter::once(&self.commit)
            .chain(pending)
            .cloned()
            .collect()
    }
}
