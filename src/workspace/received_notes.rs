//! Notes that users left for their other machines, as they arrive here.
//!
//! A note is text for the user: no program acts on it, and no model sees it. A cache
//! records which notes were shown; without it, notes are shown again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::domain::MachineId;
use crate::report::{MachineName, transfer::ReceivedNote};
use crate::store::{Snapshot, StoreError, note::Note, note::NoteId};
use crate::sys::{Env, fs::write_cache};
use crate::workspace::{
    context::Context, error::SyncError, lookup::MachineNames, open::Workspace,
    read_only::machine_names,
};

/// Maximum number of notes read per command.
const MAX_NOTES: usize = 1000;

/// A note in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptNote {
    /// The note.
    #[serde(flatten)]
    pub note: ReceivedNote,
    /// True if this machine wrote it.
    pub own: bool,
    /// True if it was shown here. An own note is never shown.
    pub seen: bool,
}

/// Returns all notes in the store, the newest first.
///
/// # Errors
/// Errors of the whole command. Unreadable notes are skipped.
pub fn notes(ctx: &Context<'_>) -> Result<Vec<KeptNote>, SyncError> {
    let workspace = Workspace::open(ctx)?;
    let snapshot = workspace.store.head_snapshot()?;
    let names = machine_names(workspace.ctx, Some(&snapshot))?;
    let shown = ShownNotes::load(ctx.env);
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

/// Returns the notes for this machine that were not shown yet, the oldest first.
pub(crate) fn unseen(workspace: &Workspace<'_>) -> Result<Vec<ReceivedNote>, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
    let shown = ShownNotes::load(workspace.ctx.env);
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
        // The next pull can skip them.
        ShownNotes { state, ..shown }.save(workspace.ctx.env);
    }
    Ok(unseen)
}

/// Records that these notes were shown here.
pub fn mark_as_shown(env: &Env, notes: &[ReceivedNote]) {
    let mut shown = ShownNotes::load(env);
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

/// Notes that were shown on this machine.
#[derive(Default, Serialize, Deserialize)]
struct ShownNotes {
    notes: BTreeSet<NoteId>,
    /// A state of all notes with no note left to show.
    #[serde(default)]
    state: Option<String>,
}

impl ShownNotes {
    fn path(env: &Env) -> PathBuf {
        env.dirs.state.join("notes.json")
    }

    fn load(env: &Env) -> Self {
        let read = std::fs::read(Self::path(env)).ok();
        read.and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default()
    }

    /// Writes the cache. A failure is harmless: notes are shown again.
    fn save(&self, env: &Env) {
        let json = serde_json::to_vec(self).expect("sets of plain text always serialise");
        let _ = write_cache(&Self::path(env), &json);
    }
}

/// Reads a note; `None` if it is invalid, so that a bad note cannot stop a pull.
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
