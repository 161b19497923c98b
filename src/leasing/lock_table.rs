//! The locks of sessions: who holds which, and taking and giving back those of this machine.
//!
//! Every decision is `crate::lock::state`'s; this fetches, asks and pushes, and `leases`
//! writes down what was asked before it is sent. That somebody else was faster is an
//! answer and no error. Must not move the branch of the sessions, nor renew: that goes
//! with a push (`send`).
//!
//! * `view`: a lock and what follows from it; `lease`: acquire; `release`: give back, and
//!   clear away what has expired

use std::collections::BTreeMap;

use crate::domain::error::error_chain;
use crate::domain::id::{CommitId, SessionId};
use crate::flows::remote_sync::RemoteSync;
use crate::lock::claim::Claim;
use crate::lock::observations::LockObservations;
use crate::lock::record::{Identity, LockRecord};
use crate::lock::state::{Me, Seen, standing};
use crate::store::{StoreError, lock_ref};
use crate::sys::fail_point::fail_point;
use crate::sys::process::pid_is_alive;
use crate::transport::remote::{PushOutcome, RefUpdate};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::lookup::find_session;
use crate::workspace::open::Workspace;

use crate::leasing::view::{Content, LockView};

/// How often the same is tried while others move the same lock.
pub(crate) const ATTEMPTS: u32 = 5;

/// Everything that there is to say of locks.
#[derive(Debug, Default)]
pub struct Survey {
    /// The locks on the remote, by session.
    pub locks: Vec<LockView>,
    /// Locks that this machine held and somebody else has taken.
    pub lost: Vec<Claim>,
    /// Branches between those of locks whose names are no session's; unsanitised.
    pub unknown_refs: Vec<String>,
    /// Files about locks of this machine that cannot be read, and why.
    pub damaged: Vec<String>,
}

impl Survey {
    /// The lock of the session that begins so; `None` if nobody holds one.
    ///
    /// # Errors
    /// [`LookupError::AmbiguousSession`](crate::workspace::lookup::LookupError) if
    /// several begin so.
    pub fn named(&self, name: &SessionId) -> Result<Option<&LockView>, SyncError> {
        let session = find_session(name, self.locks.iter().map(|lock| &lock.session))?;
        Ok(session.and_then(|session| self.locks.iter().find(|lock| lock.session == session)))
    }
}

/// Asks the remote for all locks.
///
/// # Errors
/// [`SyncError::Remote`] if it cannot be reached, and what concerns the whole command.
pub fn survey(ctx: &Context<'_>) -> Result<Survey, SyncError> {
    let workspace = &mut Workspace::open(ctx)?;
    FetchedLocks::fetch(workspace)?.survey(workspace)
}

/// As [`survey`], for who has fetched the locks in this command.
pub(crate) fn fetched_lock_table(workspace: &Workspace<'_>) -> Result<Survey, SyncError> {
    FetchedLocks::read(workspace)?.survey(workspace)
}

/// Every lock on the remote as just fetched.
pub(crate) struct FetchedLocks {
    pub(crate) remote: BTreeMap<SessionId, CommitId>,
    pub(crate) sightings: LockObservations,
    pub(crate) unknown_refs: Vec<String>,
}

impl FetchedLocks {
    /// Fetches, and settles this machine's claims.
    pub(crate) fn fetch(workspace: &mut Workspace<'_>) -> Result<Self, SyncError> {
        RemoteSync::new(workspace).fetch_locks()?;
        Self::read(workspace)
    }

    /// What a fetch of the locks in this command brought.
    pub(crate) fn read(workspace: &Workspace<'_>) -> Result<Self, SyncError> {
        let found = workspace.store.locks()?;
        let mut sightings =
            LockObservations::load(&workspace.ctx.env.dirs.state.join("lock-observations.json"));
        sightings.note(found.locks.values(), workspace.ctx.clock.now());
        // A cache: without it, locks expire later.
        let _ = sightings.save();
        Ok(Self {
            remote: found.locks,
            sightings,
            unknown_refs: found.unknown_refs,
        })
    }

