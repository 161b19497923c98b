//! `ccsync notes`: the notes that the store keeps.

use serde::Serialize;

use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::machine::notes::KeptNote;
use crate::sys::clock::Clock;
use crate::ui::notes;
use crate::ui::report::at_most_of;

/// How many are shown where not all are asked for.
const NEWEST: usize = 10;

/// Show the notes that were left, the newest first
///
/// They are those that came with the last pull.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also those before the ten newest
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON schema, version 1: each note has the fields of `KeptNote`.
#[derive(Serialize)]
struct Document {
    notes: Vec<KeptNote>,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    let mut kept = crate::machine::notes::notes(&app.context()?)?;
    let older = if args.all {
        0
    } else {
        kept.len().saturating_sub(NEWEST)
    };
    kept.truncate(kept.len() - older);
    if args.json.json {
        app.print_json("notes", &Document { notes: kept })?;
        return Ok(Exit::Done);
    }
    if kept.is_empty() {
        app.out.note("notes: there are none");
    }
    let now = app.clock.now();
    for note in &kept {
        let marks = if note.own || note.seen {
            ""
        } else {
            " (not shown yet)"
        };
        let lines = notes::one(&note.note, marks, now, app.out.width(), None);
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
