//! Taking a lock.

use crate::domain::id::SessionId;
use crate::leasing::error::LeaseError;
use crate::leasing::lock_table::{ATTEMPTS, FetchedLocks, me, push, update};
use crate::leasing::view::{Content, LockView, allowed_take_over};
use crate::lock::claim::{Claim, Holder};
use crate::lock::record::Stamp;
use crate::lock::state;
use crate::lock::state::{Change, Holding, Pending, TakeOver};
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::leases::write;
use crate::workspace::open::Workspace;

/// The answer to who asks for a lock.
#[derive(Debug)]
pub enum Acquired {
    /// This process holds it.
    Yes(Box<Claim>),
    /// Somebody else does, also another process of this machine; or what lies there cannot be read.
    HeldBy(LockView),
}

/// Takes the lock of a session.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached; whether the lock was taken is
/// then settled by the next command. [`LeaseError::Contended`] if others took it and gave
/// it back all the time.
pub fn acquire(
    ctx: &Context<'_>,
    session: &SessionId,
    take_over: TakeOver,
) -> Result<Acquired, SyncError> {
    acquire_in(&mut Workspace::open(ctx)?, session, take_over, None)
}

/// Takes over the lock that a person was asked about. If it is another holder's by now,
/// that one is spared.
///
/// # Errors
/// As for [`acquire`].
pub fn take_over(ctx: &Context<'_>, asked_of: &LockView) -> Result<Acquired, SyncError> {
    acquire_in(
        &mut Workspace::open(ctx)?,
        &asked_of.session,
        TakeOver::Live,
        Some(asked_of),
    )
}

fn acquire_in(
    workspace: &mut Workspace<'_>,
    session: &SessionId,
    take_over: TakeOver,
    asked_of: Option<&LockView>,
) -> Result<Acquired, SyncError> {
    let mut book = FetchedLocks::fetch(workspace)?;
    let asked_of = match asked_of {
        Some(lock) => Some(lock.clone()),
        None => book.view(workspace, session)?,
    };
    for _ in 0..ATTEMPTS {
        if resend(workspace, session)? {
            book = FetchedLocks::fetch(workspace)?;
        }
        let view = book.view(workspace, session)?;
        let permitted = allowed_take_over(take_over, asked_of.as_ref(), view.as_ref());
        let Some(change) = change(workspace, session, view.as_ref(), permitted) else {
            return view.map(Acquired::HeldBy).ok_or_else(|| contended(session));
        };
        if take(workspace, session, change)?
            && let Some(claim) = workspace.leases.claim(session)
        {
            return Ok(Acquired::Yes(Box::new(claim.clone())));
        }
        book = FetchedLocks::fetch(workspace)?;
        // Where the answer of a push was lost, not the push.
        if let Some(claim) = workspace
            .leases
            .claim(session)
            .filter(|claim| is_held_here(claim))
        {
            return Ok(Acquired::Yes(Box::new(claim.clone())));
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

fn is_held_here(claim: &Claim) -> bool {
    claim.holding.pending.is_none() && claim.holder == Holder::this_process()
}

/// The change that is permitted; `None` if somebody stands in its way.
fn change(
    workspace: &Workspace<'_>,
    session: &SessionId,
    view: Option<&LockView>,
    take_over: TakeOver,
) -> Option<Change> {
    let (me, stamp) = (
        me(workspace, workspace.leases.claim(session)),
        Stamp::new(workspace.ctx.clock.now()),
    );
    match view {
        None => state::acquire(session, None, &me, take_over, stamp).ok(),
        // The state machine knows machines; of their processes only this machine knows.
        Some(view) if view.is_held_by_other_process() && take_over < TakeOver::Live => None,
        Some(LockView {
            content: Content::Lock { seen, .. },
            ..
        }) => state::acquire(session, Some(seen), &me, take_over, stamp).ok(),
        Some(LockView {
            commit,
            content: Content::Unreadable { .. },
            ..
        }) => (take_over == TakeOver::Live)
            .then(|| state::replace_unreadable(session, commit, &me, stamp)),
    }
}

/// Writes down what is asked for, and asks. `false`: somebody was faster.
fn take(
    workspace: &mut Workspace<'_>,
    session: &SessionId,
    change: Change,
) -> Result<bool, SyncError> {
    let record = change.new.expect("whoever acquires leaves a lock");
    let commit = write(&workspace.store, &workspace.machine, &record)?;
    let holding = match workspace.leases.claim(session) {
        // Until the answer comes, the former lock of this machine is not forgotten.
        Some(former) => {
            let mut holding = former.holding.clone();
            holding.renewing(commit.clone(), record);
            holding
        }
        None => Holding::acquiring(commit.clone(), record),
    };
    let former = workspace.leases.any_claim(session).cloned();
    workspace
        .leases
        .begin(Claim::of_this_process(session.clone(), holding))?;
    let done = push(
        workspace,
        session,
        update(session, change.expected.as_ref(), Some(commit)),
    )?;
    if !done {
        workspace.leases.rejected(former)?;
    }
    Ok(done)
}

/// Sends again what was sent and, as far as was fetched, has not arrived. Gives whether
/// there was such.
pub(crate) fn resend(
    workspace: &mut Workspace<'_>,
    session: &SessionId,
) -> Result<bool, SyncError> {
    let Some(mut claim) = workspace.leases.claim(session).cloned() else {
        return Ok(false);
    };
    let new = match claim.holding.pending.clone() {
        // Written again: the clone in which it was may be gone.
        Some(Pending::Renew { record, .. }) => {
            let commit = write(&workspace.store, &workspace.machine, &record)?;
            claim.holding.renewing(commit.clone(), record);
            Some(commit)
        }
        Some(Pending::Release) => None,
        Some(Pending::Acquire) | None => return Ok(false),
    };
    let again = update(session, Some(&claim.holding.commit), new);
    workspace.leases.begin(claim)?;
    push(workspace, session, again)?;
    Ok(true)
}
