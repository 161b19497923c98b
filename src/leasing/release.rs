//! Giving locks back, and clearing away those of holders that are gone.

use crate::domain::id::SessionId;
use crate::leasing::acquire::{contended, resend};
use crate::leasing::lock_table::{ATTEMPTS, FetchedLocks, push, update};
use crate::leasing::view::{LockView, allowed_take_over};
use crate::lock::state::TakeOver;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// What became of the wish to take a lock away.
#[derive(Debug)]
pub enum Released {
    /// It is gone.
    Done(LockView),
    /// It was gone already.
    NotLocked(SessionId),
    /// It is somebody's, or that of a process that runs here, and was to be spared.
    HeldBy(LockView),
}

/// What was cleared away.
#[derive(Debug, Default)]
pub struct Cleanup {
    /// Locks that had expired, or whose process on this machine is dead.
    pub removed: Vec<LockView>,
    /// Those that are somebody's.
    pub not_removed: Vec<LockView>,
}

/// Takes away these locks, of which a survey has told. One that others have taken since
/// then is spared, whatever `force` says.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached; what was released is then
/// settled by the next command.
/// [`LeaseError::Contended`](crate::leasing::error::LeaseError) if others moved a lock
/// all the time.
pub fn release(
    ctx: &Context<'_>,
    locks: &[LockView],
    force: TakeOver,
) -> Result<Vec<Released>, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let mut book = FetchedLocks::fetch(&mut workspace)?;
    locks
        .iter()
        .map(|lock| release_in(&mut workspace, &mut book, lock, force))
        .collect()
}

fn release_in(
    workspace: &mut Workspace<'_>,
    book: &mut FetchedLocks,
    asked_of: &LockView,
    force: TakeOver,
) -> Result<Released, SyncError> {
    let session = &asked_of.session;
    for _ in 0..ATTEMPTS {
        if resend(workspace, session)? {
            *book = FetchedLocks::fetch(workspace)?;
        }
        let Some(view) = book.view(workspace, session)? else {
            workspace.leases.released(session)?;
            return Ok(Released::NotLocked(session.clone()));
        };
        if allowed_take_over(force, Some(asked_of), Some(&view)) < view.needed() {
            return Ok(Released::HeldBy(view));
        }
        if let Some(mut claim) = workspace.leases.claim(session).cloned() {
            claim.holding.releasing();
            workspace.leases.begin(claim)?;
        }
        if push(
            workspace,
            session,
            update(session, Some(&view.commit), None),
        )? {
            book.remote.remove(session);
            workspace.leases.released(session)?;
            return Ok(Released::Done(view));
        }
        *book = FetchedLocks::fetch(workspace)?;
    }
    Err(contended(session))
}

/// Takes away the locks that have expired, and those of this machine whose processes are dead.
///
/// # Errors
/// As for [`release`].
pub fn cleanup(ctx: &Context<'_>) -> Result<Cleanup, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let mut book = FetchedLocks::fetch(&mut workspace)?;
    let mut done = Cleanup::default();
    for session in book.remote.keys().cloned().collect::<Vec<_>>() {
        let Some(view) = book.view(&workspace, &session)? else {
            continue;
        };
        match release_in(&mut workspace, &mut book, &view, TakeOver::Expired)? {
            Released::Done(view) => done.removed.push(view),
            Released::NotLocked(_) => {}
            Released::HeldBy(view) => done.not_removed.push(view),
        }
    }
    Ok(done)
}
