//! The machines that use one store: who they are, what they are called, and forgetting one that is gone.
//!
//! Only a machine itself writes its file; another one can only take it away. Its sessions stay: they carry the roots they were written with.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::flows::remote_sync::{fetch, fetch_if_reached, push_remaining_refs};
use crate::leasing::lock_table::fetched_lock_table;
use crate::leasing::release;
use crate::leasing::release::Released;
use crate::leasing::view::LockView;
use crate::machine::set_path::change_here;
use crate::report::transfer::RemoteState;

use crate::config::Key;
use crate::domain::id::{MachineId, SessionId};
use crate::domain::placeholder::System;
use crate::lock::state::TakeOver;
use crate::session::facts::parse_time;
use crate::store::machine::Machine;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::message::in_words;
use crate::workspace::open::Workspace;

/// The longest name that leaves room for a number.
const LONGEST_BASE: usize = 56;

/// The shortest beginning of an id that stands for a machine.
const SHORTEST_ID: usize = 4;

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRow {
    /// Its id.
    pub id: MachineId,
    /// Its name; unsanitised.
    pub name: String,
    /// Its system.
    pub system: System,
    /// The version of ccsync that it used last; unsanitised.
    pub ccsync: String,
    /// When it last pushed.
    pub last_push: Option<DateTime<Utc>>,
    /// How many sessions it was the last to write.
    pub sessions: u64,
    /// The sessions whose locks it holds.
    pub locks: Vec<SessionId>,
    /// It is the one that asks.
    pub is_this: bool,
}

/// All machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machines {
    /// This one first, then the one that pushed last.
    pub machines: Vec<MachineRow>,
    /// What is wrong with files of machines that cannot be read; unsanitised.
    pub unreadable: Vec<String>,
    /// Why the remote could not be asked: then this is how it was when it last could.
    pub unreached: Option<String>,
}

/// A machine that may be forgotten.
#[derive(Debug, Clone)]
pub struct Forgotten {
    /// The machine.
    pub machine: MachineRow,
    /// The locks that it holds.
    pub locks: Vec<LockView>,
    /// What became of the remote.
    pub remote: RemoteState,
}

/// All machines that use the store.
///
/// # Errors
/// What concerns the whole command. A remote that cannot be reached is none.
pub fn machines(ctx: &Context<'_>) -> Result<Machines, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    workspace.with_locks = true;
    let (_, unreached) = fetch_if_reached(&mut workspace)?;
    let (machines, bad) = workspace.store.head_snapshot()?.machines()?;
    let locks = locks(&workspace)?;
    let mut machines = rows(&workspace, &machines, &locks)?;
    machines
        .sort_by(|a, b| (b.is_this, b.last_push, &a.name).cmp(&(a.is_this, a.last_push, &b.name)));
    Ok(Machines {
        machines,
        unreadable: bad.iter().map(|e| in_words(e)).collect(),
        unreached,
    })
}

/// Calls this machine `name`. `machine`, if given, has to be this one.
///
/// # Errors
/// [`SyncError::NotThisMachine`], [`SyncError::NameTaken`], and if `name` cannot be one.
pub fn rename_machine(
    ctx: &Context<'_>,
    machine: Option<&str>,
    name: &str,
) -> Result<RemoteState, SyncError> {
    {
        let mut workspace = Workspace::open(ctx)?;
        match fetch(&mut workspace) {
            // Then it is told apart by what was known last.
            Ok(_) | Err(SyncError::Remote(_)) => {}
            Err(e) => return Err(e),
        }
        let found = machine
            .map(|machine| named(&workspace, machine))
            .transpose()?;
        if let Some(other) = found.filter(|found| found.id != workspace.machine.id) {
            return Err(SyncError::NotThisMachine { name: other.name });
        }
        if taken(&workspace)?.contains(&name.to_lowercase()) {
            return Err(SyncError::NameTaken {
                name: name.to_owned(),
            });
        }
    }
    change_here(ctx, |config| config.set(Key::Name, name))
}

