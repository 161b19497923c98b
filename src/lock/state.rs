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
        by: LockRecord,
        /// Until when, if they give no sign of life before: by this machine's clock, as far as it can tell.
        expires: DateTime<Utc>,
    },
    /// Somebody else did, and is not heard of any more.
    Expired {
        /// What they wrote.
        by: LockRecord,
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
        Self { identity, claimed: holding.map(Holding::commits).unwrap_or_default() }
    }
}

/// Where the lock stands at `now`, by this machine's clock. `seen` is fresh: it was fetched in this command.
pub fn standing(seen: Option<&Seen>, now: DateTime<Utc>, me: &Me) -> Standing {
    let Some(seen) = seen else { return Standing::Free };
    if me.claimed.contains(&seen.commit) {
        return Standing::Mine;
    }
    let by = seen.record.clone();
    let ttl = by.ttl();
    // A clock that was set back would keep a lock for ever.
    let first_seen = seen.first_seen.min(now);
    if now - first_seen >= ttl {
        return Standing::Expired { by, why: Expiry::NoHeartbeat };
    }
    if now - by.renewed > ttl + ALLOWED_SKEW {
        return Standing::Expired { by, why: Expiry::ByClock };
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
        return Ok(Change { expected: None, new: Some(LockRecord::first(session.clone(), &me.identity, stamp)) });
    };
    permitted(seen, stamp.now, me, take_over)?;
    Ok(Change { expected: Some(seen.commit.clone()), new: Some(seen.record.taken_over_by(&me.identity, stamp)) })
}

/// The change that puts a lock in the place of what is none, at `commit`: nobody can say when that expires, so a person has decided.
pub fn replace_unreadable(session: &SessionId, commit: &CommitId, me: &Me, stamp: Stamp) -> Change {
    let record = LockRecord::first(session.clone(), &me.identity, stamp);
    Change { expected: Some(commit.clone()), new: Some(record) }
}

/// The change that takes a lock away; `None` if there is none.
///
/// # Errors
/// Where the lock stands, if somebody else has it whom `take_over` spares.
pub fn remove(
    seen: Option<&Seen>,
    now: DateTime<Utc>,
    me: &Me,
    take_over: TakeOver,
) -> Result<Option<Change>, Standing> {
    let Some(seen) = seen else { return Ok(None) };
    permitted(seen, now, me, take_over)?;
    Ok(Some(Change { expected: Some(seen.commit.clone()), new: None }))
}

fn permitted(seen: &Seen, now: DateTime<Utc>, me: &Me, take_over: TakeOver) -> Result<(), Standing> {
    let standing = standing(Some(seen), now, me);
    let needed = match standing {
        Standing::Free | Standing::Mine => TakeOver::No,
        Standing::Expired { .. } => TakeOver::Expired,
        Standing::Held { .. } => TakeOver::Live,
    };
    if take_over >= needed { Ok(()) } else { Err(standing) }
}

impl Holding {
    /// Before the first push of `commit`, which says `record`.
    pub fn acquiring(commit: CommitId, record: LockRecord) -> Self {
        Self { record, commit, pending: Some(Pending::Acquire) }
    }

    /// The change that renews the lock. One that was sent and not answered is sent again as it was: it may have arrived, or arrive yet.
    /// `None`: there is nothing to renew, because it is not known to be held, or is being given back.
    pub fn renewal(&self, stamp: Stamp) -> Option<Change> {
        let record = match &self.pending {
            None => self.record.renewed(stamp),
            Some(Pending::Renew { record, .. }) => record.clone(),
            Some(Pending::Acquire | Pending::Release) => return None,
        };
        Some(Change { expected: Some(self.commit.clone()), new: Some(record) })
    }

    /// Before a renewal is pushed: `commit` says `record`.
    pub fn renewing(&mut self, commit: CommitId, record: LockRecord) {
        self.pending = Some(Pending::Renew { commit, record });
    }

    /// The change that gives the lock back. `None`: what was sent has to be settled first.
    pub fn release(&self) -> Option<Change> {
        match self.pending {
            None | Some(Pending::Release) => Some(Change { expected: Some(self.commit.clone()), new: None }),
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
            Some(Pending::Renew { commit, record }) => (self.commit, self.record) = (commit, record),
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
        std::iter::once(&self.commit).chain(pending).cloned().collect()
    }
}
