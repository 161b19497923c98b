//! Where the files of this machine lie.

use std::path::PathBuf;

use crate::domain::url::RemoteUrl;
use crate::sys::env::Env;
use crate::workspace::error::SyncError;

/// Where this machine's clone lies.
pub fn store_path(env: &Env) -> PathBuf {
    env.dirs.data.join("store")
}

/// Where the bare repository lies that serves as remote until the user names one.
pub fn embedded_remote_path(env: &Env) -> PathBuf {
    env.dirs.data.join("remote.git")
}

/// The address of the remote: the user's, or that of the embedded default.
pub(crate) fn remote_url(env: &Env, configured: Option<&str>) -> Result<RemoteUrl, SyncError> {
    let embedded = embedded_remote_path(env);
    Ok(match configured {
        Some(url) => RemoteUrl::parse(url, &env.dirs.data)?,
        None => RemoteUrl::parse(&embedded.to_string_lossy(), &env.dirs.data)?,
    })
}

/// Where replaced files are kept.
pub(crate) fn undo_path(env: &Env) -> PathBuf {
    env.dirs.state.join("undo")
}

/// What this machine believes to hold.
pub(crate) fn claims_path(env: &Env) -> PathBuf {
    env.dirs.state.join("locks")
}

pub(crate) fn index_path(env: &Env) -> PathBuf {
    env.dirs.state.join("index.json")
}

/// Where the configuration lies.
pub fn config_path(env: &Env) -> PathBuf {
    env.dirs.config.join(crate::config::FILE_NAME)
}
