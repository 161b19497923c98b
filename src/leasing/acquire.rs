//! Acquires locks.

use crate::domain::SessionId;
use crate::leasing::error::LeaseError;
use crate::leasing::lock_table::{ATTEMPTS, push, update};
use crate::leasing::view::{LockContent, LockView, allowed_take_over};
use crate::lock::{
    Stamp, TakeOver, lease::Holder, lease::Lease, state, state::HeldLock, state::LockChange,
    state::PendingChange,
};
use crate::workspace::{
    Context, RemoteStep, SyncError, Workspace, fetched_locks::FetchedLocks,
    fetched_locks::observer, leases::write_lock_commit,
};

/// Result of a request for a lock.
#[derive(Debug)]
pub enum AcquireOutcome {
    /// This process holds it now.
    Acquired(Box<Lease>),
    /// Another machine or process holds it, or the lock is unreadable.
    HeldBy(LockView),
    /// The rules of the remote forbid it.
    NoLocks {
        /// The server's words. Untrusted text.
        reason: String,
    },
}

/// Acquires the lock of a session.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached; the next command finds out
/// whether the lock was acquired. [`LeaseError::Contended`] if the lock kept changing.
pub fn acquire(
    ctx: &Context<'_>,
    session: &SessionId,
    take_over: TakeOver,
) -> Result<AcquireOutcome, SyncError> {
    acquire_in(&mut Workspace::open(ctx)?, session, take_over, None)
}

/// Acquires the lock of a session that Claude Code has open, unless this machine has lost it: the
/// turns here belong to a fork until Claude Code ends. `None` if no one else has it either.
///
/// # Errors
/// As for [`acquire`].
pub fn acquire_while_open(
    ctx: &Context<'_>,
    session: &SessionId,
) -> Result<Option<AcquireOutcome>, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    if workspace.leases.is_lost(session) {
        let view = FetchedLocks::fetch(&mut workspace)?.view(&workspace, session)?;
        return Ok(view.map(AcquireOutcome::HeldBy));
    }
    acquire_in(&mut workspace, session, TakeOver::Expired, None).map(Some)
}

/// Takes over the lock that the user confirmed, unless another holder has it by now.
///
/// # Errors
/// As for [`acquire`].
pub fn take_over(ctx: &Context<'_>, confirmed: &LockView) -> Result<AcquireOutcome, SyncError> {
    acquire_in(
        &mut Workspace::open(ctx)?,
        &confirmed.session,
        TakeOver::Live,
        Some(confirmed),
    )
}

fn acquire_in(
    workspace: &mut Workspace<'_>,
    session: &SessionId,
    take_over: TakeOver,
    confirmed: Option<&LockView>,
) -> Result<AcquireOutcome, SyncError> {
    if let Some(reason) = workspace.remote_rules.refusal_of_locks() {
        let reason = reason.to_owned();
        return Ok(AcquireOutcome::NoLocks { reason });
    }
    let mut fetched = FetchedLocks::fetch(workspace)?;
    let confirmed = match confirmed {
        Some(lock) => Some(lock.clone()),
        None => fetched.view(workspace, session)?,
    };
    for _ in 0..ATTEMPTS {
        if resend(workspace, session)? {
            fetched = FetchedLocks::fetch(workspace)?;
        }
        let view = fetched.view(workspace, session)?;
        let permitted = allowed_take_over(take_over, confirmed.as_ref(), view.as_ref());
        let Some(change) = change(workspace, session, view.as_ref(), permitted) else {
            return view
                .map(AcquireOutcome::HeldBy)
                .ok_or_else(|| contended(session));
        };
        let step = match change.expected {
            None => RemoteStep::CreateLock,
            Some(_) => RemoteStep::MoveLock,
        };
        let is_taken = match take(workspace, session, change) {
            Err(SyncError::Remote(e)) if e.is_rejection() => {
                let (reason, now) = (e.in_one_line(), workspace.ctx.clock.now());
                workspace.leases.record_refused(session)?;
                workspace.remote_rules.record(step, &reason, now);
                return Ok(AcquireOutcome::NoLocks { reason });
            }
            taken => taken?,
        };
        if is_taken && let Some(lease) = workspace.leases.active(session) {
            return Ok(AcquireOutcome::Acquired(Box::new(lease.clone())));
        }
        fetched = FetchedLocks::fetch(workspace)?;
        // The push arrived, but its answer was lost.
        if let Some(lease) = workspace
            .leases
            .active(session)
            .filter(|lease| is_held_here(lease))
        {
            return Ok(AcquireOutcome::Acquired(Box::new(lease.clone())));
        }
    }
    Err(contended(session))
}

