//! Releases locks, also those of other machines that have expired.

use crate::domain::SessionId;
use crate::leasing::acquire::{contended, resend};
use crate::leasing::lock_table::{ATTEMPTS, push, update};
use crate::leasing::view::{LockView, allowed_take_over};
use crate::lock::{Stamp, TakeOver};
use crate::workspace::{
    Context, RemoteStep, SyncError, Workspace, fetched_locks::FetchedLocks,
    leases::write_lock_commit,
};

/// Result of a request to release a lock.
#[derive(Debug)]
pub enum ReleaseOutcome {
    /// Released.
    Released(LockView),
    /// There was no lock.
    NotLocked(SessionId),
    /// Kept: its holder may be working, or another machine has taken it since.
    HeldBy(LockView),
}

/// Result of a clean-up.
#[derive(Debug, Default)]
pub struct Cleanup {
    /// Released locks: expired, or held by a dead process of this machine.
    pub removed: Vec<LockView>,
    /// Locks whose holders may be working.
    pub not_removed: Vec<LockView>,
}

/// Releases `locks`, which were read earlier. Keeps those that another holder has taken
/// since, whatever `force` says.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached; the next command finds out what
/// was released. [`LeaseError::Contended`](crate::leasing::error::LeaseError) if a lock
/// not_removed changing.
pub fn release(
    ctx: &Context<'_>,
    locks: &[LockView],
    force: TakeOver,
) -> Result<Vec<ReleaseOutcome>, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let mut fetched = FetchedLocks::fetch(&mut workspace)?;
    locks
        .iter()
        .map(|lock| release_in(&mut workspace, &mut fetched, lock, force))
        .collect()
}

fn release_in(
    workspace: &mut Workspace<'_>,
    fetched: &mut FetchedLocks,
    confirmed: &LockView,
    force: TakeOver,
) -> Result<ReleaseOutcome, SyncError> {
    let session = &confirmed.session;
    for _ in 0..ATTEMPTS {
        if resend(workspace, session)? {
            *fetched = FetchedLocks::fetch(workspace)?;
        }
        let view = fetched.view(workspace, session)?;
        let Some(view) = view.filter(|view| !view.is_released()) else {
            workspace.leases.record_release(session)?;
            return Ok(ReleaseOutcome::NotLocked(session.clone()));
        };
        if allowed_take_over(force, Some(confirmed), Some(&view)) < view.needed() {
            return Ok(ReleaseOutcome::HeldBy(view));
        }
        if let Some(mut lease) = workspace.leases.active(session).cloned() {
            lease.lock.begin_release();
            workspace.leases.begin(lease)?;
        }
        if remove(workspace, &view)? {
            fetched.remote.remove(session);
            workspace.leases.record_release(session)?;
            return Ok(ReleaseOutcome::Released(view));
        }
        *fetched = FetchedLocks::fetch(workspace)?;
    }
    Err(contended(session))
}

/// Deletes a lock, or marks it as released if the remote keeps every branch. Returns false if
/// another machine was faster.
fn remove(workspace: &mut Workspace<'_>, view: &LockView) -> Result<bool, SyncError> {
    let session = &view.session;
    let refused = match push(
        workspace,
        session,
        update(session, Some(&view.commit), None),
    ) {
        Err(SyncError::Remote(e)) if e.is_rejection() => e,
        done => return done,
    };
    workspace.leases.record_refused(session)?;
    let now = workspace.ctx.clock.now();
    let rules = &mut workspace.remote_rules;
    rules.record(RemoteStep::DeleteLock, &refused.in_one_line(), now);
    let Some(record) = view.record() else {
        return Err(refused.into());
    };
    let record = record.released(Stamp::new(now));
    let commit = write_lock_commit(&workspace.store, &workspace.author(), &record)?;
    push(
        workspace,
        session,
        update(session, Some(&view.commit), Some(commit)),
    )
}

/// Releases expired locks, and those of dead processes of this machine.
///
/// # Errors
/// As for [`release`].
pub fn cleanup(ctx: &Context<'_>) -> Result<Cleanup, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let mut fetched = FetchedLocks::fetch(&mut workspace)?;
    let mut done = Cleanup::default();
    for session in fetched.remote.keys().cloned().collect::<Vec<_>>() {
        let Some(view) = fetched.view(&workspace, &session)? else {
            continue;
        };
        match release_in(&mut workspace, &mut fetched, &view, TakeOver::Expired)? {
            ReleaseOutcome::Released(view) => done.removed.push(view),
            ReleaseOutcome::NotLocked(_) => {}
            ReleaseOutcome::HeldBy(view) => done.not_removed.push(view),
        }
    }
    Ok(done)
}
