//! The first fetch from a remote: begins an encrypted store, or joins one with its key.
//!
//! A store stays as it began. Nothing is written before the key is known to be the right one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::domain::url::RemoteUrl;
use crate::encryption::{StoreHeader, StoreId, StoreKey};
use crate::flows::{FetchMode, RemoteSync};
use crate::store::{FetchedCommit, StoreError, record_header, share_packs};
use crate::sys::{Env, fail_point::fail_point};
use crate::transport::GitCli;
use crate::workspace::{
    Context, SetupError, SyncError, Workspace, paths::mirror_path, paths::store_path,
    store_key::find_key, store_key::key_in_variable, store_key::key_path, store_key::save_key,
    store_remote::store_header,
};

/// The user's wish for a store that is not there yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EncryptionChoice {
    /// As the remote is; a new store is plain.
    #[default]
    AsRemote,
    /// A new store is encrypted.
    Encrypted,
    /// The store must be plain.
    Plain,
}

/// Fetches what the remote has, and makes the store of this machine encrypted if that of the
/// remote is, or if a new one is to be.
pub(super) fn fetch(
    workspace: &mut Workspace<'_>,
    choice: EncryptionChoice,
) -> Result<(), SyncError> {
    if store_header(workspace.ctx.env)?.is_some() {
        require_not(choice, EncryptionChoice::Plain, SetupError::EncryptedStore)?;
        return RemoteSync::new(workspace)
            .fetch(FetchMode::Sessions)
            .map(drop);
    }
    let packs = workspace.store.packs();
    match RemoteSync::new(workspace).fetch(FetchMode::Sessions) {
        Err(SyncError::Store(StoreError::Encrypted(fetched))) => {
            let joined = require_not(choice, EncryptionChoice::Plain, SetupError::EncryptedStore)
                .and_then(|()| join(workspace, &fetched));
            forget_packs(workspace, &packs);
            joined?;
            RemoteSync::new(workspace)
                .fetch(FetchMode::Sessions)
                .map(drop)
        }
        Err(e) => Err(e),
        Ok(_) if choice != EncryptionChoice::Encrypted => Ok(()),
        Ok(_) if workspace.store.remote_head()?.is_some() => Err(SetupError::PlainStore.into()),
        Ok(_) => begin(workspace.ctx),
    }
}

/// Returns true if the remote answers and has nothing yet. Asks without questions.
pub fn is_new_remote(env: &Env, remote: &RemoteUrl) -> bool {
    let Ok(directory) = tempfile::tempdir() else {
        return false;
    };
    let git = GitCli::new(directory.path(), remote.clone(), env.git.clone(), false);
    git.refs().is_ok_and(|refs| refs.is_empty())
}

fn require_not(
    choice: EncryptionChoice,
    refused: EncryptionChoice,
    error: SetupError,
) -> Result<(), SyncError> {
    match choice == refused {
        true => Err(error.into()),
        false => Ok(()),
    }
}

/// Begins an encrypted store, with the key that the user gives, or a new one.
fn begin(ctx: &Context<'_>) -> Result<(), SyncError> {
    let key = match key_in_variable(ctx.env)? {
        Some(given) => given.key,
        None => {
            let key = StoreKey::generate();
            save_key(&key_path(ctx.env), &key)?;
            key
        }
    };
    fail_point("the key is saved");
    record(ctx, &StoreHeader::new(StoreId::random(), 1, &key))
}

/// Joins the store whose head was fetched, if this machine has its key.
fn join(workspace: &Workspace<'_>, fetched: &FetchedCommit) -> Result<(), SyncError> {
    let ctx = workspace.ctx;
    let header = &fetched.header;
    find_key(ctx.env, ctx.settings.key_command.as_deref(), header)?;
    // An earlier command may have fetched sealed commits, too.
    let packs: Vec<PathBuf> = workspace.store.packs().into_iter().collect();
    share_packs(&packs, &fetched.commit, &mirror_path(ctx.env))?;
    record(ctx, header)
}

fn record(ctx: &Context<'_>, header: &StoreHeader) -> Result<(), SyncError> {
    record_header(&store_path(ctx.env), &mirror_path(ctx.env), header)?;
    fail_point("the store is known to be encrypted");
    Ok(())
}

/// Removes the sealed commits from a store that has nothing else.
fn forget_packs(workspace: &Workspace<'_>, before: &BTreeSet<PathBuf>) {
    if !before.is_empty() || !matches!(workspace.store.head(), Ok(None)) {
        return;
    }
    for path in workspace.store.packs() {
        for extension in ["idx", "rev", "pack"] {
            let _ = std::fs::remove_file(path.with_extension(extension));
        }
    }
}
