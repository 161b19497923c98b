//! The first fetch from a repository on a disk of this machine: its objects are copied as files, as `git clone` does it.
//!
//! `git fetch` would have every object packed, unpacked and hashed, which takes twenty times as long. It still runs afterwards, finds that
//! nothing is missing, checks that everything hangs together, and moves the reference. So nothing here needs to be complete: what cannot
//! be copied is fetched. Must not write anything but objects, nor follow a link: it may lead to a file that is none of the repository's.

use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

/// Copies the objects of the repository at `from`, bare or not, into the repository whose git directory is `git_dir`, if that has none yet.
pub(super) fn copy_objects(from: &Path, git_dir: &Path) {
    let bare = from.join("objects");
    let from = if bare.is_dir() { bare } else { from.join(".git/objects") };
    let into = git_dir.join("objects");
    // Of a repository that borrows from another, a copy would be incomplete.
    if from.join("info/alternates").exists() || !objects(&into).is_empty() {
        return;
    }
    let mut objects = objects(&from);
    // An index makes its pack visible to git.
    objects.sort_by_key(|path| path.extension().is_some_and(|e| e == "idx"));
    for object in objects {
        // The first that fails ends it: an index must not come without its pack.
        if copy(&from.join(&object), &into.join(&object)).is_err() {
            return;
        }
    }
}

/// Packs, their indexes and loose objects, relative to the directory of objects.
fn objects(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in entries(directory, FileType::is_dir) {
        let name = directory.file_name().unwrap_or_default().to_owned();
        let wanted = |path: &Path| match name.to_str() {
            Some("pack") => path.extension().is_some_and(|e| e == "pack" || e == "idx"),
            Some(name) => name.len() == 2 && path.file_name().is_some_and(|f| f.len() == 38),
            None => false,
        };
        let files = entries(&directory, FileType::is_file).into_iter().filter(|path| wanted(path));
        found.extend(files.filter_map(|path| Some(Path::new(&name).join(path.file_name()?))));
    }
    found
}

fn entries(directory: &Path, wanted: impl Fn(&FileType) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| wanted(&kind))).map(|entry| entry.path()).collect()
}

/// Appears whole under its name, or not at all.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let directory = to.parent().unwrap_or(to);
    fs::create_dir_all(directory)?;
    // The prefix is the one that git knows as left over.
    let mut file = tempfile::Builder::new().prefix("tmp_obj_").tempfile_in(directory)?;
    io::copy(&mut fs::File::open(from)?, &mut file)?;
    file.as_file().sync_all()?;
    file.persist(to).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    fn repository(path: &Path, objects: &[(&str, &str)]) {
        for (object, text) in objects {
            write_atomic(&path.join("objects").join(object), text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn objects_are_copied_once_and_nothing_else_is() {
        let loose = format!("ab/{}", "c".repeat(38));
        let dir = tempfile::tempdir().unwrap();
        let (from, into) = (dir.path().join("from"), dir.path().join("into/.git"));
        let whole = [("pack/pack-1.idx", "index"), ("pack/pack-1.pack", "pack"), (loose.as_str(), "loose")];
        repository(&from, &whole);
        repository(&from, &[("pack/tmp_pack_x", ""), ("info/packs", ""), ("ab/short", "")]);
        copy_objects(&from, &into);
        let mut found = objects(&into.join("objects"));
        found.sort();
        assert_eq!(found, [PathBuf::from(&loose), "pack/pack-1.idx".into(), "pack/pack-1.pack".into()]);
        assert!(whole.iter().all(|(name, text)| fs::read(into.join("objects").join(name)).unwrap() == text.as_bytes()));
        repository(&from, &[("pack/pack-2.pack", "more")]);
        copy_objects(&from, &into);
        assert_eq!(objects(&into.join("objects")).len(), 3, "the next fetch is git's");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        repository(dir.path(), &[("pack/pack-1.pack", "pack")]);
        let objects_dir = dir.path().join("objects");
        std::os::unix::fs::symlink(dir.path().join("secret"), objects_dir.join("pack/pack-2.pack")).unwrap();
        std::os::unix::fs::symlink(objects_dir.join("pack"), objects_dir.join("ab")).unwrap();
        assert_eq!(objects(&objects_dir), [PathBuf::from("pack/pack-1.pack")]);
    }

    #[test]
    fn what_borrows_from_elsewhere_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        repository(dir.path(), &[("info/alternates", "/elsewhere\n"), ("pack/pack-1.pack", "pack")]);
        let into = dir.path().join("into");
        copy_objects(dir.path(), &into);
        assert!(!into.exists());
    }
}