pub(crate) fn contended(session: &SessionId) -> SyncError {
    LeaseError::Contended {
        session: session.clone(),
        attempts: ATTEMPTS,
    }
    .into()
}

fn is_held_here(lease: &Lease) -> bool {
    lease.lock.pending.is_none() && lease.holder == Holder::this_process()
}

/// Returns the permitted change; `None` if another holder is in the way.
fn change(
    workspace: &Workspace<'_>,
    session: &SessionId,
    view: Option<&LockView>,
    take_over: TakeOver,
) -> Option<LockChange> {
    let (me, stamp) = (
        observer(workspace, workspace.leases.active(session)),
        Stamp::new(workspace.ctx.clock.now()),
    );
    match view {
        None => state::acquire(session, None, &me, take_over, stamp).ok(),
        // `lock::state` does not know the processes of this machine.
        Some(view) if view.is_held_by_other_process() && take_over < TakeOver::Live => None,
        Some(LockView {
            content: LockContent::Lock { seen, .. },
            ..
        }) => state::acquire(session, Some(seen), &me, take_over, stamp).ok(),
        Some(LockView {
            commit,
            content: LockContent::Unreadable { .. },
            ..
        }) => (take_over == TakeOver::Live)
            .then(|| state::replace_unreadable(session, commit, &me, stamp)),
    }
}

/// Saves the lease, then pushes `change`. Returns false if another machine was faster.
fn take(
    workspace: &mut Workspace<'_>,
    session: &SessionId,
    change: LockChange,
) -> Result<bool, SyncError> {
    let record = change.new.expect("an acquired lock has a record");
    let commit = write_lock_commit(&workspace.store, &workspace.author(), &record)?;
    let held = match workspace.leases.active(session) {
        // Keeps the former lock until the answer arrives.
        Some(former) => {
            let mut held = former.lock.clone();
            held.begin_renewal(commit.clone(), record);
            held
        }
        None => HeldLock::new_unconfirmed(commit.clone(), record),
    };
    let former = workspace.leases.get(session).cloned();
    workspace
        .leases
        .begin(Lease::for_this_process(session.clone(), held))?;
    let done = push(
        workspace,
        session,
        update(session, change.expected.as_ref(), Some(commit)),
    )?;
    if !done {
        workspace.leases.restore_lost(former)?;
    }
    Ok(done)
}

/// Pushes an unanswered change again if it has not arrived by the last fetch. Returns
/// true if there was one.
pub(crate) fn resend(
    workspace: &mut Workspace<'_>,
    session: &SessionId,
) -> Result<bool, SyncError> {
    let Some(mut lease) = workspace.leases.active(session).cloned() else {
        return Ok(false);
    };
    let new = match lease.lock.pending.clone() {
        // The commit may be missing: the store may have been lost.
        Some(PendingChange::Renew { record, .. }) => {
            let commit = write_lock_commit(&workspace.store, &workspace.author(), &record)?;
            lease.lock.begin_renewal(commit.clone(), record);
            Some(commit)
        }
        Some(PendingChange::Release) => None,
        Some(PendingChange::Acquire) | None => return Ok(false),
    };
    let again = update(session, Some(&lease.lock.commit), new);
    workspace.leases.begin(lease)?;
    match push(workspace, session, again) {
        Err(SyncError::Remote(e)) if e.is_rejection() => {
            workspace.leases.record_refused(session)?;
        }
        pushed => drop(pushed?),
    }
    Ok(true)
}
