//! The leases of this machine, and what a push does with their locks.
//!
//! A push of a session with a lease atomically renews or releases the lock. If another
//! machine has the lock, the remote rejects all of the push, and the local turns become a
//! fork. Must not decide who may take a lock (`leasing` does).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::domain::{CommitId, SessionId, error::error_chain};
use crate::lock::lease::{Lease, load_leases};
use crate::lock::record::{LockRecord, Stamp};
use crate::lock::state::{HeldLock, ObservedLock, PendingChange, Settlement};
use crate::store::{Author, Store, lock_ref};
use crate::sys::fail_point::fail_point;
use crate::transport::RefUpdate;
use crate::workspace::{error::SyncError, remote_rules::RemoteRules, remote_rules::RemoteStep};

/// The leases of this machine, read under the process lock.
#[derive(Default)]
pub(crate) struct Leases {
    directory: PathBuf,
    leases: BTreeMap<SessionId, Lease>,
    /// Sessions whose locks the next push releases.
    releasing: BTreeSet<SessionId>,
    /// True if the next push renews every lock, due or not.
    renewing: bool,
    /// Sessions whose locks the push in progress changes.
    sent: Vec<SessionId>,
    /// Errors of unreadable lease files.
    damaged: Vec<String>,
    /// Locks of other machines on sessions that this one has changed without a lock.
    foreign: BTreeMap<SessionId, ObservedLock>,
}

impl Leases {
    /// Reads the leases in `directory`. Damaged ones are reported and skipped: their
    /// locks expire.
    pub(crate) fn load(directory: &Path) -> Result<Self, SyncError> {
        let (leases, damaged) = load_leases(directory)?;
        let damaged = damaged.iter().map(|e| error_chain(e)).collect();
        let leases = leases
            .into_iter()
            .map(|lease| (lease.session.clone(), lease))
            .collect();
        Ok(Self {
            directory: directory.to_owned(),
            leases,
            damaged,
            ..Self::default()
        })
    }

    /// Returns true if there are no leases; then a push has data only.
    pub(crate) fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Returns the errors of unreadable lease files.
    pub(crate) fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// Returns the lease on a session, lost or not.
    pub(crate) fn get(&self, session: &SessionId) -> Option<&Lease> {
        self.leases.get(session)
    }

    /// Returns the lease on a session, if it is not lost.
    pub(crate) fn active(&self, session: &SessionId) -> Option<&Lease> {
        self.leases.get(session).filter(|lease| !lease.lost)
    }

    /// Returns the sessions whose locks this machine holds.
    pub(crate) fn active_sessions(&self) -> BTreeSet<SessionId> {
        self.held().map(|lease| lease.session.clone()).collect()
    }

    /// Returns the lost leases.
    pub(crate) fn lost(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter(|lease| lease.lost)
    }

    /// Returns true if another machine has the lock of a session: it was taken from this machine,
    /// or this one never had it. The newer local turns become a fork.
    pub(crate) fn is_lost(&self, session: &SessionId) -> bool {
        let lease = self.leases.get(session);
        self.foreign.contains_key(session) || lease.is_some_and(|lease| lease.lost)
    }

    /// Records that another machine holds the lock of a session, for this run.
    pub(crate) fn record_foreign(&mut self, session: SessionId, lock: ObservedLock) {
        self.foreign.insert(session, lock);
    }

    /// Keeps what [`Self::record_foreign`] recorded, until a pull has replaced the session here.
    pub(crate) fn keep_foreign(&mut self, session: &SessionId) -> Result<(), SyncError> {
        let Some(lock) = self.foreign.remove(session) else {
            return Ok(());
        };
        let mut held = HeldLock::new_unconfirmed(lock.commit, lock.record);
        held.pending = None;
        let mut lease = Lease::for_this_process(session.clone(), held);
        lease.lost = true;
        lease.save(&self.directory)?;
        self.leases.insert(session.clone(), lease);
        Ok(())
    }

    /// Returns true if another machine has taken the lock of one of `sessions`. Computes
    /// them only if there is a lost lease, which is rare.
    pub(crate) fn lost_any<E>(
        &self,
        sessions: impl FnOnce() -> Result<BTreeSet<SessionId>, E>,
    ) -> Result<bool, E> {
        let has_lost = self.lost().next().is_some() || !self.foreign.is_empty();
        Ok(has_lost && sessions()?.iter().any(|session| self.is_lost(session)))
    }

