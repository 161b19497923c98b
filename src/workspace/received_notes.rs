//! Notes that users leave for their other machines, as they arrive here.
//!
//! A note is text for people: nothing obeys it, and no model sees it. Which notes were shown is
//! kept in a cache; without it, notes are shown again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::id::MachineId;
use crate::report::transfer::{MachineName, ReceivedNote};
use crate::store::note::{Note, NoteId};
use crate::store::{Snapshot, StoreError};
use crate::sys::env::Env;
use crate::sys::fs::write_cache;
use crate::workspace::context::Context;
use crate::workspace::error::SyncError;
use crate::workspace::lookup::MachineNames;
use crate::workspace::open::Workspace;
use crate::workspace::read_only::machine_names;

/// Maximum number of notes read per command.
const MAX_NOTES: usize = 1000;

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
    for id in snapshot.note_ids()?.into_iter().rev().take(MAX_NOTES) {
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
        .take(MAX_NOTES)
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
    let excess = shown.notes.len().saturating_sub(2 * MAX_NOTES);
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

fn received(note: Note, names: &MachineNames) -> ReceivedNote {
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
