//! The locks of this machine in a push: what goes together with the data, and what became of it.
//!
//! A claim ([`crate::lock::claim`]) says what this machine believes to hold. Whatever it
//! pushes of a session on which it has a claim goes in one atomic push with a renewal of
//! the lock, or with its deletion when the holder is done. So a machine that has lost a
//! lock cannot write the session: its push is refused as a whole, and what it has more
//! becomes a fork. Must not decide who may take a lock (`locks` does).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::domain::error::error_chain;
use crate::domain::id::{CommitId, SessionId};
use crate::lock::claim::{Claim, load_all};
use crate::lock::record::{LockRecord, Stamp};
use crate::lock::state::{Pending, Settlement};
use crate::store::machine::Machine;
use crate::store::{Author, Store, lock_ref};
use crate::sys::fail_point::fail_point;
use crate::transport::remote::RefUpdate;
use crate::workspace::error::SyncError;

/// The claims of this machine, read under the machine-wide lock.
#[derive(Default)]
pub(crate) struct Leases {
    directory: PathBuf,
    claims: BTreeMap<SessionId, Claim>,
    /// To be given back together with what is sent next.
    ending: BTreeSet<SessionId>,
    /// Renewed whether it is time or not: a sign of life was asked for.
    renewing: bool,
    /// Whose locks move in the push that is under way.
    sent: Vec<SessionId>,
    /// Files about claims that cannot be read, and why.
    damaged: Vec<String>,
}

impl Leases {
    /// Reads the claims in `directory`. One that is damaged is passed over and named: the
    /// lock it stood for expires.
    pub(crate) fn load(directory: &Path) -> Result<Self, SyncError> {
        let (claims, damaged) = load_all(directory)?;
        let damaged = damaged.iter().map(|e| error_chain(e)).collect();
        let claims = claims
            .into_iter()
            .map(|claim| (claim.session.clone(), claim))
            .collect();
        Ok(Self {
            directory: directory.to_owned(),
            claims,
            damaged,
            ..Self::default()
        })
    }

    /// Returns true if this machine has no claims: then a push is a push of data alone.
    pub(crate) fn is_empty(&self) -> bool {
        self.claims.is_empty()
    }

    /// Files about claims that cannot be read, and why.
    pub(crate) fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// The claim on a session, lost or not.
    pub(crate) fn any_claim(&self, session: &SessionId) -> Option<&Claim> {
        self.claims.get(session)
    }

    /// The claim on a session, if it is not lost.
    pub(crate) fn claim(&self, session: &SessionId) -> Option<&Claim> {
        self.claims.get(session).filter(|claim| !claim.lost)
    }

