//! Leaves a note for other machines: commits and pushes it. `workspace::received_notes`
//! reads notes.

use serde::Serialize;

use crate::domain::{ErrorKind, UserError};
use crate::flows::{FetchMode, RemoteSync};
use crate::report::{MachineName, RemoteState};
use crate::store::{note::MAX_NOTE_BYTES, note::Note, note::NoteId};
use crate::workspace::{
    Context, SyncError, Workspace, lookup::find_machine, read_only::present_machine_names,
};

/// Result of leaving a note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftNote {
    /// Its id.
    pub id: String,
    /// The recipient; `None`: all other machines.
    #[serde(rename = "for")]
    pub for_machine: Option<MachineName>,
    /// State of the remote.
    pub remote: RemoteState,
}

/// A note that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemovedNote {
    /// Its id.
    pub removed: String,
    /// State of the remote.
    pub remote: RemoteState,
}

/// Error: a text is not a valid note, or no note has this id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text is empty.
    #[error("the note is empty")]
    Empty,
    /// The text is too long.
    #[error("the note is too long: {0} bytes (limit {MAX_NOTE_BYTES})")]
    TooLong(usize),
    /// No note has this id, or several begin with it.
    #[error("{} with the id `{id}`", if *.several { "several notes" } else { "no note" })]
    Id {
        /// The id that was given.
        id: String,
        /// Several notes begin with it.
        several: bool,
    },
}

/// Leaves a note for the machine of this name or id, or for all others, and pushes it. An
/// unreachable remote is not an error: the next command pushes the note.
///
/// # Errors
/// [`NoteError`], and if there is no such machine; what concerns the whole command.
pub fn leave_note(
    ctx: &Context<'_>,
    text: &str,
    for_machine: Option<&str>,
) -> Result<LeftNote, SyncError> {
    let text = text.trim();
    match text.len() {
        0 => return Err(NoteError::Empty.into()),
        bytes if bytes > MAX_NOTE_BYTES => return Err(NoteError::TooLong(bytes).into()),
        _ => {}
    }
    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch_before_push()?;
    let names = present_machine_names(workspace.ctx, Some(&workspace.store.head_snapshot()?))?;
    let addressee = for_machine
        .map(|wanted| find_machine(wanted, &names, &workspace.machine.id))
        .transpose()?
        .map(|id| MachineName {
            name: names.get(&id).cloned(),
            id,
        });
    let text = workspace.localizer.redact(text);
    workspace.localizer.save_secrets()?;
    let now = ctx.clock.now();
    let id = NoteId::from_time(now, fastrand::u32(..));
    let note = Note::new(
        id,
        now,
        &workspace.machine,
        addressee.as_ref().map(|machine| machine.id.clone()),
        text,
    );
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    tx.write_note(&note)?;
    if !tx.has_machine(&workspace.machine)? {
        // The other machines need the author's name.
        tx.write_machine(&workspace.machine)?;
    }
    tx.commit(
        &workspace.author(),
        &format!("note from {}", workspace.machine.name),
        head.as_slice(),
    )?;
    let remote = RemoteSync::new(&mut workspace).push()?.state;
    workspace.save()?;
    Ok(LeftNote {
        id: note.id.to_string(),
        for_machine: addressee,
        remote,
    })
}

/// Removes the note with this id, or with an id that begins so, on all machines.
///
/// # Errors
/// [`NoteError::Id`]; what concerns the whole command.
pub fn remove_note(ctx: &Context<'_>, id: &str) -> Result<RemovedNote, SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::Sessions)?;
    let mut found = workspace.store.head_snapshot()?.note_ids()?;
    found.retain(|note| note.as_str().starts_with(id));
    let [note] = found.as_slice() else {
        return Err(NoteError::Id {
            id: id.to_owned(),
            several: !found.is_empty(),
        }
        .into());
    };
    let head = workspace.store.head()?;
    let mut tx = workspace.store.begin(head.as_ref())?;
    tx.remove_note(note);
    tx.commit(&workspace.author(), "remove a note", head.as_slice())?;
    let remote = RemoteSync::new(&mut workspace).push()?.state;
    workspace.save()?;
    Ok(RemovedNote {
        removed: note.to_string(),
        remote,
    })
}

impl UserError for NoteError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Id { .. } => "list the notes and their ids with `ccsync notes`".to_owned(),
            _ => "give a text: `ccsync note \"TEXT\"`".to_owned(),
        }]
    }
}

impl From<NoteError> for SyncError {
    fn from(error: NoteError) -> Self {
        Self::Operation(Box::new(error))
    }
}
