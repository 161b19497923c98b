//! `ccsync note`: leaves a note for the other machines.

use crate::cli::{app::App, args::JsonFlag, complete, error::CliError, exit::Exit};
use crate::machine::notes::LeftNote;
use crate::ui::{report::machine, report::remote};

/// Leave a note for your other machines
///
/// The next pull there shows it once, and `ccsync notes` lists it. The model does not see
/// it. At most 4096 bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct NoteArgs {
    /// Text of the note
    text: String,
    /// Only for this machine
    #[arg(long = "for", value_name = "MACHINE", add = complete::machine())]
    for_machine: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &NoteArgs, app: &mut App) -> Result<Exit, CliError> {
    super::init::ensure(app)?;
    let left = crate::machine::notes::leave_note(
        &app.context()?,
        &args.text,
        args.for_machine.as_deref(),
    )?;
    if args.json.json {
        // JSON document: the fields of `LeftNote`.
        app.print_json("note", &left)?;
    } else {
        app.print(&[line(&left)])?;
        app.explain_queued(&left.remote);
    }
    Ok(Exit::from_remote(&left.remote))
}

fn line(left: &LeftNote) -> String {
    let whom = left
        .for_machine
        .as_ref()
        .map_or_else(|| "the other machines".to_owned(), machine);
    format!("note: left for {whom}{}", remote(&left.remote, false))
}
