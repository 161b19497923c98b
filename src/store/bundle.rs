//! What the store says of a shelf: the prose and the settings of one project or of the user.
//!
//! Owns the format of `shelf.json` (`docs/dev/format.md`) and the checks on what comes from outside. The texts lie beside it, one file
//! each. Must not do I/O.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, ManifestError, PlaceholdersKey, parse_versioned, to_json};
use crate::domain::extras::{BundleId, ProjectKey};
use crate::domain::id::MachineId;
use crate::domain::path::{PortablePath, RelativeName};
use crate::domain::placeholder::Placeholders;

/// The longest text that is stored or read; what lies on a machine may have a quarter of it.
pub const MAX_TEXT_BYTES: u64 = 4 << 20;

/// The most text on one shelf: one blob under many names must not fill a disk.
pub const MAX_SHELF_TEXT: u64 = 256 << 20;

/// More files than these are no notes.
pub const MAX_FILES: usize = 2000;

/// How many removed files a shelf remembers.
const MAX_REMOVED: usize = 2000;

/// How many imported texts a shelf remembers of one file.
const MAX_IMPORTED: usize = 8;

/// A description longer than this is refused unread.
pub const MAX_SHELF_BYTES: usize = 4 << 20;

/// The prose and the settings of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtrasBundle {
    /// Format version of this description.
    pub format: u32,
    /// Whose memory it is; absent: the files are the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectKey>,
    /// Where the project's main checkout was on the machine that stored its memory first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PortablePath>,
    /// The root sets that runs refer to.
    #[serde(default)]
    #[serde(rename = "roots")]
    pub placeholders: BTreeMap<PlaceholdersKey, Placeholders>,
    /// The files, by their name below the owner's directory.
    #[serde(default)]
    pub files: BTreeMap<RelativeName, StoredExtra>,
    /// Files that somebody removed on purpose.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<RelativeName, RemovedExtra>,
    /// Hashes of texts that came from another program's store, by the file they were put into: none is put there twice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub imported: BTreeMap<RelativeName, BTreeSet<String>>,
}

/// One text of a shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredExtra {
    /// The machine that stored it last.
    pub by: MachineId,
    /// Bytes of portable text.
    pub bytes: u64,
    /// The day on which it was written last (UTC), of a plan: the oldest go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<NaiveDate>,
    /// Whether its owner may run it, of a file of a skill; absent: nobody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
    /// Which lines were collapsed with which roots, in order.
    pub runs: Vec<ExtraRun>,
}

/// Consecutive lines that read in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraRun {
    /// How many.
    pub lines: u64,
    /// The roots they were collapsed with; absent: they read alike everywhere and are not expanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "roots")]
    pub placeholders: Option<PlaceholdersKey>,
}

/// A file that a machine had as it was stored, and removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedExtra {
    /// The machine.
    pub by: MachineId,
}

impl ExtrasBundle {
    /// A shelf without files.
    pub fn empty(project: Option<ProjectKey>, path: Option<PortablePath>) -> Self {
        let (placeholders, files, removed, imported) = Default::default();
        Self {
            format: FORMAT,
            project,
            path,
            placeholders,
            files,
            removed,
            imported,
        }
    }

