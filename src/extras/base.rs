//! What a file was when this machine and the store last agreed on it: the past of a three-way comparison, and how that lies on the disk.
//!
//! A base is named by its content, so that nothing is written twice. One that is missing or damaged is as good as none.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::placeholder::Placeholders;
use crate::extras::text_file::TextFile;
use crate::store::bundle::ExtraRun;
use crate::store::manifest::PlaceholdersKey;
use crate::sys::fs::{PathError, write_cache};

/// A file when it was last in step with the store.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// As the store had it, or took it over.
    pub(crate) doc: TextFile,
    /// As it was here.
    pub(crate) local: String,
    /// Its owner could run it here.
    pub(crate) executable: bool,
    /// Whether that is how `doc` reads here; else it is what this machine keeps in its place.
    pub(crate) is_reading: bool,
}

/// How a base lies on the disk.
#[derive(Serialize, Deserialize)]
struct BaseFile {
    format: u32,
    text: String,
    runs: Vec<ExtraRun>,
    #[serde(rename = "roots")]
    placeholders: BTreeMap<PlaceholdersKey, Placeholders>,
    /// Absent where the text reads here as it is in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    local: Option<String>,
    /// Whether its owner may run it, as the store has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    /// The same, as it was here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    executable_here: bool,
    /// As in [`Base`].
    is_reading: bool,
}

impl Base {
    /// The base of this name in the directory `bases`.
    pub(crate) fn read(bases: &Path, name: &str) -> Option<Self> {
        let json = std::fs::read(bases.join(name)).ok()?;
        let file: BaseFile = serde_json::from_slice(&json).ok()?;
        let doc = TextFile::of_stored(&file.text, &file.runs, file.executable, &file.placeholders)
            .ok()?;
        let (executable, is_reading) = (file.executable_here, file.is_reading);
        Some(Self {
            doc,
            local: file.local.unwrap_or(file.text),
            executable,
            is_reading,
        })
    }

    /// Writes it to the directory `bases`, and gives its name.
    pub(crate) fn write(&self, bases: &Path) -> Result<String, PathError> {
        let text = self.doc.text();
        let file = BaseFile {
            format: 1,
            local: (self.local != text).then(|| self.local.clone()),
            text,
            runs: self.doc.runs(),
            placeholders: self.doc.sets.clone(),
            executable: self.doc.executable,
            executable_here: self.executable,
            is_reading: self.is_reading,
        };
        let json = serde_json::to_vec(&file)
            .expect("maps with text keys and plain values always serialise");
        let name = blake3::hash(&json).to_hex()[..32].to_owned();
        let path = bases.join(&name);
        if !path.exists() {
            write_cache(&path, &json)?;
        }
        Ok(name)
    }
}
