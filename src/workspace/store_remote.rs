//! The remote of this machine's store: plain, or behind the mirror if the store is encrypted.

use std::path::Path;

use crate::config::Settings;
use crate::encryption::StoreHeader;
use crate::remote::{EncryptedRemote, Remote};
use crate::store::{
    BRANCH, Mirror, Store, complete_record, record_new_history, recorded_header, remote_header,
};
use crate::sys::Env;
use crate::transport::GitCli;
use crate::workspace::{
    error::SyncError, paths::mirror_path, paths::store_path, store_key::KeyError,
    store_key::find_changed_key, store_key::find_key,
};

/// Returns the header of this machine's store; `None` if it is not encrypted.
///
/// # Errors
/// If the record cannot be read. The store is encrypted then, too.
pub fn store_header(env: &Env) -> Result<Option<StoreHeader>, SyncError> {
    Ok(recorded_header(&store_path(env), &mirror_path(env))?)
}

/// Returns the header of the remote if its key was changed since the last fetch.
fn changed_header(mirror: &Path, known: &StoreHeader, git: &GitCli) -> Option<StoreHeader> {
    let head = git.fetch(BRANCH).ok()??;
    let header = remote_header(mirror, &head).ok()??;
    (header.store == known.store && header.epoch > known.epoch).then_some(header)
}

/// Opens the remote of the store at `store`. `git` makes the one that works in a repository.
///
/// The remote of an encrypted store is never reached in another way than from its mirror.
pub(crate) fn open_remote(
    env: &Env,
    settings: &Settings,
    store: &Store,
    mirror: &Path,
    git: impl Fn(&Path) -> GitCli,
) -> Result<Remote, SyncError> {
    let Some(header) = store_header(env)? else {
        return Ok(Remote::Plain(git(store.git_dir())));
    };
    let command = settings.key_command.as_deref();
    let (header, found) = match find_key(env, command, &header) {
        Err(error @ (KeyError::Missing(_) | KeyError::Wrong { .. })) => {
            let changed = changed_header(mirror, &header, &git(mirror)).ok_or(error)?;
            let found = find_changed_key(env, command, &changed)?;
            record_new_history(store.path(), mirror, &changed)?;
            (changed, found)
        }
        found => (header, found?),
    };
    complete_record(store.path(), mirror, &header)?;
    let mirror = Mirror::open(mirror, header, &found.key, settings.author.clone())?;
    let git = git(mirror.git_dir());
    let store = Store::open_without_repair(store.path())?;
    let remote = EncryptedRemote::new(store, mirror, git);
    Ok(Remote::Encrypted(Box::new(remote)))
}
