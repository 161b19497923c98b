//! Paths of ccsync's files on this machine.

use std::path::PathBuf;

use crate::domain::url::RemoteUrl;
use crate::sys::Env;
use crate::workspace::error::SyncError;

/// Returns the path of this machine's store.
pub fn store_path(env: &Env) -> PathBuf {
    env.dirs.data.join("store")
}

/// Returns the path of the mirror of an encrypted store.
pub fn mirror_path(env: &Env) -> PathBuf {
    env.dirs.mirror()
}

/// Returns the path of a mirror that is to take the place of the present one.
pub(crate) fn next_mirror_path(env: &Env) -> PathBuf {
    env.dirs.data.join("sealed.next.git")
}

/// Returns the path of the bare repository that is used until the user configures a
/// remote.
pub fn embedded_remote_path(env: &Env) -> PathBuf {
    env.dirs.data.join("remote.git")
}

/// Returns the configured URL of the remote, or that of the embedded one.
pub(crate) fn remote_url(env: &Env, configured: Option<&str>) -> Result<RemoteUrl, SyncError> {
    let embedded = embedded_remote_path(env);
    Ok(match configured {
        Some(url) => RemoteUrl::parse(url, &env.dirs.data)?,
        None => RemoteUrl::parse(&embedded.to_string_lossy(), &env.dirs.data)?,
    })
}

/// Returns the directory that keeps replaced files.
pub(crate) fn undo_path(env: &Env) -> PathBuf {
    env.dirs.state.join("undo")
}

/// Returns the directory of this machine's leases.
pub(crate) fn leases_path(env: &Env) -> PathBuf {
    env.dirs.state.join("locks")
}

/// Returns the file with what the remote is known to refuse.
pub(crate) fn remote_rules_path(env: &Env) -> PathBuf {
    env.dirs.state.join("remote-rules.json")
}

pub(crate) fn index_path(env: &Env) -> PathBuf {
    env.dirs.state.join("index.json")
}

/// Returns the path of the configuration file.
pub fn config_path(env: &Env) -> PathBuf {
    env.dirs.config.join(crate::config::FILE_NAME)
}
