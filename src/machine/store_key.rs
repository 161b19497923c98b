//! The key of this machine's encrypted store: whether it opens the store, and its passphrase.

use std::path::PathBuf;

use serde::Serialize;

use crate::domain::{ErrorKind, UserError};
use crate::encryption::{PassphraseError, StoreHeader};
use crate::flows::{FetchMode, RemoteSync};
use crate::report::RemoteState;
use crate::store::record_header;
use crate::workspace::{
    Context, SyncError, Workspace, paths::mirror_path, paths::store_path, store_key::FoundKey,
    store_key::KeySource, store_key::find_key, store_remote::store_header,
};

/// The key of this machine, without the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedKey {
    /// Its place.
    pub source: KeyPlace,
    /// The file, if it is in one.
    pub file: Option<PathBuf>,
    /// Number of the key: 1, and one more with each rotation.
    pub epoch: u32,
    /// True if a passphrase gives the key to other machines.
    pub passphrase: bool,
    /// True if the remote was asked, and the key opens it.
    pub remote_opened: bool,
    /// Reason why the remote was not reached.
    pub remote_error: Option<String>,
}

/// The place of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPlace {
    /// `CCSYNC_KEY`.
    Variable,
    /// `key_command`.
    Command,
    /// A file.
    File,
}

/// Why a command about the key does nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreKeyError {
    /// There is no key.
    #[error("the store is not encrypted")]
    NotEncrypted,
    /// The passphrase cannot be used.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The header could not be sent.
    #[error("the passphrase was not changed: {0}")]
    NotSent(String),
}

impl UserError for StoreKeyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotEncrypted | Self::Passphrase(_) => ErrorKind::Failed,
            Self::NotSent(_) => ErrorKind::Remote,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotEncrypted => "encrypt it with `ccsync encrypt`",
            Self::Passphrase(_) => "four words that have nothing to do with you are good",
            Self::NotSent(_) => "try again with `ccsync key passphrase`",
        };
        vec![hint.to_owned()]
    }
}

impl From<StoreKeyError> for SyncError {
    fn from(error: StoreKeyError) -> Self {
        Self::Operation(Box::new(error))
    }
}

/// Returns the header of the store and the key of this machine for it.
///
/// # Errors
/// [`StoreKeyError::NotEncrypted`]; if no key opens the store.
pub fn key_of_store(ctx: &Context<'_>) -> Result<(StoreHeader, FoundKey), SyncError> {
    let header = store_header(ctx.env)?.ok_or(StoreKeyError::NotEncrypted)?;
    let found = find_key(ctx.env, ctx.settings.key_command.as_deref(), &header)?;
    Ok((header, found))
}

/// Checks that the key of this machine opens the store, and the remote unless this is offline.
///
/// # Errors
/// As for [`key_of_store`]. An unreachable remote is not an error.
pub fn check_key(ctx: &Context<'_>) -> Result<CheckedKey, SyncError> {
    let fetched = match ctx.offline {
        true => None,
        false => {
            let mut workspace = Workspace::open(ctx)?;
            Some(RemoteSync::new(&mut workspace).fetch_if_reached(FetchMode::Sessions)?)
        }
    };
    let (header, found) = key_of_store(ctx)?;
    let (source, file) = match found.source {
        KeySource::Variable => (KeyPlace::Variable, None),
        KeySource::Command => (KeyPlace::Command, None),
        KeySource::File(path) => (KeyPlace::File, Some(path)),
    };
    let remote_error = fetched
        .as_ref()
        .and_then(|fetched| fetched.unreached.clone());
    Ok(CheckedKey {
        source,
        file,
        epoch: header.epoch,
        passphrase: header.has_passphrase(),
        remote_opened: fetched.is_some() && remote_error.is_none(),
        remote_error,
    })
}

/// Sets or removes the passphrase that gives the key to other machines, and pushes the header.
///
/// # Errors
/// [`StoreKeyError`]; then the passphrase is as it was.
pub fn change_passphrase(ctx: &Context<'_>, passphrase: Option<&str>) -> Result<(), SyncError> {
    let mut workspace = Workspace::open(ctx)?;
    RemoteSync::new(&mut workspace).fetch(FetchMode::Sessions)?;
    let (former, found) = key_of_store(ctx)?;
    let mut header = former.clone();
    header
        .set_passphrase(passphrase, &found.key)
        .map_err(StoreKeyError::from)?;

    let (store, mirror) = (store_path(ctx.env), mirror_path(ctx.env));
    record_header(&store, &mirror, &header)?;
    commit_header(&workspace)?;
    let pushed = RemoteSync::new(&mut workspace).push();
    let reason = match pushed {
        Ok(pushed) => match pushed.state {
            RemoteState::Queued { reason, .. } | RemoteState::Refused { reason, .. } => reason,
            // Another machine may have pushed another header at the same time.
            _ if store_header(ctx.env)? != Some(header) => "another machine was faster".to_owned(),
            _ => return Ok(()),
        },
        Err(e) => e.to_string(),
    };
    record_header(&store, &mirror, &former)?;
    Err(StoreKeyError::NotSent(reason).into())
}

/// Adds a commit that changes no file: its sealed form has the header of the store.
fn commit_header(workspace: &Workspace<'_>) -> Result<(), SyncError> {
    let head = workspace.store.head()?;
    let tx = workspace.store.begin(head.as_ref())?;
    tx.commit(&workspace.author(), "passphrase", head.as_slice())?;
    Ok(())
}
