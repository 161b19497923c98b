//! `ccsync note`: leaves a note for the other machines.

use std::io::Read;

use crate::cli::{
    app::App, args::JsonFlag, complete, error::CliError, error::CommandError, exit::Exit,
};
use crate::machine::notes::LeftNote;
use crate::ui::{report::machine, report::remote};

/// Maximum size of what is read from standard input, in bytes.
const MAX_INPUT: u64 = 1 << 16;

/// Leave a note for your other machines
///
/// The next pull there shows it once, and `ccsync notes` lists it. The model does not see
/// it. At most 4096 bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct NoteArgs {
    /// Text of the note; `-` reads it from standard input
    text: String,
    /// Only for this machine
    #[arg(long = "for", value_name = "MACHINE", add = complete::machine())]
    for_machine: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(in crate::cli) fn run(args: &NoteArgs, app: &mut App) -> Result<Exit, CliError> {
    super::init::ensure(app)?;
    let text = match args.text.as_str() {
        "-" => text_on_stdin().map_err(CommandError::Terminal)?,
        text => text.to_owned(),
    };
    let for_machine = args.for_machine.as_deref();
    let left = crate::machine::notes::leave_note(&app.context()?, &text, for_machine)?;
    if args.json.json {
        // JSON document: the fields of `LeftNote`.
        app.print_json("note", &left)?;
    } else {
        app.print(&[line(&left)])?;
        app.explain_queued(&left.remote);
    }
    Ok(Exit::from_remote(&left.remote))
}

/// Reads enough to see that a text is too long.
fn text_on_stdin() -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin.take(MAX_INPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn line(left: &LeftNote) -> String {
    let whom = left
        .for_machine
        .as_ref()
        .map_or_else(|| "the other machines".to_owned(), machine);
    format!("note: left for {whom}{}", remote(&left.remote, false))
}
