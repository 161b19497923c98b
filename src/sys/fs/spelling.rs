//! Directories whose names are spelled with other characters here than elsewhere.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::served_disks::look_in_time;
use crate::domain::composed;

/// Returns `path` as its directories are spelled on this disk. A part without a directory stays as
/// it is.
pub fn existing_spelling(path: String) -> String {
    if path.is_ascii() {
        return path;
    }
    look_in_time(Path::new(&path), find_spelling)
        .flatten()
        .unwrap_or(path)
}

fn find_spelling(path: &Path) -> Option<String> {
    if path.exists() {
        return None;
    }
    let mut spelled = PathBuf::new();
    for part in path {
        let next = spelled.join(part);
        let next = match next.exists() {
            true => next,
            false => same_directory(&spelled, part).unwrap_or(next),
        };
        spelled = next;
    }
    spelled.into_os_string().into_string().ok()
}

/// Returns the directory in `parent` whose name is another spelling of `name`, the first of
/// several.
fn same_directory(parent: &Path, name: &OsStr) -> Option<PathBuf> {
    let name = name.to_str().filter(|name| !name.is_ascii())?;
    let is_same = |path: &PathBuf| {
        let other = path.file_name().and_then(OsStr::to_str);
        other.is_some_and(|other| composed(other) == composed(name)) && path.is_dir()
    };
    let entries = fs::read_dir(parent).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_same)
        .min()
}

// Linux and Windows keep both spellings apart.
#[cfg(all(test, not(target_os = "macos")))]
mod tests {
    use super::*;

    #[test]
    fn fs_spelling_is_that_of_existing_directories() {
        let dir = tempfile::tempdir().unwrap();
        let path = |tail: &str| format!("{}/{tail}", dir.path().to_str().unwrap());
        fs::create_dir_all(path("e\u{301}/u\u{308}")).unwrap();
        for (asked, spelled) in [
            ("\u{e9}/\u{fc}", "e\u{301}/u\u{308}"),
            ("\u{e9}/\u{fc}/\u{f6}", "e\u{301}/u\u{308}/\u{f6}"),
            ("e/\u{fc}", "e/\u{fc}"),
        ] {
            assert_eq!(existing_spelling(path(asked)), path(spelled));
        }
        fs::create_dir(path("\u{e9}")).unwrap();
        assert_eq!(existing_spelling(path("\u{e9}")), path("\u{e9}"));
    }
}
