//! One push to the remote: the data and the locks that guard it together, or in turn if the remote
//! refuses that.
//!
//! A lock is a courtesy. A remote whose rules forbid a change of a lock, or that cannot change
//! several branches at once, costs the lock, never the push.

use std::collections::BTreeMap;

use crate::domain::{CommitId, id::SessionId};
use crate::remote::Remote;
use crate::store::{BRANCH, CommitForm, lock_ref};
use crate::transport::{PushOutcome, remote::RefUpdate, remote::RemoteError};
use crate::workspace::{RemoteStep, error::SyncError, open::Workspace};

/// Words of a server that checks who made a commit.
const AUTHOR_WORDS: [&str; 4] = ["committer", "author", "e-mail", "email"];

/// Pushes updates: that of the data, and those of the locks that the leases have prepared.
pub(crate) fn send(
    workspace: &mut Workspace<'_>,
    remote: &Remote,
    updates: &[RefUpdate],
) -> Result<PushOutcome, SyncError> {
    let has_locks = updates.iter().any(|update| !is_data(update));
    if updates.len() > 1 && workspace.remote_rules.refuses(RemoteStep::Together) {
        return in_turn(workspace, remote, updates).map(|(outcome, _)| outcome);
    }
    match remote.push(updates) {
        Err(e) if e.is_rejection() && has_locks => {
            let (outcome, are_all_accepted) = in_turn(workspace, remote, updates)?;
            if are_all_accepted && updates.len() > 1 {
                record(workspace, RemoteStep::Together, &e.in_one_line());
            }
            Ok(outcome)
        }
        Ok(PushOutcome::Done) => {
            record_data(workspace, updates)?;
            workspace.leases.record_sent(&workspace.store)?;
            Ok(PushOutcome::Done)
        }
        outcome => Ok(outcome?),
    }
}

/// Pushes the renewals, the data, and the releases, each alone. A lock whose change is refused is
/// given up. Also returns true if everything was accepted.
fn in_turn(
    workspace: &mut Workspace<'_>,
    remote: &Remote,
    updates: &[RefUpdate],
) -> Result<(PushOutcome, bool), SyncError> {
    let sent = workspace.leases.take_sent();
    let mut locks: Vec<(&SessionId, &RefUpdate)> = Vec::new();
    for session in &sent {
        let of_session = updates.iter().find(|u| u.name == lock_ref(session));
        locks.extend(of_session.map(|update| (session, update)));
    }
    let (releases, renewals): (Vec<_>, Vec<_>) =
        locks.into_iter().partition(|(session, update)| {
            update.new.is_none() || workspace.leases.is_releasing(session)
        });

    let mut refusals = Vec::new();
    for (session, update) in renewals {
        match change_lock(workspace, remote, session, update)? {
            LockAnswer::Done => {}
            LockAnswer::Moved(outcome) => return Ok((outcome, false)),
            LockAnswer::Refused(step, reason) => refusals.push((step, reason)),
        }
    }
    for update in updates.iter().filter(|update| is_data(update)) {
        // Rules that also refuse the data say nothing about locks.
        let outcome = remote.push(std::slice::from_ref(update))?;
        if outcome != PushOutcome::Done {
            return Ok((outcome, false));
        }
        record_data(workspace, std::slice::from_ref(update))?;
    }
    for (session, update) in releases {
        match change_lock(workspace, remote, session, update)? {
            LockAnswer::Done => {}
            LockAnswer::Moved(outcome) => return Ok((outcome, false)),
            LockAnswer::Refused(step, reason) => refusals.push((step, reason)),
        }
    }
    for (step, reason) in &refusals {
        record(workspace, *step, reason);
    }
    Ok((PushOutcome::Done, refusals.is_empty()))
}

/// Answer to the change of one lock.
enum LockAnswer {
    Done,
    /// Another machine has changed it.
    Moved(PushOutcome),
    /// A rule forbids the step.
    Refused(RemoteStep, String),
}

