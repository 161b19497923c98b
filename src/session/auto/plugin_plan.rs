//! The changes that write and remove the plugin.

use std::path::{Path, PathBuf};

use super::super::client_settings::{add_hooks, program_of_hooks};
use super::super::plugin::{
    HOOKS_FILE, MANIFEST, PluginFile, is_own_manifest, plugin_dir, plugin_files,
};
use super::AutoError;
use super::kept::{AutoChange, ClientFileChange, KeptFiles};
use super::paths::plugin_path;
use crate::sys::Env;
use crate::sys::fs::{PathError, read_to_string_if_exists};

/// Returns the change that writes the plugin. A file that the user edited stays, but gets the
/// hooks.
pub(super) fn plan_plugin_on(
    env: &Env,
    program: &str,
    kept: &KeptFiles,
) -> Result<AutoChange, AutoError> {
    let directory = plugin_dir(&env.claude_dir);
    let is_occupied = std::fs::read_dir(&directory).is_ok_and(|mut files| files.next().is_some());
    if is_occupied && !is_own_plugin(env, kept)? {
        return Err(AutoError::Occupied(directory));
    }
    let written = written_files(env)?;
    let mut change = AutoChange::default();
    for file in plugin_files(program) {
        let path = plugin_path(env, file.name);
        let before = read_to_string_if_exists(&path)?;
        let is_edited = |text: &&String| !is_as_written(kept, &path, text, &written);
        let after = match before.as_ref().filter(is_edited) {
            Some(text) if file.name == HOOKS_FILE => {
                add_hooks(text, program).map_err(|source| {
                    let path = path.clone();
                    AutoError::Settings { path, source }
                })?
            }
            Some(_) => {
                change.staying.push(path);
                continue;
            }
            None => file.text,
        };
        change.files.push(ClientFileChange {
            path,
            before,
            after: Some(after),
        });
    }
    Ok(change)
}

/// Returns the change that removes the plugin, if it is there.
pub(super) fn plan_plugin_off(env: &Env, kept: &KeptFiles) -> Result<AutoChange, AutoError> {
    let mut change = AutoChange::default();
    if !is_own_plugin(env, kept)? {
        return Ok(change);
    }
    let written = written_files(env)?;
    // The hooks are last in the list: they are the first to go.
    for file in written.iter().rev() {
        let path = plugin_path(env, file.name);
        let Some(text) = read_to_string_if_exists(&path)? else {
            continue;
        };
        let after = if file.name == HOOKS_FILE {
            match kept.original(&path, &text) {
                Ok(text) => text.filter(|text| !is_without_hooks(text)),
                Err(source) => return Err(AutoError::Settings { path, source }),
            }
        } else {
            let is_edited = !is_as_written(kept, &path, &text, &written);
            is_edited.then(|| text.clone())
        };
        change.files.push(ClientFileChange {
            path,
            before: Some(text),
            after,
        });
    }
    change.staying = staying_files(env, &change.files);
    Ok(change)
}

fn is_own_plugin(env: &Env, kept: &KeptFiles) -> Result<bool, PathError> {
    let manifest = read_to_string_if_exists(&plugin_path(env, MANIFEST))?;
    Ok(kept.has_file_in(&plugin_dir(&env.claude_dir))
        || manifest.is_some_and(|text| is_own_manifest(&text)))
}

/// Returns the files as this program writes them for the program that the plugin names. They tell
/// what is the user's if the record is missing.
fn written_files(env: &Env) -> Result<Vec<PluginFile>, PathError> {
    let hooks = read_to_string_if_exists(&plugin_path(env, HOOKS_FILE))?.unwrap_or_default();
    Ok(plugin_files(&program_of_hooks(&hooks).unwrap_or_default()))
}

fn is_as_written(kept: &KeptFiles, path: &Path, text: &str, written: &[PluginFile]) -> bool {
    let is_equal = |file: &PluginFile| path.ends_with(file.name) && file.text == text;
    kept.of_unchanged(path, text).is_some() || written.iter().any(is_equal)
}

/// Returns true for a file in which only the braces are left.
fn is_without_hooks(text: &str) -> bool {
    let is_empty = |c: char| c.is_whitespace() || matches!(c, '{' | '}');
    text.chars().all(is_empty)
}

/// Lists the files in the plugin's directory that stay.
fn staying_files(env: &Env, changes: &[ClientFileChange]) -> Vec<PathBuf> {
    let is_removed = |path: &Path| {
        let mut changes = changes.iter();
        changes.any(|change| change.path == path && change.after.is_none())
    };
    let files = walkdir::WalkDir::new(plugin_dir(&env.claude_dir)).sort_by_file_name();
    let files = files.into_iter().flatten();
    let files = files.filter(|entry| !entry.file_type().is_dir());
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| !is_removed(path))
        .collect()
}
