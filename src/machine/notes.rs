//! Notes that a person leaves for the other machines: written into the store, shown once by the next pull there, kept.
//!
//! A note is text for people. Nothing obeys it, and no model is told it. What was shown here is remembered in a cache: without it, notes
//! are shown again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::id::MachineId;
use crate::flows::push::fetch_before_push;
use crate::flows::remote_sync::send;
use crate::report::transfer::{MachineName, ReceivedNote, RemoteState};
use crate::store::note::{MAX_NOTE_BYTES, Note, NoteId};
use crate::store::{Snapshot, StoreError};
use crate::sys::env::Env;
use crate::sys::fs::write_cache;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;
use crate::workspace::read_only::{machine_names, present_machine_names};

/// More notes than these are not looked at: who leaves more does not leave notes.
const MOST: usize = 1000;

/// What became of a note that was left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftNote {
    /// Its id.
    pub id: String,
    /// For whom it is; none: for all other machines.
    #[serde(rename = "for")]
    pub for_machine: Option<MachineName>,
    /// What became of the remote.
    pub remote: RemoteState,
}

/// A note that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptNote {
    /// What it says, who wrote it, when, and for whom.
    #[serde(flatten)]
    pub note: ReceivedNote,
    /// This machine wrote it.
    pub own: bool,
    /// It was shown here; an own one is not shown.
    pub seen: bool,
}

/// Why a text is no note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNote {
    /// It says nothing.
    #[error("the note is empty")]
    Empty,
    /// It says too much.
    #[error("the note has {0} bytes, the limit is {MAX_NOTE_BYTES}")]
    TooLong(usize),
}

/// Leaves a note for the machine of this name or id, or for all others, and sends it. A remote that cannot be reached is no error: the next
/// command sends the note.
///
/// # Errors
/// [`SyncError::Note`], [`SyncError::NoSuchMachine`]; what concerns the whole command.
pub fn leave_note(
    ctx: &Context<'_>,
    text: &str,
    for_machine: Option<&str>,
) -> Result<LeftNote, SyncError> {
    let text = text.trim();
    match text.len() {
        0 => return Err(InvalidNote::Empty.into()),
        bytes if bytes > MAX_NOTE_BYTES => return Err(InvalidNote::TooLong(bytes).into()),
        _ => {}
    }
    let mut workspace = Workspace::open(ctx)?;
    fetch_before_push(&mut workspace)?;
    let names = present_machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
    let addressee = for_machine
        .map(|wanted| machine_called(wanted, &names))
        .transpose()?;
    let now = ctx.clock.now();
    let id = NoteId::new(now, fastrand::u32(..));
    let from = (workspace.machine.id.clone(), workspace.machine.name.clone());
    let note = Note::new(
        id,
        now,
        from,
        addressee.as_ref().map(|machine| machine.id.clone()),
        text.to_owned(),
    );
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    tx.put_note(&note)?;
    if workspace.machine_changed {
        // Others are to know who speaks.
        tx.put_machine(&workspace.machine)?;
    }
    tx.commit(
        &workspace.author(),
        &format!("note from {}", workspace.machine.name),
        head.as_slice(),
    )?;
    workspace.machine_changed = false;
    let (remote, _) = send(&mut workspace)?;
    workspace.save()?;
    Ok(LeftNote {
        id: note.id.to_string(),
        for_machine: addressee,
        remote,
    })
}

/// Every note that the store has, the newest first.
///
/// # Errors
/// What concerns the whole command. A note that cannot be read is passed over.
pub fn notes(ctx: &Context<'_>) -> Result<Vec<KeptNote>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let snapshot = workspace.store.head_snapshot()?;
    let names = machine_names(workspace.ctx, Some(&snapshot))?;
    let shown = Shown::load(ctx.env);
    let mut kept = Vec::new();
    for id in snapshot.note_ids()?.into_iter().rev().take(MOST) {
        if let Some(note) = readable(&snapshot, &id)? {
            let seen = shown.notes.contains(&id);
            kept.push(KeptNote {
                own: note.machine == workspace.machine.id,
                seen,
                note: received(note, &names),
            });
        }
    }
    Ok(kept)
}

