//! The locks on the remote as of the last fetch, and since when this machine has seen each of them
//! as it is. Must not contact the remote.

use std::collections::BTreeMap;

use crate::domain::{CommitId, SessionId, error::error_chain};
use crate::lock::{
    LockRecord, ObservedLock, lease::Lease, observations::LockObservations, record::Identity,
    state::LockObserver,
};
use crate::store::StoreError;
use crate::workspace::{error::SyncError, open::Workspace};

/// The locks on the remote, as just fetched.
pub(crate) struct FetchedLocks {
    pub(crate) remote: BTreeMap<SessionId, CommitId>,
    observations: LockObservations,
    pub(crate) unknown_refs: Vec<String>,
}

impl FetchedLocks {
    /// Reads the locks that this command fetched.
    pub(crate) fn read(workspace: &Workspace<'_>) -> Result<Self, StoreError> {
        let found = workspace.store.locks()?;
        let path = workspace.ctx.env.dirs.state.join("lock-observations.json");
        let mut observations = LockObservations::load(&path);
        observations.record(found.locks.values(), workspace.ctx.clock.now());
        // It is a cache: without it, locks expire later.
        let _ = observations.save();
        Ok(Self {
            remote: found.locks,
            observations,
            unknown_refs: found.unknown_refs,
        })
    }

    /// Returns the lock at `commit`, with the time since which it is as it is.
    pub(crate) fn observed(
        &self,
        workspace: &Workspace<'_>,
        commit: &CommitId,
        record: LockRecord,
    ) -> ObservedLock {
        let now = workspace.ctx.clock.now();
        ObservedLock {
            commit: commit.clone(),
            record,
            first_seen: self.observations.first_seen(commit, now),
        }
    }
}

/// Returns this machine and process as the observer of a lock, with its lease.
pub(crate) fn observer(workspace: &Workspace<'_>, lease: Option<&Lease>) -> LockObserver {
    let identity = Identity::for_this_process(&workspace.machine);
    LockObserver::new(identity, lease.map(|lease| &lease.lock))
}

/// Reads a lock commit. The inner error says why the record is unusable; the outer one
/// concerns the whole store.
pub(crate) fn read_lock(
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
