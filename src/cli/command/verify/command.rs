//! Arguments and run of `ccsync verify`.

use super::text::lines;
use crate::check::{verify::VerifyRequest, verify::verify};
use crate::cli::{app::App, args::JsonFlag, complete, error::CliError, exit::Exit};
use crate::domain::SessionId;

/// Check that this machine, the store and the remote agree
///
/// Without --full, unchanged files are trusted, sizes and counts come from the manifests,
/// and the remote is asked for its newest commit. With --full, every byte is read: each
/// object and each line of the store, each file here, and the objects of a remote that is
/// a directory. Changes nothing. A session that is not on this machine, or that is
/// excluded, is not a difference.
///
/// Exits with 0 if everything agrees, 1 if something is damaged or the remote lost data,
/// 6 if commits are queued, 3 if something else is to be pushed or pulled or could not be
/// compared, and 5 if a session has diverged.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Only these sessions: ids or unique prefixes
    #[arg(value_name = "SESSION", add = complete::session())]
    sessions: Vec<SessionId>,
    /// Read every byte
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: the fields of `Verification`, every session included.
pub(in crate::cli) fn run(args: &VerifyArgs, app: &mut App) -> Result<Exit, CliError> {
    let request = VerifyRequest {
        sessions: args.sessions.clone(),
        full: args.full,
    };
    let found = verify(&app.context()?, &request)?;
    let exit = Exit::from_verification(&found);
    if args.json.json {
        app.print_json("verify", &found)?;
    } else if !app.out.is_quiet() || exit != Exit::Done {
        let lines = lines(&found, app.out.width());
        app.print(&lines)?;
    }
    Ok(exit)
}
