//! Changes of the client's files, and the record of what they were before.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::super::client_settings::{SettingsError, without_own_parts};
use super::super::plugin::plugin_dir;
use crate::sys::Env;
use crate::sys::fs::{PathError, remove_file_if_exists, write_atomic};

/// A change of a file, not yet made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFileChange {
    /// The file, links resolved.
    pub path: PathBuf,
    /// Its text; `None`: there is no file.
    pub before: Option<String>,
    /// Its new text; `None`: the file is removed.
    pub after: Option<String>,
}

impl ClientFileChange {
    /// Returns true if there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }

    pub(super) fn make(&self) -> Result<(), PathError> {
        match &self.after {
            _ if self.is_empty() => Ok(()),
            Some(text) => write_with_same_rights(&self.path, text),
            None => remove_file_if_exists(&self.path).map(drop),
        }
    }
}

/// Changes of the client's files, not yet made.
#[derive(Debug, Default)]
pub struct AutoChange {
    /// The changes.
    pub files: Vec<ClientFileChange>,
    /// Files in the plugin's directory that stay, because the user wrote or edited them.
    pub staying: Vec<PathBuf>,
}

impl AutoChange {
    /// Returns true if there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.files.iter().all(ClientFileChange::is_empty)
    }
}

/// A file before and after this program wrote it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptFile {
    pub(super) path: PathBuf,
    /// `None`: there was no file.
    pub(super) before: Option<String>,
    pub(super) after: String,
}

/// The files of the client that this program has written, and the directories that it has made for
/// them. In the state directory.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct KeptFiles {
    files: Vec<KeptFile>,
    directories: Vec<PathBuf>,
}

impl KeptFiles {
    /// Reads the record. Without it, files are not restored byte for byte.
    pub(super) fn read(env: &Env) -> Self {
        let json = std::fs::read(path(env)).unwrap_or_default();
        serde_json::from_slice(&json).unwrap_or_default()
    }

    fn write(&self, env: &Env) -> Result<(), PathError> {
        if self.files.is_empty() {
            return remove_file_if_exists(&path(env)).map(drop);
        }
        let json = serde_json::to_vec(self).expect("texts are JSON");
        write_atomic(&path(env), &json)
    }

    /// Returns the record of a file, if that still is as it was written.
    pub(super) fn of_unchanged(&self, path: &Path, text: &str) -> Option<&KeptFile> {
        let mut files = self.files.iter();
        files.find(|kept| kept.path == path && kept.after == text)
    }

    /// Returns the text that a file with hooks had before this program wrote it, or its text
    /// without this program's parts.
    pub(super) fn original(
        &self,
        path: &Path,
        text: &str,
    ) -> Result<Option<String>, SettingsError> {
        let kept = self.of_unchanged(path, text);
        match kept.filter(|kept| !has_own_parts(kept.before.as_deref())) {
            Some(kept) => Ok(kept.before.clone()),
            None => without_own_parts(text).map(Some),
        }
    }

    /// Returns true if this program has written a file of a directory.
    pub(super) fn has_file_in(&self, directory: &Path) -> bool {
        let mut files = self.files.iter();
        files.any(|kept| kept.path.starts_with(directory))
    }

    /// Records changes that are about to be made.
    pub(super) fn record(
        &mut self,
        changes: &[ClientFileChange],
        env: &Env,
    ) -> Result<(), PathError> {
        for change in changes.iter().filter(|change| !change.is_empty()) {
            let known = change.before.as_ref();
            let known = known.and_then(|text| self.of_unchanged(&change.path, text));
            let before = match known {
                // This program wrote it before: what was there before that is kept.
                Some(kept) => kept.before.clone(),
                None => change.before.clone(),
            };
            self.files.retain(|kept| kept.path != change.path);
            if let Some(after) = change.after.clone().filter(|_| before != change.after) {
                self.directories
                    .extend(missing_directories(env, &change.path));
                self.files.push(KeptFile {
                    path: change.path.clone(),
                    before,
                    after,
                });
            }
        }
        self.directories.sort();
        self.directories.dedup();
        self.write(env)
    }

    /// Forgets files that were restored.
    pub(super) fn forget(&mut self, changes: &[ClientFileChange]) {
        let is_restored = |path: &Path| changes.iter().any(|change| change.path == path);
        self.files.retain(|kept| !is_restored(&kept.path));
    }

    /// Removes the directories that were made for files, and those of removed files of the plugin,
    /// if they are empty.
    pub(super) fn remove_directories(
        &mut self,
        changes: &[ClientFileChange],
        env: &Env,
    ) -> Result<(), PathError> {
        let plugin = plugin_dir(&env.claude_dir);
        let removed = changes.iter().filter(|change| change.after.is_none());
        let above = removed.flat_map(|change| change.path.ancestors().skip(1));
        let of_plugin = above.filter(|directory| directory.starts_with(&plugin));
        let mut candidates: Vec<PathBuf> = of_plugin.map(Path::to_owned).collect();
        candidates.append(&mut self.directories);
        candidates.sort();
        candidates.dedup();

        // One that is below another one comes first.
        for directory in candidates.into_iter().rev() {
            if std::fs::remove_dir(&directory).is_err() && directory.exists() {
                self.directories.push(directory);
            }
        }
        self.write(env)
    }
}

fn has_own_parts(settings: Option<&str>) -> bool {
    let text = settings.unwrap_or_default();
    without_own_parts(text).is_ok_and(|without| without != text)
}

/// Lists the directories of a file that are missing, below that of the client.
fn missing_directories(env: &Env, path: &Path) -> Vec<PathBuf> {
    let directories = path.ancestors().skip(1);
    let below = directories.take_while(|directory| {
        directory.starts_with(&env.claude_dir) && *directory != env.claude_dir
    });
    let missing = below.filter(|directory| !directory.exists());
    missing.map(Path::to_owned).collect()
}

fn write_with_same_rights(path: &Path, text: &str) -> Result<(), PathError> {
    let rights = std::fs::metadata(path)
        .map(|metadata| metadata.permissions())
        .ok();
    write_atomic(path, text.as_bytes())?;
    if let Some(rights) = rights {
        std::fs::set_permissions(path, rights).map_err(|e| PathError::new("write", path, e))?;
    }
    Ok(())
}

fn path(env: &Env) -> PathBuf {
    env.dirs.state.join("client-settings.json")
}
