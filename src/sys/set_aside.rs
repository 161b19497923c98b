//! Moving damaged files and directories aside, so that they can be replaced without a loss.

use std::path::{Path, PathBuf};

use crate::domain::shell::shell_word;

/// Returns the names that a damaged file or directory may be moved to, the first choice first.
pub fn damaged_names(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let path = path.to_owned();
    let numbers = std::iter::once(String::new()).chain((2..100).map(|n| format!("-{n}")));
    numbers.map(move |number| path.with_file_name(format!("{name}.damaged{number}")))
}

/// Returns the command that moves `path` to a free one of its [`damaged_names`].
pub fn move_aside_command(path: &Path) -> String {
    let free = damaged_names(path).find(|name| !name.exists());
    format!(
        "{} {} {}",
        if cfg!(windows) { "move" } else { "mv" },
        shell_word(path),
        shell_word(&free.unwrap_or_else(|| path.to_owned()))
    )
}