    /// Returns true if an earlier push is unanswered. Then the next push must fetch
    /// first.
    pub(crate) fn are_unsettled(&self) -> bool {
        self.held().any(|lease| lease.lock.pending.is_some())
    }

    /// Selects locks that the next push releases: those of `done`, and those of dead
    /// processes.
    ///
    /// Keeps locks of sessions with `unstored` turns. Keeps the lock of a dead process if
    /// a running Claude Code has the session `open`.
    pub(crate) fn select_for_release(
        &mut self,
        done: &BTreeSet<SessionId>,
        now: DateTime<Utc>,
        open: impl Fn(&SessionId) -> bool,
        unstored: impl Fn(&SessionId) -> bool,
    ) {
        let was_left = |lease: &Lease| !lease.holder_is_alive(now) && !open(&lease.session);
        // A running process releases its own locks.
        let is_ours = |lease: &Lease| lease.holder.is_this_process() || !lease.holder_is_alive(now);
        let is_released =
            |lease: &&Lease| done.contains(&lease.session) && is_ours(lease) || was_left(lease);
        let releasing = self
            .held()
            .filter(is_released)
            .map(|lease| lease.session.clone());
        self.releasing = releasing.filter(|session| !unstored(session)).collect();
    }

    /// Lets pushes release nothing, and returns the sessions that were to be released.
    pub(crate) fn postpone_releases(&mut self) -> BTreeSet<SessionId> {
        std::mem::take(&mut self.releasing)
    }

    /// Lets the next push release the locks of `sessions` that this machine still holds.
    pub(crate) fn select_releases(&mut self, mut sessions: BTreeSet<SessionId>) {
        sessions.retain(|session| self.active(session).is_some());
        self.releasing = sessions;
    }

    /// Returns true if the next push releases the lock of a session.
    pub(crate) fn is_releasing(&self, session: &SessionId) -> bool {
        self.releasing.contains(session)
    }

    /// Lets the next push renew every lock.
    pub(crate) fn renew_all(&mut self) {
        self.renewing = true;
    }

