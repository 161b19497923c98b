//! A lock on the remote, with what this machine concludes from it. Pure.

use crate::domain::{CommitId, SessionId};
use crate::lock::{LockRecord, LockStatus, ObservedLock, TakeOver};

/// A lock on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockView {
    /// The session.
    pub session: SessionId,
    /// Its title, if the store has the session; not sanitized.
    pub title: Option<String>,
    /// The branch's commit.
    pub commit: CommitId,
    /// Content of the commit.
    pub content: LockContent,
    /// Another running process of this machine that holds it, if any.
    pub running: Option<u32>,
}

/// Content of a lock commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockContent {
    /// A valid record.
    Lock {
        /// The lock.
        seen: Box<ObservedLock>,
        /// Its status.
        status: LockStatus,
        /// True if it names this machine.
        own: bool,
    },
    /// An invalid record, or one of a newer ccsync. Its expiry is unknown.
    Unreadable {
        /// The cause.
        reason: String,
    },
}

impl LockView {
    /// Returns the record, if it is readable.
    pub fn record(&self) -> Option<&LockRecord> {
        match &self.content {
            LockContent::Lock { seen, .. } => Some(&seen.record),
            LockContent::Unreadable { .. } => None,
        }
    }

    /// Returns the status, if the record is readable.
    pub fn status(&self) -> Option<&LockStatus> {
        match &self.content {
            LockContent::Lock { status, .. } => Some(status),
            LockContent::Unreadable { .. } => None,
        }
    }

    /// Returns true if it was released, and its branch only could not be deleted.
    pub fn is_released(&self) -> bool {
        self.record().is_some_and(LockRecord::is_released)
    }

    /// Returns true if it names this machine, even without a lease here.
    pub fn is_own(&self) -> bool {
        matches!(self.content, LockContent::Lock { own: true, .. })
    }

    /// Returns true if another running process of this machine holds it.
    pub fn is_held_by_other_process(&self) -> bool {
        self.is_own() && self.running.is_some()
    }

    /// Returns true if its holder may be working: taking it over needs the user's
    /// confirmation.
    pub fn is_live(&self) -> bool {
        self.needed() == TakeOver::Live
    }

    /// Returns the permission that taking it over needs.
    pub(crate) fn needed(&self) -> TakeOver {
        match self.status() {
            _ if self.is_held_by_other_process() => TakeOver::Live,
            // Its process has ended, or is this one.
            _ if self.is_own() => TakeOver::No,
            Some(LockStatus::Free | LockStatus::Mine) => TakeOver::No,
            Some(LockStatus::Expired { .. }) => TakeOver::Expired,
            Some(LockStatus::Held { .. }) | None => TakeOver::Live,
        }
    }
}

/// Returns the permission for the lock `now`. The user confirmed it for `confirmed`; it
/// does not apply if another holder has the lock by now.
pub(crate) fn allowed_take_over(
    take_over: TakeOver,
    confirmed: Option<&LockView>,
    now: Option<&LockView>,
) -> TakeOver {
    let lease = |view: &LockView| match view.record() {
        Some(record) => (
            record.machine.to_string(),
            record.generation,
            Some(record.acquired),
        ),
        None => (view.commit.to_string(), 0, None),
    };
    if confirmed.map(lease) == now.map(lease) {
        take_over
    } else {
        TakeOver::No
    }
}