    /// Reads and checks the description of the shelf `id`.
    ///
    /// # Errors
    /// As for [`super::manifest::Manifest::parse`].
    pub fn parse(id: &BundleId, json: &[u8]) -> Result<Self, ManifestError> {
        let mut bundle: Self = parse_versioned(json)?;
        let whose = bundle
            .project
            .as_ref()
            .map_or_else(BundleId::user, BundleId::of_project);
        if whose != *id {
            return Err(ManifestError::Inconsistent("it belongs to another project"));
        }
        let path_of = |key: &ProjectKey| {
            if let ProjectKey::Path(path) = key {
                Some(path.clone())
            } else {
                None
            }
        };
        for path in bundle
            .path
            .iter()
            .cloned()
            .chain(bundle.project.as_ref().and_then(path_of))
        {
            check_path(&path)?;
        }
        if bundle.files.len() > MAX_FILES || bundle.removed.len() > MAX_REMOVED {
            return Err(ManifestError::Inconsistent(
                "it names more files than any shelf has",
            ));
        }
        let is_too_long = |hashes: &BTreeSet<String>| hashes.len() > MAX_IMPORTED;
        if bundle.imported.len() > MAX_FILES || bundle.imported.values().any(is_too_long) {
            return Err(ManifestError::Inconsistent(
                "more was imported than any shelf remembers",
            ));
        }
        if bundle.bytes() > MAX_SHELF_TEXT {
            return Err(ManifestError::Inconsistent(
                "it holds more text than any shelf has",
            ));
        }
        if bundle
            .files
            .keys()
            .any(|name| in_the_way(&bundle.files, name).is_some())
        {
            return Err(ManifestError::Inconsistent(
                "one of its files has the name of a directory of another",
            ));
        }
        for file in bundle.files.values() {
            file.check(&bundle.placeholders)?;
        }
        let placeholders = std::mem::take(&mut bundle.placeholders);
        for (key, set) in placeholders {
            bundle.placeholders.insert(key, set.validated()?);
        }
        Ok(bundle)
    }

    /// Bytes of all its texts.
    pub fn bytes(&self) -> u64 {
        self.files
            .values()
            .fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// The bytes of `shelf.json`.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// Remembers that a file was removed; of too many the first by name are forgotten.
    pub fn remove(&mut self, name: &RelativeName, by: MachineId) {
        self.files.remove(name);
        self.removed.insert(name.clone(), RemovedExtra { by });
        while self.removed.len() > MAX_REMOVED {
            self.removed.pop_first();
        }
    }

    /// Whether a text with this hash has come into the file before.
    pub fn was_imported(&self, name: &RelativeName, hash: &str) -> bool {
        self.imported
            .get(name)
            .is_some_and(|hashes| hashes.contains(hash))
    }

    /// Remembers that a text with this hash has come into the file. What is too much is forgotten: then it may come again.
    pub fn note_import(&mut self, name: &RelativeName, hash: &str) {
        if self.imported.len() < MAX_FILES || self.imported.contains_key(name) {
            let hashes = self.imported.entry(name.clone()).or_default();
            while hashes.len() >= MAX_IMPORTED {
                hashes.pop_first();
            }
            hashes.insert(hash.to_owned());
        }
    }

    /// At least as many bytes as [`Self::to_json`] has, at little cost.
    pub fn json_bytes_at_most(&self) -> usize {
        let files: usize = self
            .files
            .iter()
            .map(|(name, file)| file.json_bytes_at_most(name))
            .sum();
        let removed: usize = self
            .removed
            .keys()
            .map(|name| name.as_str().len() + 128)
            .sum();
        let own = Self {
            placeholders: self.placeholders.clone(),
            ..Self::empty(self.project.clone(), self.path.clone())
        };
        files + removed + own.to_json().len()
    }

    /// Drops root sets that no run refers to.
    pub fn prune_placeholders(&mut self) {
        let runs = self.files.values().flat_map(|file| &file.runs);
        let used: std::collections::BTreeSet<_> =
            runs.filter_map(|run| run.placeholders.clone()).collect();
        self.placeholders.retain(|key, _| used.contains(key));
    }
}

impl StoredExtra {
    /// At least as many bytes as this adds to the description of a shelf.
    pub fn json_bytes_at_most(&self, name: &RelativeName) -> usize {
        name.as_str().len() + 256 + 128 * self.runs.len()
    }