    /// Returns true if there is something to push even without data.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.releasing.is_empty() || self.renewing && self.held().next().is_some()
    }

    /// Returns the ref updates that go with a push of `changed` sessions.
    ///
    /// Saves the leases before they are sent, so that a crash cannot lose them.
    pub(crate) fn updates(
        &mut self,
        store: &Store,
        author: &Author<'_>,
        changed: &BTreeSet<SessionId>,
        rules: &RemoteRules,
    ) -> Result<Vec<RefUpdate>, SyncError> {
        let can_move = !rules.refuses(RemoteStep::MoveLock);
        let can_delete = !rules.refuses(RemoteStep::DeleteLock);
        let mut updates = Vec::new();
        let mut left = Vec::new();
        self.sent.clear();
        for lease in self.leases.values_mut().filter(|lease| !lease.lost) {
            let session = lease.session.clone();
            let due = self.renewing
                || author.time - lease.lock.record.renewed >= lease.lock.record.renewal_interval();
            // An unanswered change is sent again: data without it would go without the
            // lock.
            let unanswered = lease.lock.pending.is_some();
            let is_released = self.releasing.contains(&session)
                || lease.lock.pending == Some(PendingChange::Release);
            let update = if is_released && !can_delete {
                if can_move {
                    expiry(lease, store, author)?
                } else {
                    left.push(session.clone());
                    None
                }
            } else if !can_move && !is_released {
                lease.lock.drop_refused_change();
                None
            } else if is_released && lease.lock.release_change().is_some() {
                lease.lock.begin_release();
                Some(RefUpdate {
                    name: lock_ref(&session),
                    new: None,
                    expected: Some(lease.lock.commit.clone()),
                })
            } else if due || is_released || unanswered || changed.contains(&session) {
                renewal(lease, store, author)?
            } else {
                None
            };
            if let Some(update) = update {
                lease.save(&self.directory)?;
                self.sent.push(session);
                updates.push(update);
            }
        }
        // Such a lock expires.
        left.iter().try_for_each(|session| self.forget(session))?;
        Ok(updates)
    }

    /// Saves a lease before its lock is pushed alone: to acquire, take over or release
    /// it.
    pub(crate) fn begin(&mut self, lease: Lease) -> Result<(), SyncError> {
        lease.save(&self.directory)?;
        self.sent = vec![lease.session.clone()];
        self.leases.insert(lease.session.clone(), lease);
        Ok(())
    }

    /// Restores the lost lease after a rejected request: it stays recorded until this
    /// machine's turns are safe.
    pub(crate) fn restore_lost(&mut self, former: Option<Lease>) -> Result<(), SyncError> {
        let Some(lost) = former.filter(|former| former.lost) else {
            return Ok(());
        };
        lost.save(&self.directory)?;
        self.leases.insert(lost.session.clone(), lost);
        Ok(())
    }

    /// Returns the sessions whose locks the push in progress changes. Their changes are
    /// recorded one by one.
    pub(crate) fn take_sent(&mut self) -> Vec<SessionId> {
        self.renewing = false;
        std::mem::take(&mut self.sent)
    }

    /// Records that the remote accepted everything that was sent last.
    pub(crate) fn record_sent(&mut self, store: &Store) -> Result<(), SyncError> {
        self.renewing = false;
        for session in std::mem::take(&mut self.sent) {
            self.record_one_sent(store, &session)?;
        }
        Ok(())
    }

    /// Records that the remote accepted the change of one lock.
    pub(crate) fn record_one_sent(
        &mut self,
        store: &Store,
        session: &SessionId,
    ) -> Result<(), SyncError> {
        let Some(lease) = self.leases.get_mut(session) else {
            return Ok(());
        };
        let former = lease.lock.commit.clone();
        let is_deleted = lease.lock.pending == Some(PendingChange::Release);
        let settlement = lease.lock.confirm();
        let now = (!is_deleted).then(|| lease.lock.commit.clone());
        fail_point("a lock has moved on the remote");
        store.set_lock(session, now.as_ref())?;
        self.record_settlement(session, settlement)?;
        if now.as_ref() != Some(&former) {
            store.discard_lock(session, &former);
        }
        Ok(())
    }

    /// Gives up the change of one lock, because the rules of the remote forbid it. One that
    /// was never acquired is forgotten.
    pub(crate) fn record_refused(&mut self, session: &SessionId) -> Result<(), SyncError> {
        let Some(lease) = self.leases.get_mut(session) else {
            return Ok(());
        };
        if lease.lock.pending == Some(PendingChange::Acquire) {
            return self.forget(session);
        }
        lease.lock.drop_refused_change();
        Ok(lease.save(&self.directory)?)
    }

    /// Compares the leases with the locks as just fetched.
    ///
    /// The last data of a session and the release of its lock go together. So a missing
    /// lock of a session with `unsent` data was taken by another machine.
    pub(crate) fn settle(
        &mut self,
        store: &Store,
        unsent: &BTreeSet<SessionId>,
    ) -> Result<(), SyncError> {
        let there = store.locks()?.locks;
        let held: Vec<_> = self.held().map(|lease| lease.session.clone()).collect();
        for session in held {
            let Some(lease) = self.leases.get_mut(&session) else {
                continue;
            };
            let was_never_held = lease.lock.pending == Some(PendingChange::Acquire);
            let settlement = match lease.lock.settle(there.get(&session)) {
                Settlement::Released if unsent.contains(&session) => Settlement::Lost,
                Settlement::Lost if was_never_held => Settlement::Released,
                settlement => settlement,
            };
            self.record_settlement(&session, settlement)?;
        }
        fail_point("the leases are settled");
        Ok(())
    }

    /// Records that a session has no lock any more. A lost lease stays, until a push and
    /// a pull have made this machine's turns a fork.
    pub(crate) fn record_release(&mut self, session: &SessionId) -> Result<(), SyncError> {
        if self.is_lost(session) {
            Ok(())
        } else {
            self.forget(session)
        }
    }

    fn forget(&mut self, session: &SessionId) -> Result<(), SyncError> {
        self.releasing.remove(session);
        self.leases.remove(session);
        Ok(Lease::remove(&self.directory, session)?)
    }

    /// Forgets all leases, for a change of the remote.
    pub(crate) fn forget_all(&mut self) -> Result<(), SyncError> {
        self.releasing.clear();
        let leases = std::mem::take(&mut self.leases);
        Ok(leases
            .keys()
            .try_for_each(|session| Lease::remove(&self.directory, session))?)
    }

    /// Returns a note about the machine that has taken the lock of a session, if one has.
    /// Untrusted text.
    pub(crate) fn lost_note(
        &self,
        store: &Store,
        session: &SessionId,
    ) -> Result<Option<String>, SyncError> {
        if !self.is_lost(session) {
            return Ok(None);
        }
        let there = store
            .locks()?
            .locks
            .get(session)
            .and_then(|commit| store.read_lock(commit).ok());
        let by = there.and_then(|json| LockRecord::parse(session, &json).ok());
        let lease = self.leases.get(session).filter(|lease| lease.lost);
        let never_held = |record: &LockRecord| {
            lease.is_none_or(|lease| lease.lock.record.machine == record.machine)
        };
        Ok(Some(match by {
            Some(record) if never_held(&record) => format!("{} holds its lock", record.host),
            Some(record) => format!("its lock was taken over by {}", record.host),
            None => "its lock was taken away by another machine".to_owned(),
        }))
    }

    /// Forgets a lost lease: the newer local turns are a fork now.
    pub(crate) fn forget_lost(&mut self, session: &SessionId) -> Result<(), SyncError> {
        if self.is_lost(session) {
            self.forget(session)
        } else {
            Ok(())
        }
    }

    /// Returns the sessions with lost leases whose holder has ended or is this process.
    pub(crate) fn lost_without_holder(&self, now: DateTime<Utc>) -> BTreeSet<SessionId> {
        let done = |lease: &&Lease| {
            lease.lost && (!lease.holder_is_alive(now) || lease.holder.is_this_process())
        };
        self.leases
            .values()
            .filter(done)
            .map(|lease| lease.session.clone())
            .collect()
    }

    fn record_settlement(
        &mut self,
        session: &SessionId,
        settlement: Settlement,
    ) -> Result<(), SyncError> {
        let Some(lease) = self.leases.get_mut(session) else {
            return Ok(());
        };
        match settlement {
            Settlement::Held | Settlement::Unanswered => lease.save(&self.directory)?,
            Settlement::Lost => {
                lease.lost = true;
                lease.save(&self.directory)?;
                self.releasing.remove(session);
            }
            Settlement::Released => self.forget(session)?,
        }
        Ok(())
    }

    fn held(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter(|lease| !lease.lost)
    }
}

