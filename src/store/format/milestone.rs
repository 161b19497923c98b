//! A milestone: a name for a state of the whole store, in a small file that never changes.
//!
//! Owns the format of `milestones/<name in lower case>.json` (`docs/dev/format.md`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::json::{FORMAT, ManifestError, parse_versioned, require, to_json};
use crate::domain::checked::{checked_text, ensure};
use crate::domain::id::{CommitId, MachineId, is_reserved_device_name};

/// Largest file of a milestone that is read.
pub(crate) const MAX_FILE_BYTES: usize = 16 << 10;

/// Longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The name of a milestone: ASCII letters, digits, `.`, `_` and `-`.
///
/// It is a valid file name on every system. Names that differ only in case are the same name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MilestoneName(String);

/// A text is not a valid name of a milestone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid milestone name `{}`: use 1 to {MAX_NAME_BYTES} letters, digits, `.`, `_` and `-`, \
     beginning with a letter or digit",
    .0.escape_debug()
)]
pub struct InvalidMilestoneName(String);

/// A name for a commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Milestone {
    /// Format version of this file.
    pub format: u32,
    /// Its name. In lower case, it is the name of the file.
    pub name: MilestoneName,
    /// The named state: a commit in the history of the store.
    pub commit: CommitId,
    /// When it was named, by the clock of the machine.
    pub time: DateTime<Utc>,
    /// The machine that named it.
    pub machine: MachineId,
}

impl MilestoneName {
    /// Returns the name of its file without `.json`.
    pub fn file_stem(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Returns the name that replaces this one if another machine was first to use it.
    pub(crate) fn with_machine(&self, machine: &MachineId) -> Self {
        let suffix = format!("-{}", machine.short());
        let stem: String = self.0.chars().take(MAX_NAME_BYTES - suffix.len()).collect();
        Self(stem + &suffix)
    }
}

fn check_name(text: &str) -> Result<(), InvalidMilestoneName> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let is_valid = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(is_allowed)
        && text.len() <= MAX_NAME_BYTES
        && !text.ends_with('.')
        && !is_reserved_device_name(text);
    ensure(is_valid, || InvalidMilestoneName(text.to_owned()))
}

checked_text!(MilestoneName, InvalidMilestoneName, check_name);

impl PartialEq for MilestoneName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for MilestoneName {}

impl Milestone {
    /// Returns a milestone in the current format.
    pub fn new(
        name: MilestoneName,
        commit: CommitId,
        time: DateTime<Utc>,
        machine: MachineId,
    ) -> Self {
        Self {
            format: FORMAT,
            name,
            commit,
            time,
            machine,
        }
    }

    /// Parses and checks the file of this name without `.json`.
    pub(crate) fn parse(stem: &str, json: &[u8]) -> Result<Self, ManifestError> {
        let milestone: Self = parse_versioned(json)?;
        require(
            milestone.name.file_stem() == stem,
            "it names another milestone",
        )?;
        Ok(milestone)
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        to_json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestone_name_is_one_safe_path_component() {
        let name = |text: &str| text.parse::<MilestoneName>();
        assert_eq!(
            name("Before-the_move.2").unwrap(),
            name("before-the_move.2").unwrap()
        );
        let long = "a".repeat(65);
        for bad in [
            "",
            ".",
            "..",
            ".git",
            "a/b",
            "a\\b",
            "nul",
            "COM1.x",
            "a.",
            "a b",
            "é",
            "a\u{202e}",
            "-x",
            long.as_str(),
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
        let machine: MachineId = "ab".repeat(16).parse().unwrap();
        assert_eq!(
            name("x").unwrap().with_machine(&machine).as_str(),
            "x-abababab"
        );
        assert!(
            name(&"a".repeat(64))
                .unwrap()
                .with_machine(&machine)
                .as_str()
                .parse::<MilestoneName>()
                .is_ok()
        );
    }
}