fn change_lock(
    workspace: &mut Workspace<'_>,
    remote: &Remote,
    session: &SessionId,
    update: &RefUpdate,
) -> Result<LockAnswer, SyncError> {
    match remote.push(std::slice::from_ref(update)) {
        Ok(PushOutcome::Done) => {
            let store = &workspace.store;
            workspace.leases.record_one_sent(store, session)?;
            Ok(LockAnswer::Done)
        }
        Ok(outcome) => Ok(LockAnswer::Moved(outcome)),
        Err(e) if e.is_rejection() => {
            workspace.leases.record_refused(session)?;
            Ok(LockAnswer::Refused(step_of(update), e.in_one_line()))
        }
        Err(e) => Err(e.into()),
    }
}

/// Returns the step that an update of a lock is.
pub(crate) fn step_of(update: &RefUpdate) -> RemoteStep {
    match (&update.expected, &update.new) {
        (_, None) => RemoteStep::DeleteLock,
        (None, _) => RemoteStep::CreateLock,
        _ => RemoteStep::MoveLock,
    }
}

fn record(workspace: &mut Workspace<'_>, step: RemoteStep, reason: &str) {
    let now = workspace.ctx.clock.now();
    workspace.remote_rules.record(step, reason, now);
}

fn is_data(update: &RefUpdate) -> bool {
    update.name.strip_prefix("refs/heads/") == Some(BRANCH)
}

fn record_data(workspace: &Workspace<'_>, updates: &[RefUpdate]) -> Result<(), SyncError> {
    for update in updates.iter().filter(|update| is_data(update)) {
        workspace.store.set_remote_head(update.new.as_ref())?;
    }
    Ok(())
}

/// Gives unpushed commits the form that the user and the remote demand. Returns true if one had
/// another.
pub(crate) fn restack(workspace: &mut Workspace<'_>, linear: bool) -> Result<bool, SyncError> {
    let author = workspace.ctx.settings.author.as_ref();
    let form = CommitForm { author, linear };
    let store = &workspace.store;
    if author.is_none() && !linear || !store.must_restack(form)? {
        return Ok(false);
    }
    let new_commits = store.restack(form)?;
    follow_new_commits(workspace, &new_commits)?;
    Ok(true)
}

/// Makes one commit of all that the remote does not have: it is sent without the states in between.
pub(crate) fn squash_unsent(workspace: &mut Workspace<'_>) -> Result<(), SyncError> {
    let author = workspace.ctx.settings.author.as_ref();
    let new_commits = workspace.store.squash_unsent(author)?;
    follow_new_commits(workspace, &new_commits)
}

/// Lets milestones name the new commits.
pub(crate) fn follow_new_commits(
    workspace: &mut Workspace<'_>,
    new_commits: &BTreeMap<CommitId, CommitId>,
) -> Result<(), SyncError> {
    let store = &workspace.store;
    let mut tx = store.begin(store.head()?.as_ref())?;
    let mut milestones = store.head_snapshot()?.milestones()?;
    milestones.retain(|milestone| new_commits.contains_key(&milestone.commit));
    for mut milestone in milestones {
        milestone.commit = new_commits[&milestone.commit].clone();
        tx.write_milestone(&milestone)?;
    }
    if !tx.is_empty() {
        let head = store.head()?;
        tx.commit(&workspace.author(), "milestones", head.as_slice())?;
    }
    Ok(workspace.records.index.follow(&workspace.store)?)
}

/// Returns the command that names the author of commits, if the remote refused them because of
/// theirs.
pub(crate) fn author_advice(workspace: &Workspace<'_>, reason: &str) -> Option<String> {
    let reason = reason.to_lowercase();
    if !AUTHOR_WORDS.iter().any(|word| reason.contains(word)) {
        return None;
    }
    let author = workspace.store.users_author();
    let author = author.map_or("Al <al@example.com>".to_owned(), |author| {
        author.to_string()
    });
    Some(format!(
        "the remote checks who makes commits: name yourself with `ccsync config set author '{author}'`"
    ))
}

/// Returns the rejection, if the remote refused data because of its rules.
pub(crate) fn rejection(error: &SyncError) -> Option<&RemoteError> {
    match error {
        SyncError::Remote(e) if e.is_rejection() => Some(e),
        _ => None,
    }
}
