//! Reads all locks of the remote, and pushes changes of one.
//!
//! `lock::state` makes the decisions; this file fetches, views and pushes. A change that
//! another machine anticipated is a result, not an error. Must not move the branch of the
//! sessions or renew locks: that goes with a push of sessions (`flows::remote_sync`).

use crate::domain::{CommitId, SessionId};
use crate::flows::RemoteSync;
use crate::lock::{LockRecord, lease::Lease, state::lock_status};
use crate::store::lock_ref;
use crate::sys::{fail_point::fail_point, process::pid_is_alive};
use crate::transport::{PushOutcome, RefUpdate};
use crate::workspace::{
    Context, SyncError, Workspace, fetched_locks::FetchedLocks, fetched_locks::observer,
    fetched_locks::read_lock, lookup::find_session,
};

use crate::leasing::view::{LockContent, LockView};

/// Maximum number of attempts while other machines change the same lock.
pub(crate) const ATTEMPTS: u32 = 5;

/// All locks, and the state of this machine's leases.
#[derive(Debug, Default)]
pub struct LockTable {
    /// The locks on the remote, by session.
    pub locks: Vec<LockView>,
    /// Leases whose lock another machine has taken.
    pub lost: Vec<Lease>,
    /// Branches among the locks whose names are not session ids. Not sanitized.
    pub unknown_refs: Vec<String>,
    /// Errors of unreadable lease files.
    pub damaged: Vec<String>,
}

impl LockTable {
    /// Finds the lock of the session with this id or unique prefix.
    ///
    /// # Errors
    /// [`LookupError::AmbiguousSession`](crate::workspace::lookup::LookupError) if
    /// several have the prefix.
    pub fn find(&self, name: &SessionId) -> Result<Option<&LockView>, SyncError> {
        let session = find_session(name, self.locks.iter().map(|lock| &lock.session))?;
        Ok(session.and_then(|session| self.locks.iter().find(|lock| lock.session == session)))
    }
}

/// Fetches all locks.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached, and errors of the whole
/// command.
pub fn lock_table(ctx: &Context<'_>) -> Result<LockTable, SyncError> {
    let workspace = &mut Workspace::open(ctx)?;
    FetchedLocks::fetch(workspace)?.into_table(workspace)
}

/// Returns the locks as of the last fetch.
pub(crate) fn fetched_lock_table(workspace: &Workspace<'_>) -> Result<LockTable, SyncError> {
    FetchedLocks::read(workspace)?.into_table(workspace)
}

impl FetchedLocks {
    /// Fetches the locks, and settles this machine's leases.
    pub(crate) fn fetch(workspace: &mut Workspace<'_>) -> Result<Self, SyncError> {
        RemoteSync::new(workspace).fetch_locks()?;
        Ok(Self::read(workspace)?)
    }

    /// Returns a view of every lock.
    pub(crate) fn into_table(self, workspace: &Workspace<'_>) -> Result<LockTable, SyncError> {
        let mut lock_table = LockTable::default();
        for session in self.remote.keys() {
            let lock = self.view(workspace, session)?;
            lock_table
                .locks
                .extend(lock.filter(|lock| !lock.is_released()));
        }
        lock_table.lost = workspace.leases.lost().cloned().collect();
        lock_table.damaged = workspace.leases.damaged().to_vec();
        lock_table.unknown_refs = self.unknown_refs;
        Ok(lock_table)
    }

    /// Returns a view of the lock of one session, if it has a lock.
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
        let lease = workspace.leases.active(session);
        let content = match read_lock(workspace, session, commit)? {
            Ok(record) => self.lock(workspace, commit, record, lease),
            Err(reason) => LockContent::Unreadable { reason },
        };
        let running = match (&content, lease) {
            (LockContent::Unreadable { .. }, _) => None,
            (LockContent::Lock { seen, .. }, _) if seen.record.is_released() => None,
            (_, Some(lease)) => {
                let is_other = !lease.holder.is_this_process();
                let is_alive = lease.holder_is_alive(workspace.ctx.clock.now());
                (is_other && is_alive).then_some(lease.holder.pid)
            }
            // The lease file is lost, but the record names this machine and a running
            // process.
            (LockContent::Lock { seen, own, .. }, None) => {
                (*own && is_other_process(seen.record.pid)).then_some(seen.record.pid)
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
        lease: Option<&Lease>,
    ) -> LockContent {
        let now = workspace.ctx.clock.now();
        let own = record.machine == workspace.machine.id;
        let seen = self.observed(workspace, commit, record);
        let status = lock_status(Some(&seen), now, &observer(workspace, lease));
        LockContent::Lock {
            seen: Box::new(seen),
            status,
            own,
        }
    }
}

/// Pushes a change of one lock. If the remote accepts it, updates the local ref and the
/// lease. Returns false if another machine was faster.
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

fn is_other_process(pid: u32) -> bool {
    pid != std::process::id() && pid_is_alive(pid)
}
