//! Status of a lock, and its permitted changes: pure functions of the observed record,
//! the time, and the observer.
//!
//! A change is a compare-and-swap of the branch; other folders execute it. [`Holding`]
//!//! records a change without an answer, so that the next fetch of the branch settles
//!//! it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{ALLOWED_SKEW, Identity, LockRecord, Stamp};
use crate::domain::id::{CommitId, SessionId};

/// A lock on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The branch's commit.
    pub commit: CommitId,
    /// Its record.
    pub record: LockRecord,
    /// Time at which this machine first saw this commit, by its own clock.
    pub first_seen: DateTime<Utc>,
}

/// Observer of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Machine and process.
    pub identity: Identity,
    /// Commits that this machine has or may have pushed to the branch.
    pub claimed: Vec<CommitId>,
}

/// Status of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Free.
    Free,
    /// Held by this machine.
    Mine,
    /// Held by another process or machine.
    Held {
        /// Its record.
        by: Box<LockRecord>,
        /// Estimated expiry without a renewal, by this machine's clock.
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
pub struct Change {
    /// Expected value; `None`: it must not exist.
    pub expected: Option<CommitId>,
    /// New record; `None` deletes the branch.
    pub new: Option<LockRecord>,
}

/// Lock that this machine believes to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The lock.
    pub record: LockRecord,
    /// Its commit.
    pub commit: CommitId,
    /// A pushed change without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// A change with a possibly lost answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
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

/// Result of comparing a [`Holding`] with the branch.
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

impl Me {
    /// Creates the observer `identity` with its believed `holding`.
    pub fn new(identity: Identity, holding: Option<&Holding>) -> Self {
        Self {
            identity,
            claimed: holding.map(Holding::commits).unwrap_or_default(),
        }
    }
}

/// Returns the status of the lock at `now`, by this machine's clock. `seen` was fetched
/// in this command.
pub fn standing(seen: Option<&Seen>, now: DateTime<Utc>, me: &Me) -> Standing {
    let Some(seen) = seen else {
        return Standing::Free;
    };
    if me.claimed.contains(&seen.commit) {
        return Standing::Mine;
    }
    let by = Box::new(seen.record.clone());
    let ttl = by.ttl();
    // A clock that was set back would keep a lock forever.
    let first_seen = seen.first_seen.min(now);
    if now - first_seen >= ttl {
        return Standing::Expired {
            by,
            why: Expiry::NoHeartbeat,
        };
    }
    if now - by.renewed >= ttl + ALLOWED_SKEW {
        return Standing::Expired {
            by,
            why: Expiry::ByClock,
        };
    }
    // The earlier of the two times at which the status changes.
    let expires = (first_seen + ttl).min(by.renewed + ttl + ALLOWED_SKEW);
    Standing::Held { by, expires }
}

/// Returns the change that acquires the lock for this process.
///
/// # Errors
/// The status, if another holder has it and `take_over` does not permit to
/// # Errors/// take it.
pub fn acquire(
    session: &SessionId,
    seen: Option<&Seen>,
    me: &Me,
    take_over: TakeOver,
    stamp: Stamp,
) -> Result<Change, Standing> {
    let Some(seen) = seen else {
        return Ok(Change {
            expected: None,
            new: Some(LockRecord::first(session.clone(), &me.identity, stamp)),
        });
    };
    permitted(seen, stamp.now, me, take_over)?;
    Ok(Change {
        expected: Some(seen.commit.clone()),
        new: Some(seen.record.taken_over_by(&me.identity, stamp)),
    })
}

/// Replaces the unreadable lock at `commit`. Its expiry is unknown, so the user must have
/// confirmed.
pub fn replace_unreadable(session: &SessionId, commit: &CommitId, me: &Me, stamp: Stamp) -> Change {
    let record = LockRecord::first(session.clone(), &me.identity, stamp);
    Change {
        expected: Some(commit.clone()),
        new: Some(record),
    }
}

fn permitted(
    seen: &Seen,
    now: DateTime<Utc>,
    me: &Me,
    take_over: TakeOver,
) -> Result<(), Standing> {
    let standing = standing(Some(seen), now, me);
    let needed = match standing {
        Standing::Free | Standing::Mine => TakeOver::No,
        Standing::Expired { .. } => TakeOver::Expired,
        Standing::Held { .. } => TakeOver::Live,
    };
    if take_over >= needed {
        Ok(())
    } else {
        Err(standing)
    }
}

impl Holding {
    /// Records the first push of `commit` with `record`, before it is sent.
    pub fn acquiring(commit: CommitId, record: LockRecord) -> Self {
        Self {
            record,
            commit,
            pending: Some(Pending::Acquire),
        }
    }

    /// Returns the change that renews the lock. A pending renewal is repeated unchanged:
    /// it may have arrived. `None` if the lock is not confirmed or is being released.
    pub fn renewal(&self, stamp: Stamp) -> Option<Change> {
        let record = match &self.pending {
            None => self.record.renewed(stamp),
            Some(Pending::Renew { record, .. }) => record.clone(),
            Some(Pending::Acquire | Pending::Release) => return None,
        };
        Some(Change {
            expected: Some(self.commit.clone()),
            new: Some(record),
        })
    }

    /// Records a renewal with `commit` and `record`, before it is pushed.
    pub fn renewing(&mut self, commit: CommitId, record: LockRecord) {
        self.pending = Some(Pending::Renew { commit, record });
    }

    /// Returns the change that releases the lock. `None`: a pending change must be
    /// settled first.
    pub fn release(&self) -> Option<Change> {
        match self.pending {
            None | Some(Pending::Release) => Some(Change {
                expected: Some(self.commit.clone()),
                new: None,
            }),
            Some(Pending::Acquire | Pending::Renew { .. }) => None,
        }
    }

    /// Records the release, before it is pushed.
    pub fn releasing(&mut self) {
        self.pending = Some(Pending::Release);
    }

    /// Records that the remote has executed the pending change.
    pub fn done(&mut self) -> Settlement {
        match self.pending.take() {
            Some(Pending::Renew { commit, record }) => {
                (self.commit, self.record) = (commit, record);
            }
            Some(Pending::Release) => return Settlement::Released,
            Some(Pending::Acquire) | None => {}
        }
        Settlement::Held
    }

    /// Compares with the fetched branch.
    pub fn settle(&mut self, branch: Option<&CommitId>) -> Settlement {
        let is_former = branch == Some(&self.commit);
        match &self.pending {
            Some(Pending::Renew { commit, .. }) if branch == Some(commit) => self.done(),
            None | Some(Pending::Acquire) if is_former => self.done(),
            Some(Pending::Renew { .. } | Pending::Release) if is_former => Settlement::Unanswered,
            Some(Pending::Release) => Settlement::Released,
            _ => Settlement::Lost,
        }
    }

    /// Returns the commits that would make the branch ours.
    pub fn commits(&self) -> Vec<CommitId> {
        let pending = match &self.pending {
            Some(Pending::Renew { commit, .. }) => Some(commit),
            _ => None,
        };
        std::iter::once(&self.commit)
            .chain(pending)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
    }

    fn identity(machine: &str) -> Identity {
        Identity {
            machine: machine.parse().unwrap(),
            host: machine[..1].to_owned(),
            pid: 1,
        }
    }

    fn stamp(seconds: i64) -> Stamp {
        Stamp {
            now: at(seconds),
            nonce: format!("n{}", seconds.unsigned_abs()),
        }
    }

    fn commit(n: u32) -> CommitId {
        format!("{n:040}").parse().unwrap()
    }

    /// A lock of `A`, renewed at 0 by its clock and first seen by `B` at `first_seen`.
    fn seen(first_seen: i64) -> Seen {
        let record = LockRecord::first("s".parse().unwrap(), &identity(A), stamp(0));
        Seen {
            commit: commit(1),
            record,
            first_seen: at(first_seen),
        }
    }

    /// How `B` sees it.
    fn kind(first_seen: i64, now: i64) -> &'static str {
        match standing(
            Some(&seen(first_seen)),
            at(now),
            &Me::new(identity(B), None),
        ) {
            Standing::Held { expires, .. } => {
                assert!(expires > at(now), "what has not expired expires later");
                "held"
            }
            Standing::Expired {
                why: Expiry::NoHeartbeat,
                ..
            } => "no heartbeat",
            Standing::Expired {
                why: Expiry::ByClock,
                ..
            } => "by clock",
            Standing::Free | Standing::Mine => panic!("it is another machine's"),
        }
    }

    #[test]
    fn lock_expires_without_heartbeat_or_by_clock() {
        assert_eq!(
            [kind(0, 0), kind(0, 599), kind(0, 600)],
            ["held", "held", "no heartbeat"]
        );
        // First seen late: the clock decides, with what clocks may differ by.
        assert_eq!([kind(500, 719), kind(500, 720)], ["held", "by clock"]);
        // Its holder's clock is far ahead: what this machine sees decides.
        assert_eq!(
            [kind(-9000, -9000), kind(-9000, -8401), kind(-9000, -8400)],
            ["held", "held", "no heartbeat"]
        );
        // This machine's clock was set back.
        assert_eq!(kind(300, -300), "held");
    }

    #[test]
    fn lock_held_session_needs_take_over() {
        let me = Me::new(identity(B), None);
        let session = "s".parse().unwrap();
        let first = acquire(&session, None, &me, TakeOver::No, stamp(0)).unwrap();
        assert_eq!((first.expected, first.new.unwrap().generation), (None, 1));
        let take = |take_over, now| acquire(&session, Some(&seen(0)), &me, take_over, stamp(now));
        assert!(matches!(take(TakeOver::No, 0), Err(Standing::Held { .. })));
        assert!(matches!(
            take(TakeOver::Expired, 0),
            Err(Standing::Held { .. })
        ));
        assert!(matches!(
            take(TakeOver::No, 600),
            Err(Standing::Expired { .. })
        ));
        for taken in [take(TakeOver::Live, 0), take(TakeOver::Expired, 600)] {
            let taken = taken.unwrap();
            assert_eq!(
                (taken.expected, taken.new.unwrap().generation),
                (Some(commit(1)), 2)
            );
        }
    }

    #[test]
    fn lock_ownership_follows_commits() {
        let mut holding = Holding::acquiring(commit(1), seen(0).record);
        let is_mine = |holding: &Holding, n| {
            let seen = Seen {
                commit: commit(n),
                ..seen(0)
            };
            standing(
                Some(&seen),
                at(90_000),
                &Me::new(identity(B), Some(holding)),
            ) == Standing::Mine
        };
        assert!(is_mine(&holding, 1) && !is_mine(&holding, 2));
        holding.done();
        let renewed = holding.renewal(stamp(9)).unwrap();
        assert_eq!(renewed.expected, Some(commit(1)));
        holding.renewing(commit(2), renewed.new.unwrap());
        assert!(is_mine(&holding, 1) && is_mine(&holding, 2) && !is_mine(&holding, 3));
    }

    #[test]
    fn lock_unanswered_push_is_settled_by_branch() {
        let settle = |pending: Option<Pending>, branch: Option<u32>| {
            let mut holding = Holding {
                pending,
                ..Holding::acquiring(commit(1), seen(0).record)
            };
            let settlement = holding.settle(branch.map(commit).as_ref());
            (
                settlement,
                holding.commit == commit(2),
                holding.pending.is_some(),
            )
        };
        let renew = || {
            Some(Pending::Renew {
                commit: commit(2),
                record: seen(0).record,
            })
        };
        use Settlement::{Held, Lost, Released, Unanswered};
        for (pending, branch, expected) in [
            (None, Some(1), (Held, false, false)),
            (None, Some(3), (Lost, false, false)),
            (None, None, (Lost, false, false)),
            (Some(Pending::Acquire), Some(1), (Held, false, false)),
            (Some(Pending::Acquire), None, (Lost, false, true)),
            (renew(), Some(1), (Unanswered, false, true)),
            (renew(), Some(2), (Held, true, false)),
            (renew(), Some(3), (Lost, false, true)),
            (Some(Pending::Release), Some(1), (Unanswered, false, true)),
            (Some(Pending::Release), Some(3), (Released, false, true)),
            (Some(Pending::Release), None, (Released, false, true)),
        ] {
            assert_eq!(
                settle(pending.clone(), branch),
                expected,
                "{pending:?} {branch:?}"
            );
        }
    }

    #[test]
    fn lock_unanswered_change_is_sent_again_unchanged() {
        let mut holding = Holding::acquiring(commit(1), seen(0).record);
        assert_eq!((holding.renewal(stamp(1)), holding.release()), (None, None));
        holding.done();
        let first = holding.renewal(stamp(1)).unwrap();
        holding.renewing(commit(2), first.new.clone().unwrap());
        assert_eq!(
            (holding.renewal(stamp(2)), holding.release()),
            (Some(first), None)
        );
        holding.done();
        holding.releasing();
        assert_eq!(holding.renewal(stamp(3)), None);
        assert_eq!(
            holding.release(),
            Some(Change {
                expected: Some(commit(2)),
                new: None
            })
        );
        assert_eq!(holding.done(), Settlement::Released);
    }
}