/// Returns the update that renews the lock of a lease; repeats an unanswered one.
fn renewal(
    lease: &mut Lease,
    store: &Store,
    author: &Author<'_>,
) -> Result<Option<RefUpdate>, SyncError> {
    let Some(change) = lease.lock.renewal_change(Stamp::new(author.time)) else {
        return Ok(None);
    };
    let record = change.new.expect("a renewed lock has a record");
    send_record(lease, store, author, change.expected, record).map(Some)
}

/// Returns the update that releases the lock of a lease without deleting it.
fn expiry(
    lease: &mut Lease,
    store: &Store,
    author: &Author<'_>,
) -> Result<Option<RefUpdate>, SyncError> {
    lease.lock.drop_refused_change();
    let Some(change) = lease.lock.expiring_change(Stamp::new(author.time)) else {
        return Ok(None);
    };
    let record = change.new.expect("a lock that expires has a record");
    send_record(lease, store, author, change.expected, record).map(Some)
}

fn send_record(
    lease: &mut Lease,
    store: &Store,
    author: &Author<'_>,
    expected: Option<CommitId>,
    record: LockRecord,
) -> Result<RefUpdate, SyncError> {
    let commit = write_lock_commit(store, author, &record)?;
    lease.lock.begin_renewal(commit.clone(), record);
    Ok(RefUpdate {
        name: lock_ref(&lease.session),
        new: Some(commit),
        expected,
    })
}

/// Writes the commit of a lock into the store.
pub(crate) fn write_lock_commit(
    store: &Store,
    author: &Author<'_>,
    record: &LockRecord,
) -> Result<CommitId, SyncError> {
    // Takes the time from the record, so that a repeated push has the same commit, also
    // in a new store.
    Ok(store.write_lock(
        &record.to_json(),
        &Author {
            time: record.renewed,
            ..author.clone()
        },
    )?)
}
