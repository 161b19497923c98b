//! Sessions that another machine continues: it holds their lock, and this machine does not. A push
//! leaves them to it.

use std::collections::BTreeSet;

use crate::domain::id::SessionId;
use crate::flows::merge::unpushed_sessions;
use crate::lock::{state::LockStatus, state::lock_status};
use crate::report::{transfer::Outcome, transfer::Report};
use crate::store::Snapshot;
use crate::workspace::{
    error::SyncError, fetched_locks::FetchedLocks, fetched_locks::observer,
    fetched_locks::read_lock, open::Workspace, read_only::machine_names,
};

/// Number of sessions from which listing all of them is faster than looking each up.
const MAX_LOOKUPS: usize = 16;

/// Returns those of the `changed` and unsent sessions that another machine may continue: they are
/// on the remote, and this machine has no lease.
pub(super) fn sessions_at_risk(
    workspace: &Workspace<'_>,
    changed: &BTreeSet<SessionId>,
) -> Result<BTreeSet<SessionId>, SyncError> {
    let store = &workspace.store;
    let remote_head = store.remote_head()?;
    if changed.is_empty() && store.head()? == remote_head {
        return Ok(BTreeSet::new());
    }
    let mut at_risk = unpushed_sessions(store)?;
    at_risk.extend(changed.iter().cloned());
    at_risk.retain(|session| workspace.leases.get(session).is_none());
    let there = store.snapshot(remote_head.as_ref())?;
    if at_risk.is_empty() || there.machines()?.len() < 2 {
        return Ok(BTreeSet::new());
    }
    on_remote(&there, at_risk)
}

/// The locks of other machines on sessions that a push is about to change.
#[derive(Default)]
pub(super) struct ForeignLocks {
    /// True if another machine continues one of the sessions.
    pub(super) any_held: bool,
    /// Warnings about unreadable locks, which keep no session from being pushed.
    pub(super) warnings: Vec<String>,
}

/// Records which of these sessions another machine continues, by the locks as just fetched.
pub(super) fn record_foreign_locks(
    workspace: &mut Workspace<'_>,
    at_risk: &BTreeSet<SessionId>,
) -> Result<ForeignLocks, SyncError> {
    let mut found = ForeignLocks::default();
    if at_risk.is_empty() {
        return Ok(found);
    }
    let fetched = FetchedLocks::read(workspace)?;
    let now = workspace.ctx.clock.now();
    for session in at_risk {
        let Some(commit) = fetched.remote.get(session) else {
            continue;
        };
        let record = match read_lock(workspace, session, commit)? {
            Ok(record) => record,
            Err(reason) => {
                found.warnings.push(format!(
                    "cannot read the lock of {session}: {reason}; see `ccsync lock show`"
                ));
                continue;
            }
        };
        let is_own = record.machine == workspace.machine.id;
        let seen = fetched.observed(workspace, commit, record);
        let status = lock_status(Some(&seen), now, &observer(workspace, None));
        if !is_own && matches!(status, LockStatus::Held { .. }) {
            workspace.leases.record_foreign(session.clone(), seen);
            found.any_held = true;
        }
    }
    Ok(found)
}

/// Returns those of `sessions` that the remote has.
fn on_remote(
    there: &Snapshot<'_>,
    mut sessions: BTreeSet<SessionId>,
) -> Result<BTreeSet<SessionId>, SyncError> {
    if sessions.len() > MAX_LOOKUPS {
        let all = there.sessions()?;
        sessions.retain(|session| all.contains_key(session));
        return Ok(sessions);
    }
    let mut known = BTreeSet::new();
    for session in sessions {
        if there.state(&session)?.is_some() {
            known.insert(session);
        }
    }
    Ok(known)
}

/// Remembers the sessions whose turns became a fork because another machine holds the lock: until a
/// pull, the files here have these turns, too.
pub(super) fn keep_foreign_locks(
    workspace: &mut Workspace<'_>,
    report: &Report,
) -> Result<(), SyncError> {
    for session in &report.sessions {
        if matches!(session.outcome, Outcome::Forked { .. }) {
            workspace.leases.keep_foreign(&session.session)?;
        }
    }
    Ok(())
}

/// Warns of the forks that other machines made of the sessions that this machine `held`.
pub(super) fn add_fork_notes(
    report: &mut Report,
    workspace: &Workspace<'_>,
    held: &BTreeSet<SessionId>,
    before: &Snapshot<'_>,
) -> Result<(), SyncError> {
    let names = machine_names(workspace.ctx, Some(before))?;
    let now = workspace.store.head_snapshot()?;
    for id in now.changed_since(before)? {
        if before.state(&id)?.is_some() {
            continue;
        }
        let Ok(Some(manifest)) = now.manifest(&id) else {
            continue;
        };
        let Some(writer) = manifest
            .last_writer()
            .filter(|id| **id != workspace.machine.id)
        else {
            continue;
        };
        let parent = manifest.fork_of.as_ref().map(|fork| &fork.session);
        let Some(held) = parent.filter(|session| held.contains(session)) else {
            continue;
        };
        let writer = names.get(writer).map_or("another machine", String::as_str);
        report.warnings.push(format!(
            "{writer} continued {held} without its lock; what it added is a fork: {id}"
        ));
    }
    Ok(())
}
