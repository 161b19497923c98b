//! Damage that must be found before libgit2 meets it.
//!
//! libgit2 1.9 never returns from a loose object that ends too early: `git_zstream_get_output`
//! waits for the end of a stream that cannot come. A power failure or a repair of the file system
//! leaves such objects, because the `git` program does not flush them to the disk. So each new
//! loose object is inflated once here. The time of its directory shows that one has come.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use libdeflater::Decompressor;

use super::error::StoreError;
use super::objects::loose::{LooseObject, inflate};

/// File whose time is that of the last check.
const CHECKED: &str = "ccsync-checked";

/// Returns true if `HEAD` holds a branch or a commit.
pub(super) fn has_valid_head(git_dir: &Path) -> bool {
    let text = fs::read_to_string(git_dir.join("HEAD")).unwrap_or_default();
    let text = text.trim_end();
    let is_commit = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let branch = text.strip_prefix("ref: refs/heads/");
    is_commit || branch.is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace))
}

/// Checks the loose objects that came since the last check, and records that it has.
pub(super) fn check_loose_objects(repo: &git2::Repository) -> Result<(), StoreError> {
    if find_damaged_loose_object(repo)? {
        // If this fails, the next command checks them again.
        let _ = fs::File::create(repo.path().join(CHECKED));
    }
    Ok(())
}

/// Checks the loose objects that came since the last recorded check.
///
/// Returns true if there were any.
pub(super) fn find_damaged_loose_object(repo: &git2::Repository) -> Result<bool, StoreError> {
    let marker = fs::metadata(repo.path().join(CHECKED));
    let checked = marker.and_then(|m| m.modified()).ok();
    let mut is_changed = false;
    for directory in fs::read_dir(repo.path().join("objects"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = directory.file_name();
        let Some(prefix) = name.to_str().filter(|name| name.len() == 2) else {
            continue;
        };
        let modified = directory
            .metadata()
            .and_then(|m| m.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        // Equal times do not count: an object may have come right after the last check.
        if checked.is_none_or(|checked| modified >= checked) {
            is_changed = true;
            check_directory(&directory.path(), prefix)?;
        }
    }
    Ok(is_changed)
}

fn check_directory(directory: &Path, prefix: &str) -> Result<(), StoreError> {
    let mut decompressor = Decompressor::new();
    for file in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = file.file_name();
        let is_object = |rest: &str| git2::Oid::from_str(&format!("{prefix}{rest}")).is_ok();
        if !name.to_str().is_some_and(is_object) {
            continue;
        }
        // Objects that are too large to be ours are never read.
        let is_whole = fs::read(file.path())
            .is_ok_and(|text| !matches!(inflate(&mut decompressor, &text), LooseObject::Damaged));
        // `git gc`, which may run in the background, removes what it has packed.
        if !is_whole && file.path().exists() {
            return Err(StoreError::Damaged { path: file.path() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    #[test]
    fn damage_truncated_object_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let repo = git2::Repository::init(dir.path()).unwrap();
        let oid = repo
            .blob(b"some text that is long enough to be cut")
            .unwrap()
            .to_string();
        let path = repo.path().join("objects").join(&oid[..2]).join(&oid[2..]);
        check_loose_objects(&repo).unwrap();
        let whole = fs::read(&path).unwrap();
        write_atomic(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(
            check_loose_objects(&repo),
            Err(StoreError::Damaged { .. })
        ));
        write_atomic(&path, &whole).unwrap();
        check_loose_objects(&repo).unwrap();
    }

    #[test]
    fn damage_invalid_head_is_recognized() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!has_valid_head(dir.path()));
        for (text, good) in [
            ("ref: refs/heads/main\n", true),
            ("ref: refs/heads/", false),
            ("\u{0}", false),
            ("", false),
        ] {
            write_atomic(&dir.path().join("HEAD"), text.as_bytes()).unwrap();
            assert_eq!(has_valid_head(dir.path()), good, "{text:?}");
        }
    }
}