    /// The claims that are lost.
    pub(crate) fn lost_claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values().filter(|claim| claim.lost)
    }

    /// Returns true if another machine has the lock of a session now. What this machine
    /// has more of it is kept as a fork.
    pub(crate) fn is_lost(&self, session: &SessionId) -> bool {
        self.claims.get(session).is_some_and(|claim| claim.lost)
    }

    /// Returns true if another machine has the lock of one of `sessions` now. They are
    /// only computed if any lock was lost, which is rare.
    pub(crate) fn lost_any<E>(
        &self,
        sessions: impl FnOnce() -> Result<BTreeSet<SessionId>, E>,
    ) -> Result<bool, E> {
        let has_lost = self.lost_claims().next().is_some();
        Ok(has_lost && sessions()?.iter().any(|session| self.is_lost(session)))
    }

    /// Returns true if what was sent earlier has no answer yet: before anything else is
    /// sent, the remote is looked at.
    pub(crate) fn are_unsettled(&self) -> bool {
        self.held().any(|claim| claim.holding.pending.is_some())
    }

    /// The locks of `done`, and those whose process has ended without giving them back,
    /// go with what is sent next; not where turns are `unstored`, nor after a death where
    /// a client still has the session `open` and continues it.
    pub(crate) fn select_for_release(
        &mut self,
        done: &BTreeSet<SessionId>,
        open: impl Fn(&SessionId) -> bool,
        unstored: impl Fn(&SessionId) -> bool,
    ) {
        let was_left = |claim: &Claim| !claim.holder_is_alive() && !open(&claim.session);
        // What another process of this machine holds now is its own to give back.
        let is_ours =
            |claim: &Claim| claim.holder.pid == std::process::id() || !claim.holder_is_alive();
        let ends =
            |claim: &&Claim| done.contains(&claim.session) && is_ours(claim) || was_left(claim);
        let ending = self.held().filter(ends).map(|claim| claim.session.clone());
        self.ending = ending.filter(|session| !unstored(session)).collect();
    }

    /// Returns true if the lock of a session goes back with what is sent next.
    pub(crate) fn is_releasing(&self, session: &SessionId) -> bool {
        self.ending.contains(session)
    }

    /// Every lock that is held is renewed by the next push.
    pub(crate) fn renew_all(&mut self) {
        self.renewing = true;
    }

    /// Returns true if there is something to send even without data.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.ending.is_empty() || self.renewing && self.held().next().is_some()
    }

    /// What goes with a push in which these sessions have `changed`. Written down before
    /// it is sent, so that no death makes this machine forget it.
    pub(crate) fn updates(
        &mut self,
        store: &Store,
        author: &Author<'_>,
        changed: &BTreeSet<SessionId>,
    ) -> Result<Vec<RefUpdate>, SyncError> {
        let mut updates = Vec::new();
        self.sent.clear();
        for claim in self.claims.values_mut().filter(|claim| !claim.lost) {
            let session = claim.session.clone();
            let due = self.renewing
                || author.time - claim.holding.record.renewed
                    >= claim.holding.record.renewal_interval();
            // What was sent and not answered is sent again. Data that went without it
            // would go without the lock, too.
            let unanswered = claim.holding.pending.is_some();
            let ends =
                self.ending.contains(&session) || claim.holding.pending == Some(Pending::Release);
            let update = if ends && claim.holding.release().is_some() {
                claim.holding.releasing();
                Some(RefUpdate {
                    name: lock_ref(&session),
                    new: None,
                    expected: Some(claim.holding.commit.clone()),
                })
            } else if due || ends || unanswered || changed.contains(&session) {
                renewal(claim, store, author)?
            } else {
                None
            };
            if let Some(update) = update {
                claim.save(&self.directory)?;
                self.sent.push(session);
                updates.push(update);
            }
        }
        Ok(updates)
    }

    /// Writes down what is about to be pushed for one session alone: to acquire its lock,
    /// or to give it back.
    pub(crate) fn begin(&mut self, claim: Claim) -> Result<(), SyncError> {
        claim.save(&self.directory)?;
        self.sent = vec![claim.session.clone()];
        self.claims.insert(claim.session.clone(), claim);
        Ok(())
    }

    /// What was begun has been refused. That a lock was lost before is not forgotten
    /// before this machine's turns are safe.
    pub(crate) fn rejected(&mut self, former: Option<Claim>) -> Result<(), SyncError> {
        let Some(lost) = former.filter(|former| former.lost) else {
            return Ok(());
        };
        lost.save(&self.directory)?;
        self.claims.insert(lost.session.clone(), lost);
        Ok(())
    }

    /// The remote has done all of what was sent last.
    pub(crate) fn record_sent(&mut self, store: &Store) -> Result<(), SyncError> {
        self.renewing = false;
        for session in std::mem::take(&mut self.sent) {
            let Some(claim) = self.claims.get_mut(&session) else {
                continue;
            };
            let former = claim.holding.commit.clone();
            let settlement = claim.holding.done();
            let now = (settlement == Settlement::Held).then(|| claim.holding.commit.clone());
            fail_point("a lock has moved on the remote");
            store.set_lock(&session, now.as_ref())?;
            self.enter(&session, settlement)?;
            if now.as_ref() != Some(&former) {
                store.discard_lock(&session, &former);
            }
        }
        Ok(())
    }

    /// Compares what this machine believes with the locks as they were just fetched. A
    /// lock goes together with the last data of its session: one that is gone while there
    /// is data `unsent` was taken away by somebody else.
    pub(crate) fn settle(
        &mut self,
        store: &Store,
        unsent: &BTreeSet<SessionId>,
    ) -> Result<(), SyncError> {
        let there = store.locks()?.locks;
        let held: Vec<_> = self.held().map(|claim| claim.session.clone()).collect();
        for session in held {
            let Some(claim) = self.claims.get_mut(&session) else {
                continue;
            };
            let was_never_held = claim.holding.pending == Some(Pending::Acquire);
            let settlement = match claim.holding.settle(there.get(&session)) {
                Settlement::Released if unsent.contains(&session) => Settlement::Lost,
                Settlement::Lost if was_never_held => Settlement::Released,
                settlement => settlement,
            };
            self.enter(&session, settlement)?;
        }
        fail_point("the claims are settled");
        Ok(())
    }

    /// There is no lock of a session any more. That it was lost before is remembered all
    /// the same, until a push and a pull have made this machine's turns a session of
    /// their own.
    pub(crate) fn released(&mut self, session: &SessionId) -> Result<(), SyncError> {
        if self.is_lost(session) {
            Ok(())
        } else {
            self.forget(session)
        }
    }

    fn forget(&mut self, session: &SessionId) -> Result<(), SyncError> {
        self.ending.remove(session);
        self.claims.remove(session);
        Ok(Claim::remove(&self.directory, session)?)
    }

    /// Forgets every claim: the remote on which they were made is not this machine's any more.
    pub(crate) fn forget_all(&mut self) -> Result<(), SyncError> {
        self.ending.clear();
        let claims = std::mem::take(&mut self.claims);
        Ok(claims
            .keys()
            .try_for_each(|session| Claim::remove(&self.directory, session))?)
    }

    /// Who has a lock that this machine has lost, as a note for a person; the name is
    /// untrusted text.
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
        Ok(Some(match by {
            Some(record) => format!("its lock was taken over by {}", record.host),
            None => "its lock was taken away by another machine".to_owned(),
        }))
    }

    /// A lost lock is done with: what this machine had more is a fork, here too.
    pub(crate) fn forget_lost(&mut self, session: &SessionId) -> Result<(), SyncError> {
        if self.is_lost(session) {
            self.forget(session)
        } else {
            Ok(())
        }
    }

    /// Lost locks whose holder does not run any more, or is this process.
    pub(crate) fn lost_without_holder(&self) -> Vec<SessionId> {
        let done = |claim: &&Claim| {
            claim.lost && (!claim.holder_is_alive() || claim.holder.pid == std::process::id())
        };
        self.claims
            .values()
            .filter(done)
            .map(|claim| claim.session.clone())
            .collect()
    }

    fn enter(&mut self, session: &SessionId, settlement: Settlement) -> Result<(), SyncError> {
        let Some(claim) = self.claims.get_mut(session) else {
            return Ok(());
        };
        match settlement {
            Settlement::Held | Settlement::Unanswered => claim.save(&self.directory)?,
            Settlement::Lost => {
                claim.lost = true;
                claim.save(&self.directory)?;
                self.ending.remove(session);
            }
            Settlement::Released => self.forget(session)?,
        }
        Ok(())
    }

    fn held(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values().filter(|claim| !claim.lost)
    }
}

/// The renewal of a claim; one that was sent and not answered, again.
fn renewal(
    claim: &mut Claim,
    store: &Store,
    author: &Author<'_>,
) -> Result<Option<RefUpdate>, SyncError> {
    let Some(change) = claim.holding.renewal(Stamp::new(author.time)) else {
        return Ok(None);
    };
    let record = change.new.expect("whoever renews leaves a lock");
    let commit = write(store, author.machine, &record)?;
    claim.holding.renewing(commit.clone(), record);
    Ok(Some(RefUpdate {
        name: lock_ref(&claim.session),
        new: Some(commit),
        expected: change.expected,
    }))
}

/// Writes the commit of a lock into the store.
pub(crate) fn write(
    store: &Store,
    machine: &Machine,
    record: &LockRecord,
) -> Result<CommitId, SyncError> {
    // Of the record's time: the same record, sent again, is the same commit, also in a
    // store that was made anew.
    Ok(store.write_lock(
        &record.to_json(),
        &Author {
            machine,
            time: record.renewed,
        },
    )?)
}
