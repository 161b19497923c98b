//! The description of a bundle: the extras of one project or of the user.
//!
//! Owns the format of `bundle.json` (`docs/dev/format.md`). The texts are files of their own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::json::{FORMAT, ManifestError, parse_versioned, require, to_json};
use super::manifest::{MAX_PATH_BYTES, PlaceholdersKey, validated};
use crate::domain::{BundleId, MachineId, Placeholders, PortablePath, ProjectKey, RelativeName};

/// Largest text that is stored or read. A file on a machine may have a quarter of it.
pub const MAX_TEXT_BYTES: u64 = 4 << 20;

/// Most text in one bundle: one blob under many names must not fill a disk.
pub const MAX_BUNDLE_TEXT_BYTES: u64 = 256 << 20;

/// Maximum number of files in a bundle.
pub const MAX_FILES: usize = 2000;

/// Maximum number of removed files that a bundle records.
const MAX_REMOVED: usize = 2000;

/// Maximum number of imported texts that a bundle records of one file.
const MAX_IMPORTED: usize = 8;

/// Largest description that is read.
pub const MAX_BUNDLE_BYTES: usize = 4 << 20;

/// The extras of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtrasBundle {
    /// Format version: that of the file is replaced by [`FORMAT`] when the file is read.
    pub format: u32,
    /// The project that owns the files. Absent if the user does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectKey>,
    /// Path of the project's main checkout on the machine that first stored its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PortablePath>,
    /// The placeholders that runs refer to.
    #[serde(default, alias = "roots")]
    pub placeholders: BTreeMap<PlaceholdersKey, Placeholders>,
    /// The files, by name below the owner's directory.
    #[serde(default)]
    pub files: BTreeMap<RelativeName, StoredExtra>,
    /// Files that a machine removed on purpose.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<RelativeName, RemovedExtra>,
    /// Hashes of texts imported from another program's store, by the file that received them. None
    /// is imported twice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub imported: BTreeMap<RelativeName, BTreeSet<String>>,
}

/// One text of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredExtra {
    /// The machine that last stored it.
    #[serde(alias = "by")]
    pub machine: MachineId,
    /// Bytes of portable text.
    pub bytes: u64,
    /// Day of the last change in UTC, for a plan: the oldest plans are removed first.
    #[serde(default, alias = "day", skip_serializing_if = "Option::is_none")]
    pub modified_on: Option<NaiveDate>,
    /// True if its owner may run it, for a file of a skill. Absent if it was never set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
    /// The lines in order, by the placeholders they were collapsed with.
    pub runs: Vec<ExtraRun>,
}

/// Consecutive lines that were collapsed with the same placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraRun {
    /// Number of lines.
    pub lines: u64,
    /// The placeholders. Absent for lines that are the same everywhere and are not expanded.
    #[serde(default, alias = "roots", skip_serializing_if = "Option::is_none")]
    pub placeholders: Option<PlaceholdersKey>,
}

/// A file that was stored, and then removed by a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedExtra {
    /// The machine.
    #[serde(alias = "by")]
    pub machine: MachineId,
}

impl ExtrasBundle {
    /// Returns a bundle without files.
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

    /// Parses and checks the description of the bundle `id`.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(id: &BundleId, json: &[u8]) -> Result<Self, ManifestError> {
        let mut bundle: Self = parse_versioned(json)?;
        bundle.format = FORMAT;
        let owner = bundle.project.as_ref();
        let owner = owner.map_or_else(BundleId::user, BundleId::from_project);
        require(owner == *id, "it belongs to another project")?;
        let key_path = match &bundle.project {
            Some(ProjectKey::Path(path)) => Some(path),
            _ => None,
        };
        let mut paths = bundle.path.iter().chain(key_path);
        require(paths.all(is_safe_project), "invalid project path")?;
        bundle.check_limits()?;
        for (name, file) in &bundle.files {
            require(
                conflicting_name(&bundle.files, name).is_none(),
                "a file has the name of another file's directory",
            )?;
            file.check(&bundle.placeholders)?;
        }

