//! Damage that has to be found before git's library meets it.
//!
//! The library inflates a loose object that ends too early for ever (libgit2 1.9: `git_zstream_get_output` waits for a stream end that
//! cannot come). Power that fails, or a file system that is repaired, leaves such objects: the `git` program writes them without
//! waiting for the disk. So each loose object is inflated once after it came. What shows that some came is the time of their directory.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::StoreError;
use super::loose::{Loose, inflate};

/// Its time is that of the last check.
const CHECKED: &str = "ccsync-checked";

/// What every store's `HEAD` says, unless a person wants it otherwise.
const HEAD: &str = "ref: refs/heads/";

/// Whether `HEAD` says anything that git understands.
pub(super) fn has_head(git_dir: &Path) -> bool {
    let text = fs::read_to_string(git_dir.join("HEAD")).unwrap_or_default();
    let text = text.trim_end();
    let is_commit = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_commit
        || text
            .strip_prefix(HEAD)
            .is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace))
}

/// Looks at the loose objects that came since the last time, and notes that it has.
pub(super) fn check_loose_objects(repo: &git2::Repository) -> Result<(), StoreError> {
    if look_at_loose_objects(repo)? {
        // A check that cannot be noted is made again.
        let _ = fs::File::create(repo.path().join(CHECKED));
    }
    Ok(())
}

/// As [`check_loose_objects`], but notes nothing; whether there was anything to look at.
pub(super) fn look_at_loose_objects(repo: &git2::Repository) -> Result<bool, StoreError> {
    let marker = repo.path().join(CHECKED);
    let checked = fs::metadata(&marker).and_then(|m| m.modified()).ok();
    let mut changed = false;
    for directory in fs::read_dir(repo.path().join("objects"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = directory.file_name();
        let Some(start) = name.to_str().filter(|name| name.len() == 2) else {
            continue;
        };
        // Times are as coarse as the file system's clock: at the very moment of the last check, something may have come after it.
        let modified = directory
            .metadata()
            .and_then(|m| m.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        if checked.is_some_and(|checked| modified < checked) {
            continue;
        }
        changed = true;
        check_directory(&directory.path(), start)?;
    }
    Ok(changed)
}

fn check_directory(directory: &Path, start: &str) -> Result<(), StoreError> {
    let mut decompressor = libdeflater::Decompressor::new();
    for file in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = file.file_name();
        let is_object = |rest: &str| git2::Oid::from_str(&format!("{start}{rest}")).is_ok();
        if !name.to_str().is_some_and(is_object) {
            continue;
        }
        // Whatever is larger than anything of this program's is never read.
        let whole = fs::read(file.path())
            .is_ok_and(|text| !matches!(inflate(&mut decompressor, &text), Loose::Damaged));
        // `git gc`, which may be at work in the background, removes what it has packed.
        if !whole && file.path().exists() {
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
        assert!(!has_head(dir.path()));
        for (text, good) in [
            ("ref: refs/heads/main\n", true),
            ("ref: refs/heads/", false),
            ("\u{0}", false),
            ("", false),
        ] {
            write_atomic(&dir.path().join("HEAD"), text.as_bytes()).unwrap();
            assert_eq!(has_head(dir.path()), good, "{text:?}");
        }
    }
}
