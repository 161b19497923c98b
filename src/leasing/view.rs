//! A lock as it lies on the remote, and what follows from it on this machine. Pure.

use crate::domain::id::{CommitId, SessionId};
use crate::lock::record::LockRecord;
use crate::lock::state::{Seen, Standing, TakeOver};

/// A lock on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockView {
    /// The session.
    pub session: SessionId,
    /// Its title, if the store knows it; unsanitised.
    pub title: Option<String>,
    /// Where the branch is.
    pub commit: CommitId,
    /// What lies there.
    pub content: Content,
    /// The process of this machine that holds it and still runs.
    pub running: Option<u32>,
}

/// What lies on the branch of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A lock.
    Lock {
        /// What it says.
        seen: Box<Seen>,
        /// What follows from it.
        standing: Standing,
        /// It names this machine.
        own: bool,
    },
    /// Something else, or the lock of a newer ccsync. Nobody can say when it expires.
    Unreadable {
        /// Why it is not read.
        reason: String,
    },
}

impl LockView {
    /// The lock, if it can be read.
    pub fn record(&self) -> Option<&LockRecord> {
        match &self.content {
            Content::Lock { seen, .. } => Some(&seen.record),
            Content::Unreadable { .. } => None,
        }
    }

    /// Where it stands, if it can be read.
    pub fn standing(&self) -> Option<&Standing> {
        match &self.content {
            Content::Lock { standing, .. } => Some(standing),
            Content::Unreadable { .. } => None,
        }
    }

    /// Whether it names this machine, whether or not this machine remembers it.
    pub fn is_own(&self) -> bool {
        matches!(self.content, Content::Lock { own: true, .. })
    }

    /// Whether a process of this machine holds it that runs, and is not this one.
    pub fn is_held_by_other_process(&self) -> bool {
        self.is_own() && self.running.is_some_and(|pid| pid != std::process::id())
    }

    /// Whether taking it away needs a person's yes: its holder may be at work.
    pub fn is_live(&self) -> bool {
        self.needed() == TakeOver::Live
    }

    /// How much has to be permitted before this lock may be taken away.
    pub(crate) fn needed(&self) -> TakeOver {
        match self.standing() {
            _ if self.is_held_by_other_process() => TakeOver::Live,
            // Its process is dead, or is this one.
            _ if self.is_own() => TakeOver::No,
            Some(Standing::Free | Standing::Mine) => TakeOver::No,
            Some(Standing::Expired { .. }) => TakeOver::Expired,
            Some(Standing::Held { .. }) | None => TakeOver::Live,
        }
    }

    /// Whether its holder is not heard of any more.
    pub fn is_expired(&self) -> bool {
        matches!(self.standing(), Some(Standing::Expired { .. }))
    }
}

/// What is permitted of `now`, if a person was asked about `asked_of`: nothing, if it is another holder's by now.
pub(crate) fn allowed_take_over(
    take_over: TakeOver,
    asked_of: Option<&LockView>,
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
    if asked_of.map(lease) == now.map(lease) {
        take_over
    } else {
        TakeOver::No
    }
}
