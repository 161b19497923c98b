//! Encrypts a plain store that is in use, and gives an encrypted store a new key.

use serde::Serialize;

use crate::config::{Config, SettingKey};
use crate::domain::{ErrorKind, UserError, url::RemoteUrl};
use crate::encryption::{StoreHeader, StoreId, StoreKey};
use crate::flows::new_history::{NewHistory, begin_history, replace_history};
use crate::machine::store_key::key_of_store;
use crate::transport::PushOutcome;
use crate::workspace::{
    Context, SyncError, Workspace, paths::config_path, paths::remote_url, store_key::KeySource,
    store_key::given_key, store_remote::store_header,
};

/// A store whose remote has a new sealed history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SealedStore {
    /// The remote, without secrets.
    pub remote: String,
    /// The former remote, which still has the plain sessions, if another one is used now.
    pub former_remote: Option<String>,
    /// True if the remote is a directory on this machine, and has no former history any more.
    pub pruned: bool,
    /// Number of the key: 1, and one more with each rotation.
    pub epoch: u32,
    /// True if the store had a passphrase, which gave the former key.
    pub lost_passphrase: bool,
    /// True if `CCSYNC_KEY` or `key_command` still give the former key.
    #[serde(skip)]
    pub source_is_former: bool,
}

/// Why a store gets no new history.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// It is encrypted already.
    #[error("the store is encrypted already")]
    Encrypted,
    /// The new remote has something.
    #[error("{0} is not empty")]
    NotEmpty(String),
}

impl UserError for EncryptError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Failed
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Encrypted => "to give it a new key: `ccsync key rotate`",
            Self::NotEmpty(_) => "give an empty repository: `ccsync encrypt --remote URL`",
        };
        vec![hint.to_owned()]
    }
}

impl From<EncryptError> for SyncError {
    fn from(error: EncryptError) -> Self {
        Self::Operation(Box::new(error))
    }
}

/// Encrypts a plain store: its remote gets a sealed history in place of the plain one, or the new
/// remote `other` gets it.
///
/// # Errors
/// [`EncryptError`]; if the remote cannot be reached. The store is then plain as before.
pub fn encrypt(ctx: &Context<'_>, other: Option<RemoteUrl>) -> Result<SealedStore, SyncError> {
    require_plain(ctx)?;
    let given = given_key(ctx.env, ctx.settings.key_command.as_deref())?;
    let key = given.map_or_else(StoreKey::generate, |given| given.key);
    let header = StoreHeader::new(StoreId::random(), 1, &key);
    let new = NewHistory { header, key };
    let mut workspace = Workspace::open(ctx)?;
    let former = remote_url(ctx.env, ctx.settings.remote.as_deref())?.to_string();
    let Some(other) = other else {
        let pruned = replace_history(&mut workspace, &new)?;
        return Ok(sealed(former, pruned, &new));
    };
    let remote = other.to_string();
    if begin_history(&mut workspace, &new, other.clone())? != PushOutcome::Done {
        return Err(EncryptError::NotEmpty(remote).into());
    }
    workspace.leases.forget_all()?;
    if let Some(mut config) = Config::load(&config_path(ctx.env))? {
        config.set(SettingKey::Remote, other.as_git_argument())?;
        config.save(&config_path(ctx.env))?;
    }
    Ok(SealedStore {
        former_remote: Some(former),
        ..sealed(remote, false, &new)
    })
}

/// Refuses a store that is encrypted.
///
/// # Errors
/// [`EncryptError::Encrypted`]
pub fn require_plain(ctx: &Context<'_>) -> Result<(), SyncError> {
    match store_header(ctx.env)? {
        None => Ok(()),
        Some(_) => Err(EncryptError::Encrypted.into()),
    }
}

/// Gives an encrypted store a new key, and its remote a history that is sealed with it.
///
/// # Errors
/// If the store is plain, or the remote cannot be reached. The key is then as before.
pub fn rotate(ctx: &Context<'_>) -> Result<SealedStore, SyncError> {
    let (former, found) = key_of_store(ctx)?;
    let key = StoreKey::generate();
    let header = StoreHeader::new(former.store, former.epoch + 1, &key);
    let new = NewHistory { header, key };
    let mut workspace = Workspace::open(ctx)?;
    let pruned = replace_history(&mut workspace, &new)?;
    let remote = remote_url(ctx.env, ctx.settings.remote.as_deref())?.to_string();
    Ok(SealedStore {
        lost_passphrase: former.has_passphrase(),
        source_is_former: !matches!(found.source, KeySource::File(_)),
        ..sealed(remote, pruned, &new)
    })
}

fn sealed(remote: String, pruned: bool, new: &NewHistory) -> SealedStore {
    SealedStore {
        remote,
        former_remote: None,
        pruned,
        epoch: new.header.epoch,
        lost_passphrase: false,
        source_is_former: false,
    }
}