        bundle.placeholders = validated(bundle.placeholders)?;
        Ok(bundle)
    }

    fn check_limits(&self) -> Result<(), ManifestError> {
        require(
            self.files.len() <= MAX_FILES && self.removed.len() <= MAX_REMOVED,
            "it has too many files",
        )?;
        let mut imported = self.imported.values();
        require(
            self.imported.len() <= MAX_FILES && imported.all(|texts| texts.len() <= MAX_IMPORTED),
            "it has too many imported texts",
        )?;
        require(
            self.bytes() <= MAX_BUNDLE_TEXT_BYTES,
            "it has too much text",
        )
    }

    /// Returns the bytes of all texts.
    pub fn bytes(&self) -> u64 {
        self.files
            .values()
            .fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Returns the bytes of `bundle.json`.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }

    /// Records that a file was removed. Of too many, the first by name are forgotten.
    pub fn remove(&mut self, name: &RelativeName, machine: MachineId) {
        self.files.remove(name);
        self.removed.insert(name.clone(), RemovedExtra { machine });
        while self.removed.len() > MAX_REMOVED {
            self.removed.pop_first();
        }
    }

    /// Returns true if a text with this hash was imported into the file before.
    pub fn was_imported(&self, name: &RelativeName, hash: &str) -> bool {
        self.imported
            .get(name)
            .is_some_and(|hashes| hashes.contains(hash))
    }

    /// Records that a text with this hash was imported into the file.
    ///
    /// Texts beyond the limits are forgotten, and may be imported again.
    pub fn record_import(&mut self, name: &RelativeName, hash: &str) {
        if self.imported.len() < MAX_FILES || self.imported.contains_key(name) {
            let hashes = self.imported.entry(name.clone()).or_default();
            while hashes.len() >= MAX_IMPORTED {
                hashes.pop_first();
            }
            hashes.insert(hash.to_owned());
        }
    }

    /// Returns an upper bound of the length of [`Self::to_json`], at little cost.
    pub fn max_json_bytes(&self) -> usize {
        let files = self
            .files
            .iter()
            .map(|(name, file)| file.max_json_bytes(name));
        let removed = self.removed.keys().map(|name| name.as_str().len() + 128);
        let own = Self {
            placeholders: self.placeholders.clone(),
            ..Self::empty(self.project.clone(), self.path.clone())
        };
        files.sum::<usize>() + removed.sum::<usize>() + own.to_json().len()
    }

    /// Removes placeholders that no run refers to.
    pub fn prune_placeholders(&mut self) {
        let runs = self.files.values().flat_map(|file| &file.runs);
        let used: BTreeSet<_> = runs.filter_map(|run| run.placeholders.clone()).collect();
        self.placeholders.retain(|key, _| used.contains(key));
    }
}

impl StoredExtra {
    /// Returns an upper bound of the bytes that this adds to the description.
    pub fn max_json_bytes(&self, name: &RelativeName) -> usize {
        name.as_str().len() + 256 + 128 * self.runs.len()
    }

    fn check(
        &self,
        placeholders: &BTreeMap<PlaceholdersKey, Placeholders>,
    ) -> Result<(), ManifestError> {
        require(
            self.bytes <= MAX_TEXT_BYTES,
            "one of its files is too large",
        )?;
        let mut keys = self.runs.iter().filter_map(|run| run.placeholders.as_ref());
        require(
            keys.all(|key| placeholders.contains_key(key)),
            "a run names unknown placeholders",
        )
    }
}

fn is_safe_project(path: &PortablePath) -> bool {
    let text = path.as_str();
    text.len() <= MAX_PATH_BYTES
        && !text.chars().any(char::is_control)
        && !text.split(['/', '\\']).any(|part| part == "..")
}

/// Returns a file that cannot exist beside `name`: one is the name of a directory of the other.
pub fn conflicting_name<'a, T>(
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
        let machine: MachineId = "0123456789abcdef".repeat(2).parse().unwrap();
        let placeholders = Placeholders::new(
            System::Linux,
            [Placeholder::new(System::Linux, "HOME".parse().unwrap(), "/home/al", None).unwrap()],
        );
        let key = || Some(PlaceholdersKey::new(&placeholders));
        let run = |n: u64| ExtraRun {
            lines: u64::MAX - n,
            placeholders: if n.is_multiple_of(2) { key() } else { None },
        };
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
                machine: machine.clone(),
                bytes: u64::MAX,
                modified_on: NaiveDate::from_ymd_opt(2026, 11, 21),
                executable: Some(false),
                runs: (0..n).map(run).collect(),
            };
            bundle.files.insert(name.clone(), file);
            bundle.remove(
                &RelativeName::new(format!("{name}.old")).unwrap(),
                machine.clone(),
            );
            let (bound, bytes) = (bundle.max_json_bytes(), bundle.to_json().len());
            assert!(
                bytes <= bound && bound < 4 * bytes + 4096,
                "{bytes} {bound}"
            );
        }
    }

    #[test]
    fn bundle_invalid_description_is_refused() {
        let machine = "0123456789abcdef".repeat(2);
        let file =
            |bytes: u64| serde_json::json!({ "machine": machine, "bytes": bytes, "runs": [] });
        assert!(
            parsed(&serde_json::json!({ "format": 2, "files": { "CLAUDE.md": file(9) } })).is_ok()
        );
        for bad in [
            serde_json::json!({ "format": FORMAT + 1 }),
            serde_json::json!({ "format": 2, "files": { "../x": file(9) } }),
            serde_json::json!({ "format": 2, "files": { "a": file(9), "a/b": file(9) } }),
            serde_json::json!({ "format": 2, "files": { "x": file(1 << 40) } }),
            serde_json::json!({ "format": 2, "files": (0..65).map(|n| (format!("{n}"), file(4 << 20))).collect::<BTreeMap<_, _>>() }),
            serde_json::json!({ "format": 2, "project": { "path": "/x" } }),
            serde_json::json!({ "format": 2, "path": "{{HOME}}/../x" }),
            serde_json::json!({ "format": 2, "files": { "x":
                { "machine": machine, "bytes": 1, "runs": [{ "lines": 1, "placeholders": "0123456789abcdef" }] } } }),
        ] {
            assert!(parsed(&bad).is_err(), "{bad}");
        }
    }
}
