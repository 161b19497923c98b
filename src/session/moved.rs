//! The directories that the client's settings move to another place (client 2.1.332).

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::clean_up::MAX_SETTINGS_BYTES;
use crate::domain::ExtraKind;
use crate::sys::fs::{look_in_time, read_plain_file};

/// The settings that move a directory, and the kind of the files in it.
const SETTINGS: [(&str, ExtraKind); 2] = [
    ("autoMemoryDirectory", ExtraKind::Memory),
    ("plansDirectory", ExtraKind::Plans),
];

/// A directory that is not at its usual place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedDirectory {
    /// The kind of the files in it.
    pub kind: ExtraKind,
    /// The directory, as the setting says it.
    pub directory: String,
    /// Name of the setting.
    pub setting: &'static str,
    /// The file with the setting.
    pub file: PathBuf,
}

/// Lists the directories that the settings in `directory`, a `.claude`, move. None if the disk does
/// not answer.
pub fn moved_directories(directory: &Path) -> Vec<MovedDirectory> {
    look_in_time(directory, read_moved).unwrap_or_default()
}

fn read_moved(directory: &Path) -> Vec<MovedDirectory> {
    let mut moved = Vec::new();
    for name in ["settings.json", "settings.local.json"] {
        let file = directory.join(name);
        let json = read_plain_file(&file, MAX_SETTINGS_BYTES).unwrap_or_default();
        let settings: Value = serde_json::from_slice(&json).unwrap_or_default();
        for (setting, kind) in SETTINGS {
            let directory = settings.get(setting).and_then(Value::as_str);
            if let Some(directory) = directory.filter(|directory| !directory.is_empty()) {
                moved.push(MovedDirectory {
                    kind,
                    directory: directory.to_owned(),
                    setting,
                    file: file.clone(),
                });
            }
        }
    }
    moved
}
