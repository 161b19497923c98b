//! Files of the state directory that had other names in an older ccsync.
//!
//! Owns their renaming. Must not know what they contain. `told/` is not renamed: it has notices
//! that a running Claude Code reads by their path.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::fs::PathError;

/// Names of files and directories, each with the former one.
const RENAMED: [(&str, &str); 6] = [
    ("checkouts.json", "clones.json"),
    ("deleted.json", "gone.json"),
    ("extras", "prose"),
    ("lock-children", "lock-family"),
    ("lock-observations.json", "lock-sightings.json"),
    ("pinned.json", "held.json"),
];

/// Renames the files of an older ccsync in the state directory. Needs the process lock.
///
/// The next call continues after an interruption.
///
/// # Errors
/// [`PathError`]
pub fn rename_former_files(state: &Path) -> Result<(), PathError> {
    for (name, former) in RENAMED {
        let (path, former) = (state.join(name), state.join(former));
        if former.exists() && !path.exists() {
            fs::rename(&former, &path).map_err(|e| PathError::new("rename", &former, e))?;
        }
    }
    Ok(())
}

/// Returns the path of a file in the state directory, which a command without the process lock may
/// find under its former name.
pub fn existing_file(state: &Path, name: &str) -> PathBuf {
    let path = state.join(name);
    let former = RENAMED.iter().find(|(renamed, _)| *renamed == name);
    match former.map(|(_, former)| state.join(former)) {
        Some(former) if former.exists() && !path.exists() => former,
        _ => path,
    }
}
