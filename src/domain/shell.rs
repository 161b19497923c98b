//! Commands as the user can type them.

use std::path::Path;

/// Returns a path as one word of a command line.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-@:+=,".contains(c);
    if text.chars().all(is_plain) {
        text
    } else if cfg!(windows) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Returns the command that shows who may use what is at `path`.
pub fn show_rights(path: &Path) -> String {
    let program = if cfg!(windows) { "icacls" } else { "ls -ld" };
    format!("{program} {}", shell_word(path))
}

/// Returns the command that lists a directory.
pub fn show_directory(path: &Path) -> String {
    let program = if cfg!(windows) { "dir" } else { "ls -la" };
    format!("{program} {}", shell_word(path))
}

/// Returns the command that lists all programs of a name on the PATH.
pub fn show_programs(name: &str) -> String {
    let program = if cfg!(windows) {
        "where.exe"
    } else {
        "which -a"
    };
    format!("{program} {name}")
}
