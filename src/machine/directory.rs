//! Lists, renames and forgets the machines of a store.
//!
//! Each machine writes its own file; another one can only remove it. The sessions of a
//! forgotten machine stay, because they carry their placeholders.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::config::SettingKey;
use crate::domain::{MachineId, SessionId, System, error::error_chain};
use crate::flows::{FetchMode, RemoteSync};
use crate::leasing::{LockView, lock_table::fetched_lock_table, release, release::ReleaseOutcome};
use crate::lock::TakeOver;
use crate::machine::{error::MachineError, names::taken_names, set_path::change_here};
use crate::report::RemoteState;
use crate::session::time::parse_time;
use crate::store::machine::Machine;
use crate::workspace::{
    Context, SyncError, Workspace, lookup::find_machine, read_only::present_machine_names,
};

/// A machine, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRow {
    /// Its id.
    pub id: MachineId,
    /// Its name, not sanitized.
    pub name: String,
    /// Its system.
    pub system: System,
    /// Its last version of ccsync, not sanitized.
    pub ccsync: String,
    /// Time of its last push.
    pub last_push: Option<DateTime<Utc>>,
    /// Number of sessions whose last line it wrote.
    pub sessions: u64,
    /// Sessions that it has locked.
    pub locks: Vec<SessionId>,
    /// True for this machine.
    pub is_this: bool,
}

/// All machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machines {
    /// This one first, then the one that pushed last.
    pub machines: Vec<MachineRow>,
    /// Errors of unreadable machine files, not sanitized.
    pub unreadable: Vec<String>,
    /// Reason why the remote was not reached; then the list is as of the last contact.
    pub remote_error: Option<String>,
}

/// A machine that can be forgotten.
#[derive(Debug, Clone)]
pub struct Forgotten {
    /// The machine.
    pub machine: MachineRow,
    /// Its locks.
    pub locks: Vec<LockView>,
    /// State of the remote.
    pub remote: RemoteState,
}

/// Lists all machines of the store.
///
/// # Errors
/// Errors of the whole command. An unreachable remote is not an error.
pub fn machines(ctx: &Context<'_>) -> Result<Machines, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    let fetched = RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::SessionsAndLocks)?;
    let snapshot = workspace.store.head_snapshot()?;
    let machines = snapshot.machines()?;
    let bad = snapshot.unreadable_machines()?;
    let locks = locks(&workspace)?;
    let mut machines = rows(&workspace, &machines, &locks)?;
    machines
        .sort_by(|a, b| (b.is_this, b.last_push, &a.name).cmp(&(a.is_this, a.last_push, &b.name)));
    Ok(Machines {
        machines,
        unreadable: bad.iter().map(|e| error_chain(e)).collect(),
        remote_error: fetched.unreached,
    })
}

/// Renames this machine. `machine`, if given, must be this one.
///
/// # Errors
/// [`MachineError`], and if `name` is invalid.
pub fn rename_machine(
    ctx: &Context<'_>,
    machine: Option<&str>,
    name: &str,
) -> Result<RemoteState, SyncError> {
    {
        let mut workspace = Workspace::open(ctx)?;
        // Offline, the names of the last fetch count.
        RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::Sessions)?;
        let found = machine
            .map(|machine| named(&workspace, machine))
            .transpose()?;
        if let Some(other) = found.filter(|found| found.id != workspace.machine.id) {
            return Err(MachineError::NotThisMachine { name: other.name }.into());
        }
        if taken_names(&workspace.store, &workspace.machine.id)?.contains(&name.to_lowercase()) {
            return Err(MachineError::NameTaken {
                name: name.to_owned(),
            }
            .into());
        }
    }
    change_here(ctx, |config| config.set(SettingKey::Name, name))
}

/// Finds a machine by name or id prefix, with its locks.
///
/// # Errors
/// [`MachineError::ThisMachine`]; an unknown machine; an unreachable remote.
pub fn machine_to_forget(ctx: &Context<'_>, machine: &str) -> Result<Forgotten, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch(FetchMode::SessionsAndLocks)?;
    let found = named(&workspace, machine)?;
    if found.id == workspace.machine.id {
        return Err(MachineError::ThisMachine { name: found.name }.into());
    }
    let mut locks = locks(&workspace)?;
    let locks = locks.remove(&found.id).unwrap_or_default();
    let by_machine = BTreeMap::from([(found.id.clone(), locks.clone())]);
    let row = rows(&workspace, &[found], &by_machine)?.pop();
    let machine = row.expect("a row for the one machine");
    Ok(Forgotten {
        machine,
        locks,
        remote: RemoteState::NotContacted,
    })
}