    /// The locks, each with what follows from it.
    pub(crate) fn survey(self, workspace: &Workspace<'_>) -> Result<Survey, SyncError> {
        let mut survey = Survey::default();
        for session in self.remote.keys() {
            survey.locks.extend(self.view(workspace, session)?);
        }
        survey.lost = workspace.leases.lost_claims().cloned().collect();
        survey.damaged = workspace.leases.damaged().to_vec();
        survey.unknown_refs = self.unknown_refs;
        Ok(survey)
    }

    /// One lock; `None` if nobody holds the session.
    pub(crate) fn view(
        &self,
        workspace: &Workspace<'_>,
        session: &SessionId,
    ) -> Result<Option<LockView>, SyncError> {
        let Some(commit) = self.remote.get(session) else {
            return Ok(None);
        };
        let manifest = workspace
            .store
            .head_snapshot()?
            .manifest(session)
            .ok()
            .flatten();
        let title = manifest.and_then(|manifest| workspace.localizer.title(&manifest));
        let claim = workspace.leases.claim(session);
        let content = match read(workspace, session, commit)? {
            Ok(record) => self.lock(workspace, commit, record, claim),
            Err(reason) => Content::Unreadable { reason },
        };
        let running = match (&content, claim) {
            (Content::Unreadable { .. }, _) => None,
            (_, Some(claim)) => claim.holder_is_alive().then_some(claim.holder.pid),
            // The claim is lost, but not the name: a process of this number may be the one.
            (Content::Lock { seen, own, .. }, None) => {
                (*own && pid_is_alive(seen.record.pid)).then_some(seen.record.pid)
            }
        };
        Ok(Some(LockView {
            session: session.clone(),
            title,
            commit: commit.clone(),
            content,
            running,
        }))
    }

    pub(crate) fn lock(
        &self,
        workspace: &Workspace<'_>,
        commit: &CommitId,
        record: LockRecord,
        claim: Option<&Claim>,
    ) -> Content {
        let now = workspace.ctx.clock.now();
        let own = record.machine == workspace.machine.id;
        let seen = Seen {
            commit: commit.clone(),
            record,
            first_seen: self.sightings.first_seen(commit, now),
        };
        let standing = standing(Some(&seen), now, &me(workspace, claim));
        Content::Lock {
            seen: Box::new(seen),
            standing,
            own,
        }
    }
}

/// What lies on the branch, or why it is no lock. Only what concerns the whole store is an error.
pub(crate) fn read(
    workspace: &Workspace<'_>,
    session: &SessionId,
    commit: &CommitId,
) -> Result<Result<LockRecord, String>, SyncError> {
    let json = match workspace.store.read_lock(commit) {
        Ok(json) => json,
        Err(StoreError::Lock { what, .. }) => return Ok(Err(what.to_owned())),
        Err(e @ (StoreError::Git(_) | StoreError::Object { .. })) => {
            return Ok(Err(error_chain(&e)));
        }
        Err(e) => return Err(e.into()),
    };
    Ok(LockRecord::parse(session, &json).map_err(|e| error_chain(&e)))
}

/// This machine and process, and what it believes of one session.
pub(crate) fn me(workspace: &Workspace<'_>, claim: Option<&Claim>) -> Me {
    let machine = &workspace.machine;
    let identity = Identity {
        machine: machine.id.clone(),
        host: machine.name.clone(),
        pid: std::process::id(),
    };
    Me::new(identity, claim.map(|claim| &claim.holding))
}

/// Moves a lock on the remote, and the memory of where it is.
pub(crate) fn push(
    workspace: &mut Workspace<'_>,
    session: &SessionId,
    update: RefUpdate,
) -> Result<bool, SyncError> {
    let remote = workspace.remote()?;
    let new = update.new.clone();
    fail_point("before a push to the remote");
    let outcome = remote.push(&[update]);
    fail_point("after a push to the remote");
    let done = outcome? == PushOutcome::Done;
    if done {
        fail_point("a lock has moved on the remote");
        workspace.store.set_lock(session, new.as_ref())?;
        workspace.leases.record_sent(&workspace.store)?;
    }
    Ok(done)
}

pub(crate) fn update(
    session: &SessionId,
    expected: Option<&CommitId>,
    new: Option<CommitId>,
) -> RefUpdate {
    RefUpdate {
        name: lock_ref(session),
        new,
        expected: expected.cloned(),
    }
}
