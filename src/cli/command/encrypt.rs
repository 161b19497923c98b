//! `ccsync encrypt`: encrypts a plain store that is in use.

use clap::ValueHint;

use crate::cli::{
    app::App, app::current_dir, args::JsonFlag, ask, command::init::refuse_open, error::CliError,
    error::CommandError, exit::Exit,
};
use crate::domain::url::RemoteUrl;
use crate::machine::encrypt::{SealedStore, encrypt, require_plain};
use crate::ui::sanitize::one_line;

/// Encrypt the store, so that the remote cannot read your sessions
///
/// Makes a key, and replaces the history of the remote by a sealed one. Sessions on this
/// machine stay as they are. Every other machine needs the key once: its next command says
/// so, and it loses nothing.
///
/// The host of the remote may still have what it had, in caches and backups. To be sure,
/// use a new repository with `--remote`, and delete the old one.
#[derive(Debug, clap::Args)]
pub(crate) struct EncryptArgs {
    /// Use this empty repository from now on, and leave the present remote as it is
    #[arg(long, value_name = "URL|PATH", value_hint = ValueHint::AnyPath)]
    remote: Option<String>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// JSON document: the fields of `SealedStore`.
pub(in crate::cli) fn run(args: &EncryptArgs, app: &mut App) -> Result<Exit, CliError> {
    require_plain(&app.context()?)?;
    let cwd = current_dir()?;
    let remote = args.remote.as_deref();
    let remote = remote
        .map(|text| RemoteUrl::parse(text, &cwd))
        .transpose()?;
    if let Some(remote) = &remote {
        refuse_open(remote)?;
    }
    if !args.yes {
        confirm(remote.is_some(), app)?;
    }
    let done = encrypt(&app.context()?, remote)?;
    if args.json.json {
        app.print_json("encrypt", &done)?;
        return Ok(Exit::Done);
    }
    let place = one_line(&done.remote).into_owned();
    app.print(&[format!("encrypt: {place} has sealed sessions only")])?;
    app.out
        .hint("write the key down, on paper: `ccsync key words`");
    app.out
        .hint("on each other machine, enter it once: `ccsync init`");
    app.out.hint(&readable_copies(&done));
    Ok(Exit::Done)
}

fn confirm(has_new_remote: bool, app: &App) -> Result<(), CliError> {
    app.require_terminal("encrypting the store")?;
    let question = if has_new_remote {
        "Send all sessions encrypted to the new repository, and use it from now on?"
    } else {
        "Replace the history of the remote by an encrypted one? Each machine needs the key then"
    };
    if ask::confirm(question)? {
        return Ok(());
    }
    Err(CommandError::Declined("the store stays as it is".to_owned()).into())
}

/// Returns the hint about readable copies that are not here.
fn readable_copies(done: &SealedStore) -> String {
    match &done.former_remote {
        Some(former) => format!(
            "delete the former remote, which still has readable sessions: {}",
            one_line(former)
        ),
        None if done.pruned => {
            "backups of the remote's directory may still have readable sessions".to_owned()
        }
        None => "the host may still have readable sessions; to be sure, delete the repository and \
                 use a new one: `ccsync init --remote URL`"
            .to_owned(),
    }
}
