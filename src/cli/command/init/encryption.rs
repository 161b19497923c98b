//! The question whether a new store is encrypted.

use super::args::InitArgs;
use crate::cli::{app::App, error::CliError, error::CommandError};
use crate::domain::{url::RemoteKind, url::RemoteUrl};
use crate::machine::join_encrypted::{EncryptionChoice, is_new_remote};
use crate::ui::prompt;

/// Returns the arguments with the user's choice. Asks for a remote that is new and not on this
/// machine.
pub(super) fn choose(
    args: &InitArgs,
    remote: Option<&RemoteUrl>,
    app: &App,
) -> Result<InitArgs, CliError> {
    let mut args = args.clone();
    let is_elsewhere = |remote: &&RemoteUrl| !matches!(remote.kind(), RemoteKind::Local(_));
    let is_open = args.encryption() == EncryptionChoice::AsRemote && args.may_ask(app);
    if let Some(remote) = remote.filter(is_elsewhere).filter(|_| is_open)
        && is_new_remote(&app.env, remote)
    {
        let question = "Encrypt your sessions, so that the remote cannot read them?";
        let answer = prompt::confirm_or(question, true).map_err(CommandError::Terminal)?;
        let wanted = answer.ok_or(CommandError::Cancelled)?;
        args.encrypt = wanted;
        args.no_encrypt = !wanted;
    }
    Ok(args)
}
