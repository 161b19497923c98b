//! Giving locks back, and clearing away those of holders that are gone.

use crate::domain::id::SessionId;
use crate::leasing::acquire::{contended, resend};
use crate::leasing::lock_table::{ATTEMPTS, Book, push, update};
use crate::leasing::view::{LockView, permits};
use crate::lock::state::TakeOver;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Work;

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
    pub kept: Vec<LockView>,
}

/// Takes away these locks, of which a survey has told. One that others have taken since then is spared, whatever `force` says.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached; what was released is then settled by the next command.
/// [`SyncError::Contended`] if others moved a lock all the time.
pub fn release(
    ctx: &Context<'_>,
    locks: &[LockView],
    force: TakeOver,
) -> Result<Vec<Released>, SyncError> {
    let mut work = Work::open(ctx)?;
    let mut book = Book::fetch(&mut work)?;
    locks
        .iter()
        .map(|lock| release_in(&mut work, &mut book, lock, force))
        .collect()
}

fn release_in(
    work: &mut Work<'_>,
    book: &mut Book,
    asked_of: &LockView,
    force: TakeOver,
) -> Result<Released, SyncError> {
    let session = &asked_of.session;
    for _ in 0..ATTEMPTS {
        if resend(work, session)? {
            *book = Book::fetch(work)?;
        }
        let Some(view) = book.view(work, session)? else {
            work.locks.given_back(session)?;
            return Ok(Released::NotLocked(session.clone()));
        };
        if permits(force, Some(asked_of), Some(&view)) < view.needed() {
            return Ok(Released::HeldBy(view));
        }
        if let Some(mut claim) = work.locks.claim(session).cloned() {
            claim.holding.releasing();
            work.locks.begin(claim)?;
        }
        if push(work, session, update(session, Some(&view.commit), None))? {
            book.remote.remove(session);
            work.locks.given_back(session)?;
            return Ok(Released::Done(view));
        }
        *book = Book::fetch(work)?;
    }
    Err(contended(session))
}

/// Takes away the locks that have expired, and those of this machine whose processes are dead.
///
/// # Errors
/// As for [`release`].
pub fn cleanup(ctx: &Context<'_>) -> Result<Cleanup, SyncError> {
    let mut work = Work::open(ctx)?;
    let mut book = Book::fetch(&mut work)?;
    let mut done = Cleanup::default();
    for session in book.remote.keys().cloned().collect::<Vec<_>>() {
        let Some(view) = book.view(&work, &session)? else {
            continue;
        };
        match release_in(&mut work, &mut book, &view, TakeOver::Expired)? {
            Released::Done(view) => done.removed.push(view),
            Released::NotLocked(_) => {}
            Released::HeldBy(view) => done.kept.push(view),
        }
    }
    Ok(done)
}
