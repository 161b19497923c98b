//! Where a lock stands, and which change of it is permitted: pure functions of what was seen, the time, and who asks.
//!
//! A change is a compare-and-swap: what the branch must be, and what it is to become. Nothing here knows how it is carried out. Whether its
//! answer came or was lost is kept in [`Holding`], so that the next look at the branch settles it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{ALLOWED_SKEW, Identity, LockRecord, Stamp};
use crate::domain::id::{CommitId, SessionId};

/// A lock as it lies on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The branch's commit.
    pub commit: CommitId,
    /// What it says.
    pub record: LockRecord,
    /// When this machine first saw that very commit, by its own clock.
    pub first_seen: DateTime<Utc>,
}

/// Who looks at a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Machine and process.
    pub identity: Identity,
    /// The commits that this machine has put on the branch, or may have put there.
    pub claimed: Vec<CommitId>,
}

/// Where a lock stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody holds the session.
    Free,
    /// This machine holds it.
    Mine,
    /// Somebody else does.
    Held {
        /// What they wrote.
        by: Box<LockRecord>,
        /// Until when, if they give no sign of life before: by this machine's clock, as far as it can tell.
        expires: DateTime<Utc>,
    },
    /// Somebody else did, and is not heard of any more.
    Expired {
        /// What they wrote.
        by: Box<LockRecord>,
        /// How this is known.
        why: Expiry,
    },
}

/// How it is known that a lock has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// This machine has waited for a sign of life for as long as the lock holds.
    NoHeartbeat,
    /// It is past the time that the lock names, by more than two clocks may differ.
    ByClock,
}

/// Which locks of others may be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TakeOver {
    /// None.
    No,
    /// Those that have expired.
    Expired,
    /// Also those whose holders are alive.
    Live,
}

/// A compare-and-swap of a lock's branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it must be; `None`: it must not exist.
    pub expected: Option<CommitId>,
    /// What it is to say; `None`: it is deleted.
    pub new: Option<LockRecord>,
}

/// What this machine believes to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The lock.
    pub record: LockRecord,
    /// The commit that holds it.
    pub commit: CommitId,
    /// A change that was sent and of which no answer has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// A change whose answer may have been lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pending {
    /// `commit` was to become the branch. Until that is known, nothing is held.
    Acquire,
    /// The branch was to move on from `commit`.
    Renew {
        /// To this commit,
        commit: CommitId,
        /// which says this.
        record: LockRecord,
    },
    /// The branch was to be deleted.
    Release,
}

/// What a look at the branch says of a [`Holding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is ours.
    Held,
    /// It is still ours, but what was sent has not arrived, and may arrive later: the same is to be sent again.
    Unanswered,
    /// It was given back, as was asked.
    Released,
    /// It is not ours: somebody took it, or was faster.
    Lost,
}

impl Me {
    /// The machine and process `identity`, which believes to hold what `holding` says.
    pub fn new(identity: Identity, holding: Option<&Holding>) -> Self {
        Self {
            identity,
            claimed: holding.map(Holding::commits).unwrap_or_default(),
        }
    }
}

/// Where the lock stands at `now`, by this machine's clock. `seen` is fresh: it was fetched in this command.
pub fn standing(seen: Option<&Seen>, now: DateTime<Utc>, me: &Me) -> Standing {
    let Some(seen) = seen else {
        return Standing::Free;
    };
    if me.claimed.contains(&seen.commit) {
        return Standing::Mine;
    }
    let by = Box::new(seen.record.clone());
    let ttl = by.ttl();
    // A clock that was set back would keep a lock for ever.
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
    // The earlier of the two moments at which this function would answer otherwise.
    let expires = (first_seen + ttl).min(by.renewed + ttl + ALLOWED_SKEW);
    Standing::Held { by, expires }
}

/// The change that makes the session this process's.
///
/// # Errors
/// Where the lock stands, if somebody else has it whom `take_over` spares.
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

/// The change that puts a lock in the place of what is none, at `commit`: nobody can say when that expires, so a person has decided.
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
    /// Before the first push of `commit`, which says `record`.
    pub fn acquiring(commit: CommitId, record: LockRecord) -> Self {
        Self {
            record,
            commit,
            pending: Some(Pending::Acquire),
        }
    }

    /// The change that renews the lock. One that was sent and not answered is sent again as it was: it may have arrived, or arrive yet.
    /// `None`: there is nothing to renew, because it is not known to be held, or is being given back.
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

    /// Before a renewal is pushed: `commit` says `record`.
    pub fn renewing(&mut self, commit: CommitId, record: LockRecord) {
        self.pending = Some(Pending::Renew { commit, record });
    }

    /// The change that gives the lock back. `None`: what was sent has to be settled first.
    pub fn release(&self) -> Option<Change> {
        match self.pending {
            None | Some(Pending::Release) => Some(Change {
                expected: Some(self.commit.clone()),
                new: None,
            }),
            Some(Pending::Acquire | Pending::Renew { .. }) => None,
        }
    }

    /// Before the lock's deletion is pushed.
    pub fn releasing(&mut self) {
        self.pending = Some(Pending::Release);
    }

    /// The remote has done what was pending.
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

    /// Compares with the branch as it was just fetched.
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

    /// The commits by which the branch would be ours.
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
