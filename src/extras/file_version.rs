//! A version of a file in both forms, portable and local, and its copy on disk.
//!
//! The version on which this machine and the store last agreed is the base of a three-way
//! comparison. It is kept on disk, named by its content. A missing or damaged one counts as
//! unknown.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::Placeholders;
use crate::extras::text_file::TextFile;
use crate::store::{bundle::ExtraRun, manifest::PlaceholdersKey};
use crate::sys::{fs::PathError, fs::write_cache};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileVersion {
    /// The text in the store.
    pub(crate) file: TextFile,
    /// The text on this machine.
    pub(crate) local: String,
    /// The owner of the local file may execute it.
    pub(crate) executable: bool,
    /// `local` is `file` with local paths. Else it is what the user kept instead of `file`.
    pub(crate) is_localized: bool,
}

/// A [`FileVersion`] on disk.
#[derive(Serialize, Deserialize)]
struct StoredVersionFile {
    format: u32,
    text: String,
    runs: Vec<ExtraRun>,
    #[serde(alias = "roots")]
    placeholders: BTreeMap<PlaceholdersKey, Placeholders>,
    /// Absent if the local text is the stored one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    local: Option<String>,
    /// The right to be executed that the store has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    executable_here: bool,
    #[serde(alias = "is_reading")]
    is_localized: bool,
}

impl FileVersion {
    /// Reads the version `name` from `directory`.
    pub(crate) fn read(directory: &Path, name: &str) -> Option<Self> {
        let json = std::fs::read(directory.join(name)).ok()?;
        let stored: StoredVersionFile = serde_json::from_slice(&json).ok()?;
        let file = TextFile::from_stored(
            &stored.text,
            &stored.runs,
            stored.executable,
            &stored.placeholders,
        );
        Some(Self {
            file: file.ok()?,
            local: stored.local.unwrap_or(stored.text),
            executable: stored.executable_here,
            is_localized: stored.is_localized,
        })
    }

    /// Writes the version to `directory`, and returns its name there.
    pub(crate) fn write(&self, directory: &Path) -> Result<String, PathError> {
        let text = self.file.text();
        let stored = StoredVersionFile {
            format: 1,
            local: (self.local != text).then(|| self.local.clone()),
            text,
            runs: self.file.runs(),
            placeholders: self.file.sets.clone(),
            executable: self.file.executable,
            executable_here: self.executable,
            is_localized: self.is_localized,
        };
        let json = serde_json::to_vec(&stored)
            .expect("maps with text keys and plain values always serialise");
        let name = blake3::hash(&json).to_hex()[..32].to_owned();
        let path = directory.join(&name);
        if !path.exists() {
            write_cache(&path, &json)?;
        }
        Ok(name)
    }
}
