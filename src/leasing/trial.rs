//! Finds out, once per remote, what its rules allow, before a session depends on a lock.

use crate::flows::{lock_trial::LockTrial, lock_trial::trial_session, remote_sync::RemoteSync};
use crate::workspace::{RemoteStep, context::Context, error::SyncError, open::Workspace};

/// Tries what a lock needs, if that is not known. Returns what will not work, in sentences.
///
/// # Errors
/// [`SyncError::Remote`] if the remote cannot be reached.
pub fn try_remote_once(ctx: &Context<'_>) -> Result<Vec<String>, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    // The repository on this disk has no rules.
    if workspace.remote_rules.were_tried() || ctx.settings.remote.is_none() {
        return Ok(Vec::new());
    }
    RemoteSync::new(&mut workspace).fetch_locks()?;
    let kept = workspace
        .store
        .locks()?
        .locks
        .remove(&trial_session(&workspace.machine));
    let trial = LockTrial {
        store: &workspace.store,
        remote: &workspace.remote()?,
        machine: &workspace.machine,
        author: ctx.settings.author.as_ref(),
        clock: ctx.clock,
        kept,
        thorough: false,
    };
    let result = trial.run()?;
    let rules = &mut workspace.remote_rules;
    for (step, reason) in &result.refused {
        rules.record(*step, reason, ctx.clock.now());
    }
    rules.record_trial();
    if rules.refusal_of_locks().is_some() {
        // Said for each session that goes on without a lock.
        return Ok(Vec::new());
    }
    Ok(result
        .refused
        .iter()
        .map(|(step, reason)| format!("{}: {reason}", consequence(*step)))
        .collect())
}

fn consequence(step: RemoteStep) -> &'static str {
    match step {
        RemoteStep::DeleteLock => {
            "the remote keeps the branches of locks; a released lock stays there, marked as free"
        }
        RemoteStep::MoveLock => {
            "the remote does not let a lock be renewed; after ten minutes it counts as expired"
        }
        RemoteStep::CreateLock | RemoteStep::Together | RemoteStep::Merge => {
            "the remote has no locks"
        }
    }
}
