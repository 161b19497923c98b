//! Finding the client's program as a shell of this system would.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The client's name.
const NAME: &str = "claude";

/// The extensions of programs in the order in which Windows tries them without `PATHEXT`.
const DEFAULT_PATHEXT: &str = ".COM;.EXE;.BAT;.CMD";

/// The files that can be started; `PATHEXT` may also name those of an interpreter.
const STARTABLE: [&str; 4] = [".com", ".exe", ".bat", ".cmd"];

/// Returns the client's program: `claude` if the system finds it on the PATH, else its path.
pub(super) fn find_client(
    get: &dyn Fn(&str) -> Option<OsString>,
    home: &Path,
    claude_dir: &Path,
) -> PathBuf {
    let search_path = get("PATH").unwrap_or_default();
    let mut directories = std::env::split_paths(&search_path);
    let local = claude_dir.join("local");
    if cfg!(windows) {
        let installed = [home.join(".local").join("bin"), local];
        let extensions = get("PATHEXT").and_then(|list| list.into_string().ok());
        let extensions = extensions.unwrap_or_else(|| DEFAULT_PATHEXT.to_owned());
        let found = find_by_extension(directories.chain(installed), &extensions);
        return found.unwrap_or_else(|| NAME.into());
    }
    let local = local.join(NAME);
    match local.is_file() && !directories.any(|directory| directory.join(NAME).is_file()) {
        true => local,
        false => NAME.into(),
    }
}

/// Returns the first program of the client's name with one of these extensions.
///
/// The system itself would look for an `.exe` alone; npm installs a `claude.cmd`.
fn find_by_extension(
    mut directories: impl Iterator<Item = PathBuf>,
    extensions: &str,
) -> Option<PathBuf> {
    let extensions: Vec<String> = extensions
        .split(';')
        .map(|extension| extension.trim().to_ascii_lowercase())
        .filter(|extension| STARTABLE.contains(&extension.as_str()))
        .collect();
    directories.find_map(|directory| {
        let paths = extensions
            .iter()
            .map(|e| directory.join(format!("{NAME}{e}")));
        paths.into_iter().find(|path| path.is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    #[test]
    fn client_program_is_found_by_extension() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "npm/claude",
            "npm/claude.cmd",
            "npm/claude.ps1",
            "bin/claude.exe",
            "bin/claude.cmd",
        ] {
            write_atomic(&dir.path().join(file), b"").unwrap();
        }
        for (directories, extensions, expected) in [
            (
                &["none", "npm", "bin"][..],
                DEFAULT_PATHEXT,
                Some("npm/claude.cmd"),
            ),
            (&["bin", "npm"], DEFAULT_PATHEXT, Some("bin/claude.exe")),
            (&["bin"], ".PS1;.CMD;.EXE", Some("bin/claude.cmd")),
            (&["npm"], ".PS1;.EXE", None),
            (&[], DEFAULT_PATHEXT, None),
        ] {
            let directories = directories.iter().map(|name| dir.path().join(name));
            let found = find_by_extension(directories, extensions);
            assert_eq!(found, expected.map(|path| dir.path().join(path)));
        }
    }
}