/// Forgets a machine that [`machine_to_forget`] found, and releases its locks.
///
/// If the machine is still in use, its next push registers it again.
///
/// # Errors
/// [`MachineError::Busy`] if it holds a lock that has not expired, unless `force`; then
/// nothing is forgotten.
pub fn forget_machine(
    ctx: &Context<'_>,
    asked: Forgotten,
    force: bool,
) -> Result<Forgotten, SyncError> {
    let take_over = if force {
        TakeOver::Live
    } else {
        TakeOver::Expired
    };
    let at_work = |locks| MachineError::Busy {
        name: asked.machine.name.clone(),
        locks,
    };
    let live = asked.locks.iter().filter(|lock| lock.is_live()).count();
    if live > 0 && !force {
        return Err(at_work(live).into());
    }
    let released = if asked.locks.is_empty() {
        Vec::new()
    } else {
        release::release(ctx, &asked.locks, take_over)?
    };
    let kept = released
        .iter()
        .filter(|one| matches!(one, ReleaseOutcome::HeldBy(_)))
        .count();
    if kept > 0 {
        return Err(at_work(kept).into());
    }
    let remote = take_from_list(ctx, &asked.machine.id)?;
    Ok(Forgotten { remote, ..asked })
}

fn take_from_list(ctx: &Context<'_>, id: &MachineId) -> Result<RemoteState, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch(FetchMode::Sessions)?;
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    if let Some(machine) = tx.base().machine(id)? {
        tx.forget_machine(&machine)?;
        tx.commit(
            &workspace.author(),
            &format!("forget machine {}", machine.name),
            head.as_slice(),
        )?;
    }
    Ok(RemoteSync::new(&mut workspace).push_remaining()?.state)
}

/// Returns the machine that `name` means.
fn named(workspace: &Workspace<'_>, name: &str) -> Result<Machine, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let names = present_machine_names(workspace.ctx, Some(&snapshot))?;
    let id = find_machine(name, &names, &workspace.machine.id)?;
    Ok(snapshot
        .machine(&id)?
        .unwrap_or_else(|| workspace.machine.clone()))
}

fn rows(
    workspace: &Workspace<'_>,
    machines: &[Machine],
    locks: &BTreeMap<MachineId, Vec<LockView>>,
) -> Result<Vec<MachineRow>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let mut sessions: BTreeMap<MachineId, u64> = BTreeMap::new();
    for session in snapshot.sessions()?.keys() {
        if let Some(writer) = snapshot
            .manifest(session)
            .ok()
            .flatten()
            .and_then(|m| m.last_writer().cloned())
        {
            *sessions.entry(writer).or_default() += 1;
        }
    }
    let row = |machine: &Machine| MachineRow {
        id: machine.id.clone(),
        name: machine.name.clone(),
        system: machine.placeholders.system,
        ccsync: machine.ccsync.clone(),
        last_push: machine.last_push.as_deref().and_then(parse_time),
        sessions: sessions.get(&machine.id).copied().unwrap_or_default(),
        locks: locks
            .get(&machine.id)
            .into_iter()
            .flatten()
            .map(|lock| lock.session.clone())
            .collect(),
        is_this: machine.id == workspace.machine.id,
    };
    Ok(machines.iter().map(row).collect())
}

/// Returns the readable locks of the last fetch, by machine.
fn locks(workspace: &Workspace<'_>) -> Result<BTreeMap<MachineId, Vec<LockView>>, SyncError> {
    let mut held: BTreeMap<MachineId, Vec<LockView>> = BTreeMap::new();
    for lock in fetched_lock_table(workspace)?.locks {
        if let Some(machine) = lock.record().map(|record| record.machine.clone()) {
            held.entry(machine).or_default().push(lock);
        }
    }
    Ok(held)
}
