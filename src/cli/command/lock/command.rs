//! `ccsync lock`: who is at work on which session, and taking locks away.

use super::{release, show};
use crate::cli::app::App;
use crate::cli::args::JsonFlag;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::domain::id::SessionId;

/// See who is at work on which session, and give locks back
///
/// A lock says that somebody is at work on a session. It keeps people from doing the same twice, and protects no data: that is done by what
/// every push expects of the remote.
#[derive(Debug, clap::Args)]
pub(crate) struct LockArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the locks on the remote
    Show {
        /// Only that of this session; the beginning of its id is enough
        #[arg(value_name = "SESSION")]
        session: Option<SessionId>,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Give a session back, or all that this machine holds
    ///
    /// A lock that has expired, or whose process on this machine is dead, is released at once. One whose holder may be at work is
    /// released only with --force: the holder is told at its next push, and nothing that it has written gets lost.
    ///
    /// Exits with 4 if a lock was left because its holder may be at work.
    Release {
        /// The session; the beginning of its id is enough
        #[arg(value_name = "SESSION", conflicts_with = "all")]
        session: Option<SessionId>,
        /// Those of other machines too
        #[arg(long)]
        all: bool,
        /// Also if the holder may be at work
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Remove the locks that have expired, and those of processes of this machine that are dead
    Cleanup {
        #[command(flatten)]
        json: JsonFlag,
    },
}

pub(in crate::cli) fn run(args: &LockArgs, app: &mut App) -> Result<Exit, CliError> {
    match &args.action {
        Action::Show { session, json } => show::run(session.as_ref(), json, app),
        Action::Release {
            session,
            all,
            force,
            yes,
            json,
        } => {
            let wanted = match session {
                Some(session) => release::Wanted::Session(session),
                None if *all => release::Wanted::All,
                None => release::Wanted::Own,
            };
            release::run(wanted, *force, *yes, json, app)
        }
        Action::Cleanup { json } => release::clean_up(json, app),
    }
}