/// The machine that is called so, or whose id begins so, with what would go with it.
///
/// # Errors
/// [`SyncError::NoSuchMachine`], [`SyncError::ThisMachine`], and if the remote cannot be reached.
pub fn machine_to_forget(ctx: &Context<'_>, machine: &str) -> Result<Forgotten, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    workspace.with_locks = true;
    fetch(&mut workspace)?;
    let found = named(&workspace, machine)?;
    if found.id == workspace.machine.id {
        return Err(SyncError::ThisMachine { name: found.name });
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

/// Forgets a machine, of which [`machine_to_forget`] has told, and gives back its locks. If it is still there, it registers again when it
/// pushes.
///
/// # Errors
/// [`SyncError::MachineAtWork`] if it holds a lock that has not expired, unless `force`; then nothing is forgotten.
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
    let at_work = |locks| SyncError::MachineAtWork {
        name: asked.machine.name.clone(),
        locks,
    };
    let live = asked.locks.iter().filter(|lock| lock.is_live()).count();
    if live > 0 && !force {
        return Err(at_work(live));
    }
    let released = if asked.locks.is_empty() {
        Vec::new()
    } else {
        release::release(ctx, &asked.locks, take_over)?
    };
    let kept = released
        .iter()
        .filter(|one| matches!(one, Released::HeldBy(_)))
        .count();
    if kept > 0 {
        return Err(at_work(kept));
    }
    let remote = take_from_list(ctx, &asked.machine.id)?;
    Ok(Forgotten { remote, ..asked })
}

fn take_from_list(ctx: &Context<'_>, id: &MachineId) -> Result<RemoteState, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    fetch(&mut workspace)?;
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
    Ok(push_remaining_refs(&mut workspace)?.0)
}

/// The name that this machine wants to have, with a number if another machine has it.
pub(crate) fn free_name(workspace: &Workspace<'_>) -> Result<String, SyncError> {
    let wanted = &workspace.ctx.settings.machine.name;
    let taken = taken(workspace)?;
    let base: String = wanted.chars().take(LONGEST_BASE).collect();
    let numbered = (2..).map(|n: u32| format!("{base}-{n}"));
    let mut names = std::iter::once(wanted.clone()).chain(numbered);
    Ok(names
        .find(|name| !taken.contains(&name.to_lowercase()))
        .expect("there are more numbers than machines"))
}

/// The names of the other machines, in lower case.
fn taken(workspace: &Workspace<'_>) -> Result<BTreeSet<String>, SyncError> {
    let (machines, _) = workspace.store.head_snapshot()?.machines()?;
    let others = machines
        .into_iter()
        .filter(|machine| machine.id != workspace.ctx.settings.machine.id);
    Ok(others.map(|machine| machine.name.to_lowercase()).collect())
}

/// The one machine that is called so, or whose id begins so.
fn named(workspace: &Workspace<'_>, name: &str) -> Result<Machine, SyncError> {
    let (machines, _) = workspace.store.head_snapshot()?.machines()?;
    let is_id =
        |machine: &Machine| name.len() >= SHORTEST_ID && machine.id.as_str().starts_with(name);
    let mut found: Vec<Machine> = machines
        .iter()
        .filter(|machine| machine.name == name)
        .cloned()
        .collect();
    if found.is_empty() {
        found = machines.into_iter().filter(is_id).collect();
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        found => Err(SyncError::NoSuchMachine {
            name: name.to_owned(),
            found,
        }),
    }
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

/// The locks on the remote that can be read, by machine, as they were fetched last.
fn locks(workspace: &Workspace<'_>) -> Result<BTreeMap<MachineId, Vec<LockView>>, SyncError> {
    let mut held: BTreeMap<MachineId, Vec<LockView>> = BTreeMap::new();
    for lock in fetched_lock_table(workspace)?.locks {
        if let Some(machine) = lock.record().map(|record| record.machine.clone()) {
            held.entry(machine).or_default().push(lock);
        }
    }
    Ok(held)
}