    fn check(
        &self,
        placeholders: &BTreeMap<PlaceholdersKey, Placeholders>,
    ) -> Result<(), ManifestError> {
        if self.bytes > MAX_TEXT_BYTES {
            return Err(ManifestError::Inconsistent(
                "one of its files is larger than any text",
            ));
        }
        if self.runs.iter().any(|run| {
            run.placeholders
                .as_ref()
                .is_some_and(|key| !placeholders.contains_key(key))
        }) {
            return Err(ManifestError::Inconsistent(
                "a run names roots that are not listed",
            ));
        }
        Ok(())
    }
}

fn check_path(path: &PortablePath) -> Result<(), ManifestError> {
    let text = path.as_str();
    let bad = text.len() > 32 << 10
        || text.chars().any(char::is_control)
        || text.split(['/', '\\']).any(|p| p == "..");
    if bad {
        Err(ManifestError::Inconsistent("its project leads elsewhere"))
    } else {
        Ok(())
    }
}

/// A file among `files` that has the name of a directory in which `name` lies, or that lies in a directory of that name.
pub fn in_the_way<'a, T>(
    files: &'a BTreeMap<RelativeName, T>,
    name: &RelativeName,
) -> Option<&'a RelativeName> {
    let below = |name: &str, directory: &str| {
        name.strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    files
        .keys()
        .find(|other| below(name.as_str(), other.as_str()) || below(other.as_str(), name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::placeholder::{Placeholder, System};

    fn parsed(json: &serde_json::Value) -> Result<ExtrasBundle, ManifestError> {
        ExtrasBundle::parse(&BundleId::user(), json.to_string().as_bytes())
    }

    #[test]
    fn bundle_description_fits_estimated_size() {
        let by: MachineId = "0123456789abcdef".repeat(2).parse().unwrap();
        let placeholders = Placeholders::new(
            System::Linux,
            [Placeholder::new(System::Linux, "HOME".parse().unwrap(), "/home/al", None).unwrap()],
        );
        let key = || Some(PlaceholdersKey::of(&placeholders));
        let run = |n: u64| ExtraRun {
            lines: u64::MAX - n,
            placeholders: if n.is_multiple_of(2) { key() } else { None },
        };
        let day = NaiveDate::from_ymd_opt(2026, 11, 21);
        let mut bundle = ExtrasBundle::empty(None, None);
        bundle
            .placeholders
            .insert(key().unwrap(), placeholders.clone());
        for n in 0..20_u64 {
            let name = RelativeName::new(format!(
                "skills/x{}/目 {n}.md",
                "x".repeat(usize::try_from(n * 9).unwrap())
            ))
            .unwrap();
            let file = StoredExtra {
                by: by.clone(),
                bytes: u64::MAX,
                day,
                executable: Some(false),
                runs: (0..n).map(run).collect(),
            };
            bundle.files.insert(name.clone(), file);
            bundle.remove(
                &RelativeName::new(format!("{name}.old")).unwrap(),
                by.clone(),
            );
            let (bound, bytes) = (bundle.json_bytes_at_most(), bundle.to_json().len());
            assert!(
                bytes <= bound && bound < 4 * bytes + 4096,
                "{bytes} {bound}"
            );
        }
    }

    #[test]
    fn bundle_invalid_description_is_refused() {
        let by = "0123456789abcdef".repeat(2);
        let file = |bytes: u64| serde_json::json!({ "by": by, "bytes": bytes, "runs": [] });
        assert!(
            parsed(&serde_json::json!({ "format": 1, "files": { "CLAUDE.md": file(9) } })).is_ok()
        );
        for bad in [
            serde_json::json!({ "format": 2 }),
            serde_json::json!({ "format": 1, "files": { "../x": file(9) } }),
            serde_json::json!({ "format": 1, "files": { "a": file(9), "a/b": file(9) } }),
            serde_json::json!({ "format": 1, "files": { "x": file(1 << 40) } }),
            serde_json::json!({ "format": 1, "files": (0..65).map(|n| (format!("{n}"), file(4 << 20))).collect::<BTreeMap<_, _>>() }),
            serde_json::json!({ "format": 1, "project": { "path": "/x" } }),
            serde_json::json!({ "format": 1, "path": "{{HOME}}/../x" }),
            serde_json::json!({ "format": 1, "files": { "x":
                { "by": by, "bytes": 1, "runs": [{ "lines": 1, "roots": "0123456789abcdef" }] } } }),
        ] {
            assert!(parsed(&bad).is_err(), "{bad}");
        }
    }
}
