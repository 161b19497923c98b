//! `ccsync notes`: lists the notes of the store.

use serde::Serialize;

use crate::cli::{app::App, args::JsonFlag, error::CliError, exit::Exit};
use crate::sys::Clock;
use crate::ui::{notes, report::at_most_of, report::remote};
use crate::workspace::received_notes::KeptNote;

/// Maximum number of notes printed without `--all`.
const MAX_NOTES: usize = 10;

/// Show the notes, the newest first
///
/// As of the last pull.
#[derive(Debug, clap::Args)]
pub(crate) struct NotesArgs {
    /// Show all notes, not only the ten newest
    #[arg(long)]
    all: bool,
    /// Remove the note with this id, or with an id that begins so, on all machines
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    remove: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: each note has the fields of `KeptNote`.
#[derive(Serialize)]
struct NotesDocument {
    notes: Vec<KeptNote>,
}

pub(in crate::cli) fn run(args: &NotesArgs, app: &mut App) -> Result<Exit, CliError> {
    if let Some(id) = &args.remove {
        return remove(id, args.json.json, app);
    }
    let mut kept = crate::workspace::received_notes::notes(&app.context()?)?;
    let older = if args.all {
        0
    } else {
        kept.len().saturating_sub(MAX_NOTES)
    };
    kept.truncate(kept.len() - older);
    if args.json.json {
        app.print_json("notes", &NotesDocument { notes: kept })?;
        return Ok(Exit::Done);
    }
    if kept.is_empty() {
        app.out.note("no notes");
    }
    let now = app.clock.now();
    for note in &kept {
        let new = if note.own || note.seen { "" } else { " (new)" };
        let marks = format!("{new}, {}", note.note.id);
        let lines = notes::one(&note.note, &marks, now, app.out.width(), None);
        app.print(&lines)?;
    }
    if older > 0 {
        app.out.note(&at_most_of(
            older as u64,
            "older note",
            "ccsync notes --all",
        ));
    }
    Ok(Exit::Done)
}

/// JSON document: the fields of `RemovedNote`.
fn remove(id: &str, json: bool, app: &mut App) -> Result<Exit, CliError> {
    let done = crate::machine::notes::remove_note(&app.context()?, id)?;
    if json {
        app.print_json("notes", &done)?;
    } else {
        let line = format!("notes: 1 note removed{}", remote(&done.remote, false));
        app.print(&[line])?;
        app.explain_queued(&done.remote);
    }
    Ok(Exit::from_remote(&done.remote))
}
