//! The client's files that have hooks.

use std::path::PathBuf;

use super::super::files::join_parts;
use super::super::plugin::plugin_dir;
use crate::sys::Env;
use crate::sys::fs::resolve_links;

/// Settings are often a link to a file that the user keeps in a repository.
pub(super) fn settings_path(env: &Env) -> PathBuf {
    resolve_links(&env.claude_dir.join("settings.json"))
}

/// Returns the path of a file of the plugin.
pub(super) fn plugin_path(env: &Env, name: &str) -> PathBuf {
    join_parts(plugin_dir(&env.claude_dir), name)
}
