//! Where the files of this machine lie.

use crate::domain::url::RemoteUrl;
use crate::workspace::error::SyncError;
use std::path::{Path, PathBuf};

use crate::sys::env::Env;

/// Where this machine's clone lies.
pub fn store_path(env: &Env) -> PathBuf {
    env.dirs.data.join("store")
}

/// Where a damaged file or directory may be moved to.
pub(crate) fn damaged_names(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let path = path.to_owned();
    let numbers = std::iter::once(String::new()).chain((2..100).map(|n| format!("-{n}")));
    numbers.map(move |number| path.with_file_name(format!("{name}.damaged{number}")))
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