/// The notes for this machine that were not shown yet, the oldest first.
pub(crate) fn unseen(workspace: &Workspace<'_>) -> Result<Vec<ReceivedNote>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let shown = Shown::load(workspace.ctx.env);
    let state = snapshot.notes_state()?;
    if state.is_none() || state == shown.state {
        return Ok(Vec::new());
    }
    let names = machine_names(workspace.ctx, Some(&snapshot))?;
    let me = &workspace.machine.id;
    let mut unseen = Vec::new();
    for id in snapshot
        .note_ids()?
        .into_iter()
        .rev()
        .take(MOST)
        .filter(|id| !shown.notes.contains(id))
    {
        let Some(note) = readable(&snapshot, &id)? else {
            continue;
        };
        let is_for_me = note
            .for_machine
            .as_ref()
            .map_or(note.machine != *me, |addressee| addressee == me);
        if is_for_me {
            unseen.push(received(note, &names));
        }
    }
    unseen.reverse();
    if unseen.is_empty() {
        // The next pull need not look again.
        Shown { state, ..shown }.save(workspace.ctx.env);
    }
    Ok(unseen)
}

/// Remembers that these notes were shown to a person here.
pub fn mark_as_shown(env: &Env, notes: &[ReceivedNote]) {
    let mut shown = Shown::load(env);
    shown
        .notes
        .extend(notes.iter().filter_map(|note| note.id.parse().ok()));
    let excess = shown.notes.len().saturating_sub(2 * MOST);
    let oldest: Vec<NoteId> = shown.notes.iter().take(excess).cloned().collect();
    for id in &oldest {
        shown.notes.remove(id);
    }
    shown.save(env);
}

/// What was shown on this machine.
#[derive(Default, Serialize, Deserialize)]
struct Shown {
    notes: BTreeSet<NoteId>,
    /// A state of all notes in which none was left to be shown.
    #[serde(default)]
    state: Option<String>,
}

impl Shown {
    fn path(env: &Env) -> PathBuf {
        env.dirs.state.join("notes.json")
    }

    fn load(env: &Env) -> Self {
        let read = std::fs::read(Self::path(env)).ok();
        read.and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default()
    }

    /// A note that is shown again does no harm.
    fn save(&self, env: &Env) {
        let json = serde_json::to_vec(self).expect("sets of plain text always serialise");
        let _ = write_cache(&Self::path(env), &json);
    }
}

/// A note; none if it cannot be read: somebody's joke must not keep a pull from going on.
fn readable(snapshot: &Snapshot<'_>, id: &NoteId) -> Result<Option<Note>, SyncError> {
    match snapshot.note(id) {
        Err(StoreError::Malformed { .. }) => Ok(None),
        note => Ok(note?),
    }
}

fn received(note: Note, names: &BTreeMap<MachineId, String>) -> ReceivedNote {
    let named = |id: MachineId, then: Option<String>| MachineName {
        name: names.get(&id).cloned().or(then),
        id,
    };
    ReceivedNote {
        id: note.id.to_string(),
        time: note.time,
        machine: named(note.machine, Some(note.name)),
        for_machine: note.for_machine.map(|id| named(id, None)),
        text: note.text,
    }
}

/// The one machine of this name or id.
fn machine_called(
    wanted: &str,
    names: &BTreeMap<MachineId, String>,
) -> Result<MachineName, SyncError> {
    let found: Vec<_> = names
        .iter()
        .filter(|(id, name)| *name == wanted || id.as_str() == wanted)
        .collect();
    match found.as_slice() {
        [(id, name)] => Ok(MachineName {
            id: (*id).clone(),
            name: Some((*name).clone()),
        }),
        several => Err(SyncError::NoSuchMachine {
            name: wanted.to_owned(),
            found: several.len(),
        }),
    }
}
