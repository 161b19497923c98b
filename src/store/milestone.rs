//! Milestones: names for states of the whole store. One small file each, never changed once it is there.
//!
//! Owns the format of `milestones/<name in lower case>.json` (`docs/dev/format.md`) and the checks on what comes from outside.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, ManifestError, parse_versioned, to_json};
use crate::domain::checked::checked_text;
use crate::domain::id::{CommitId, MachineId, is_reserved_device_name};

/// A milestone's file that is larger is refused unread.
pub(super) const MAX_FILE_BYTES: usize = 16 << 10;

/// The longest name.
const MAX_NAME: usize = 64;

/// The name of a milestone: one path component on every file system, ASCII letters, digits, `.`, `_` and `-`. Names that
/// differ in the case of letters only are one name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MilestoneName(String);

/// Why a text is no name of a milestone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no name for a milestone: 1 to {MAX_NAME} letters, digits, `.`, `_` and `-`, beginning with a letter or digit", .0.escape_debug())]
pub struct InvalidMilestoneName(String);

/// A milestone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Milestone {
    /// Format version of this file.
    pub format: u32,
    /// Its name; in lower case the file's.
    pub name: MilestoneName,
    /// The state that it names: a commit that the store's newest one goes back to.
    pub commit: CommitId,
    /// When it was named, by the clock of its machine.
    pub time: DateTime<Utc>,
    /// Who named it.
    pub machine: MachineId,
}

impl MilestoneName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name by which its file is called.
    pub fn file_stem(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The name that this one gets where another machine was first with it.
    pub(super) fn of_machine(&self, machine: &MachineId) -> Self {
        let suffix = format!("-{}", &machine.as_str()[..8]);
        let stem: String = self.0.chars().take(MAX_NAME - suffix.len()).collect();
        Self(stem + &suffix)
    }
}

impl FromStr for MilestoneName {
    type Err = InvalidMilestoneName;

    fn from_str(text: &str) -> Result<Self, InvalidMilestoneName> {
        let first_ok = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        let all_ok = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let good = first_ok
            && all_ok
            && text.len() <= MAX_NAME
            && !text.ends_with('.')
            && !is_reserved_device_name(text);
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidMilestoneName(text.to_owned()))
        }
    }
}

checked_text!(MilestoneName, InvalidMilestoneName, |text| text.parse());

impl PartialEq for MilestoneName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for MilestoneName {}

impl Milestone {
    /// A milestone of the format that this program writes.
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

    /// Reads and checks the file of this stem.
    ///
    /// # Errors
    /// As for [`super::manifest::Manifest::parse`].
    pub(super) fn parse(stem: &str, json: &[u8]) -> Result<Self, ManifestError> {
        let milestone: Self = parse_versioned(json)?;
        if milestone.name.file_stem() != stem {
            return Err(ManifestError::Inconsistent("it names another milestone"));
        }
        Ok(milestone)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
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
            name("x").unwrap().of_machine(&machine).as_str(),
            "x-abababab"
        );
        assert!(
            name(&"a".repeat(64))
                .unwrap()
                .of_machine(&machine)
                .as_str()
                .parse::<MilestoneName>()
                .is_ok()
        );
    }
}
