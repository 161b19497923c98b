//! Taking a lock and keeping it.

use super::{ATTEMPTS, Book, Content, LockView, claims_directory, me, push, update, view::permits, write};
use crate::domain::id::SessionId;
use crate::lock::claim::{Claim, Holder};
use crate::lock::record::Stamp;
use crate::lock::state::{self, Change, Holding, Pending, Settlement, TakeOver};
use crate::sync::work::Work;
use crate::sync::{Context, SyncError};
use crate::transport::remote::RefUpdate;

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
/// [`SyncError::Remote`] if the remote cannot be reached; whether the lock was taken is then settled by the next command.
/// [`SyncError::Contended`] if others took it and gave it back all the time.
pub fn acquire(ctx: &Context<'_>, session: &SessionId, take_over: TakeOver) -> Result<Acquired, SyncError> {
    acquire_in(&mut Work::open(ctx)?, session, take_over)
}

/// As [`acquire`], for who has opened everything already.
pub(in crate::sync) fn acquire_in(
    work: &mut Work<'_>,
    session: &SessionId,
    take_over: TakeOver,
) -> Result<Acquired, SyncError> {
    let mut book = Book::fetch(work)?;
    let asked_of = book.view(work, session)?;
    for _ in 0..ATTEMPTS {
        if resend(work, &book, session)? {
            book = Book::fetch(work)?;
        }
        let view = book.view(work, session)?;
        let permitted = permits(take_over, asked_of.as_ref(), view.as_ref());
        let Some(change) = change(work, &book, session, view.as_ref(), permitted) else {
            return view.map(Acquired::HeldBy).ok_or_else(|| contended(session));
        };
        if let Some(claim) = take(work, book.claims.get(session), session, change)? {
            return Ok(Acquired::Yes(Box::new(claim)));
        }
        book = Book::fetch(work)?;
        // Where the answer of a push was lost, not the push.
        if let Some(claim) = book.claim(session).filter(|claim| is_held_here(claim)) {
            return Ok(Acquired::Yes(Box::new(claim.clone())));
        }
    }
    Err(contended(session))
}

pub(super) fn contended(session: &SessionId) -> SyncError {
    SyncError::Contended { session: session.clone(), attempts: ATTEMPTS }
}

fn is_held_here(claim: &Claim) -> bool {
    claim.holding.pending.is_none() && claim.holder == Holder::this_process()
}

/// The change that is permitted; `None` if somebody stands in its way.
fn change(
    work: &Work<'_>,
    book: &Book,
    session: &SessionId,
    view: Option<&LockView>,
    take_over: TakeOver,
) -> Option<Change> {
    let (me, stamp) = (me(work, book.claim(session)), Stamp::new(work.ctx.clock.now()));
    match view {
        None => state::acquire(session, None, &me, take_over, stamp).ok(),
        // The state machine knows machines; of their processes only this machine knows.
        Some(view) if view.is_held_by_neighbour() && take_over < TakeOver::Live => None,
        Some(LockView { content: Content::Lock { seen, .. }, .. }) => {
            state::acquire(session, Some(seen), &me, take_over, stamp).ok()
        }
        Some(LockView { commit, content: Content::Unreadable { .. }, .. }) => {
            (take_over == TakeOver::Live).then(|| state::replace_unreadable(session, commit, &me, stamp))
        }
    }
}

