//! `ccsync note`: a person leaves a note for the other machines.

use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::machine::notes::LeftNote;
use crate::ui::report::{machine, remote};

/// Leave a note for the other machines
///
/// The next pull there shows it once, on top; `ccsync notes` keeps it. It is for people: no model is told it. At most 4 KiB.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What it says
    text: String,
    /// Only for this machine (name or id)
    #[arg(long = "for", value_name = "MACHINE")]
    for_machine: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &Args, app: &mut App) -> Result<Exit, CliError> {
    super::init::ensure(app)?;
    let left = crate::machine::notes::leave_note(
        &app.context()?,
        &args.text,
        args.for_machine.as_deref(),
    )?;
    if args.json.json {
        // JSON schema, version 1: the fields of `LeftNote`.
        app.print_json("note", &left)?;
    } else {
        app.print(&[line(&left)])?;
        app.explain_queued(&left.remote);
    }
    Ok(Exit::of_remote(&left.remote))
}

fn line(left: &LeftNote) -> String {
    let whom = left
        .for_machine
        .as_ref()
        .map_or_else(|| "the other machines".to_owned(), machine);
    format!("note: left for {whom}{}", remote(&left.remote, false))
}
