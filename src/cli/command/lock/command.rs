//! Arguments and dispatch of `ccsync lock`.

use super::{release, show};
use crate::cli::{app::App, args::JsonFlag, complete, error::CliError, exit::Exit};
use crate::domain::SessionId;

/// Show which machine works on which session, and release locks
///
/// A lock says that a machine is working on a session. It keeps you from continuing one
/// session twice. It does not protect data: every push checks by itself that nothing is lost.
#[derive(Debug, clap::Args)]
pub(crate) struct LockArgs {
    #[command(subcommand)]
    action: LockAction,
}

#[derive(Debug, clap::Subcommand)]
enum LockAction {
    /// Show the locks on the remote
    Show {
        /// Only the lock of this session: id or unique prefix
        #[arg(value_name = "SESSION", add = complete::session())]
        session: Option<SessionId>,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Release the locks of this machine, or of one session
    ///
    /// A lock that has expired, or whose process on this machine has ended, is released at
    /// once. A lock whose holder may still be working is released only with --force. The holder
    /// notices at its next push, and what it adds from then on becomes a fork.
    ///
    /// Exits with 4 if a lock is kept because its holder may still be working.
    Release {
        /// Only the lock of this session: id or unique prefix
        #[arg(value_name = "SESSION", conflicts_with = "all", add = complete::session())]
        session: Option<SessionId>,
        /// Include other machines' locks
        #[arg(long)]
        all: bool,
        /// Even if the holder may still be working
        #[arg(long)]
        force: bool,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Remove expired locks, and locks of ended processes of this machine
    Cleanup {
        #[command(flatten)]
        json: JsonFlag,
    },
}

pub(in crate::cli) fn run(args: &LockArgs, app: &mut App) -> Result<Exit, CliError> {
    match &args.action {
        LockAction::Show { session, json } => show::run(session.as_ref(), json, app),
        LockAction::Release {
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
        LockAction::Cleanup { json } => release::clean_up(json, app),
    }
}