/// Writes down what is asked for, and asks. `None`: somebody was faster.
fn take(
    work: &Work<'_>,
    former: Option<&Claim>,
    session: &SessionId,
    change: Change,
) -> Result<Option<Claim>, SyncError> {
    let record = change.new.expect("whoever acquires leaves a lock");
    let commit = write(work, &record)?;
    let holding = match former.filter(|former| !former.lost) {
        // Until the answer comes, the former lock of this machine is not forgotten.
        Some(former) => {
            let mut holding = former.holding.clone();
            holding.renewing(commit.clone(), record);
            holding
        }
        None => Holding::acquiring(commit.clone(), record),
    };
    let mut claim = Claim::of_this_process(session.clone(), holding);
    claim.save(&claims_directory(work.ctx.env))?;
    if !push(work, session, update(session, change.expected.as_ref(), Some(commit)))? {
        // That a lock was lost is not forgotten before this machine's turns are safe.
        former.filter(|former| former.lost).map_or(Ok(()), |lost| lost.save(&claims_directory(work.ctx.env)))?;
        return Ok(None);
    }
    renewed(work, &mut claim)?;
    Ok(Some(claim))
}

/// Sends again what was sent and, as far as was fetched, has not arrived. Gives whether there was such.
pub(super) fn resend(work: &Work<'_>, book: &Book, session: &SessionId) -> Result<bool, SyncError> {
    let Some(holding) = book.claim(session).map(|claim| &claim.holding) else { return Ok(false) };
    let new = match &holding.pending {
        Some(Pending::Renew { commit, .. }) => Some(commit.clone()),
        Some(Pending::Release) => None,
        Some(Pending::Acquire) | None => return Ok(false),
    };
    push(work, session, update(session, Some(&holding.commit), new))?;
    Ok(true)
}

/// Gives a sign of life for a session that this machine holds.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached: the lock is this machine's for as long as nobody takes it over.
pub fn renew(ctx: &Context<'_>, session: &SessionId) -> Result<Settlement, SyncError> {
    let mut work = Work::open(ctx)?;
    // A claim that cannot be read is none: its lock expires.
    match Claim::load(&claims_directory(ctx.env), session).ok().flatten() {
        Some(mut claim) if !claim.lost => renew_in(&mut work, &mut claim),
        _ => Ok(Settlement::Lost),
    }
}

/// As [`renew`], for who has opened everything already. `claim` is then as it is on the disk.
pub(in crate::sync) fn renew_in(work: &mut Work<'_>, claim: &mut Claim) -> Result<Settlement, SyncError> {
    if let Some(renewal) = renewal(work, claim)?
        && push(work, &claim.session, renewal)?
    {
        renewed(work, claim)?;
        return Ok(Settlement::Held);
    }
    settle(work, claim)
}

/// What is to be pushed, together with the session or alone, to renew a lock; it is written down before it is returned. `None`: the
/// lock is not known to be held, or is being given back; [`settle`] tells.
pub(in crate::sync) fn renewal(work: &Work<'_>, claim: &mut Claim) -> Result<Option<RefUpdate>, SyncError> {
    let Some(change) = claim.holding.renewal(Stamp::new(work.ctx.clock.now())) else { return Ok(None) };
    let record = change.new.expect("whoever renews leaves a lock");
    let commit = write(work, &record)?;
    claim.holding.renewing(commit.clone(), record);
    claim.save(&claims_directory(work.ctx.env))?;
    Ok(Some(update(&claim.session, change.expected.as_ref(), Some(commit))))
}

/// The remote has taken the [`renewal`].
pub(in crate::sync) fn renewed(work: &Work<'_>, claim: &mut Claim) -> Result<(), SyncError> {
    claim.holding.done();
    claim.save(&claims_directory(work.ctx.env))?;
    Ok(work.store.set_lock(&claim.session, Some(&claim.holding.commit))?)
}

/// After a push that was refused or not answered: asks the remote whose the lock is.
pub(in crate::sync) fn settle(work: &mut Work<'_>, claim: &mut Claim) -> Result<Settlement, SyncError> {
    let book = Book::fetch(work)?;
    match book.claims.get(&claim.session) {
        Some(settled) => *claim = settled.clone(),
        None => claim.lost = true,
    }
    Ok(match claim {
        Claim { lost: true, .. } => Settlement::Lost,
        Claim { holding: Holding { pending: Some(_), .. }, .. } => Settlement::Unanswered,
        _ => Settlement::Held,
    })
}
