//! The first fetch from a repository on a disk of this machine: its packs are copied as files, as `git clone` does it.
//!
//! `git fetch` would have every object packed, unpacked and hashed, which takes ten times as long. It still runs afterwards, finds that
//! little is missing, checks that everything hangs together, and moves the reference. So nothing here needs to be complete: what cannot
//! be copied is fetched. Must not write anything but packs, nor follow a link: it may lead to a file that is none of the repository's.

use std::fs::{self, FileType};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

/// Copies the packs of the repository at `from`, bare or not, into the repository whose git directory is `git_dir`, if that has no objects yet.
pub(super) fn copy_packs(from: &Path, git_dir: &Path) {
    let bare = from.join("objects");
    let from = if bare.is_dir() { bare } else { from.join(".git/objects") };
    let into = git_dir.join("objects");
    // Of a repository that borrows from another, a copy would be incomplete.
    if from.join("info/alternates").exists() || has_objects(&into) {
        return;
    }
    for index in entries(&from.join("pack"), FileType::is_file) {
        if index.extension().is_some_and(|e| e == "idx") && copy_pack(&index, &into.join("pack")).is_err() {
            return;
        }
    }
}

/// An index makes its pack visible to git, and comes last. A pack without one would stay for ever.
fn copy_pack(index: &Path, into: &Path) -> io::Result<()> {
    let pack = index.with_extension("pack");
    if !fs::symlink_metadata(&pack)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let to = |from: &Path| into.join(from.file_name().unwrap_or_default());
    copy(&pack, &to(&pack))?;
    copy(index, &to(index)).inspect_err(|_| drop(fs::remove_file(to(&pack))))
}

fn has_objects(directory: &Path) -> bool {
    let holds_objects = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 2 || name == "pack");
    let directories = entries(directory, FileType::is_dir).into_iter().filter(holds_objects);
    directories.into_iter().any(|directory| !entries(&directory, FileType::is_file).is_empty())
}

fn entries(directory: &Path, wanted: impl Fn(&FileType) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| wanted(&kind))).map(|entry| entry.path()).collect()
}

/// Copies a pack or an index, which appears whole under its name, or not at all. Both end with the SHA-1 of what comes before (git manual,
/// `gitformat-pack`): what is damaged is not copied.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    const DIGEST: usize = 20;
    let directory = to.parent().unwrap_or(to);
    fs::create_dir_all(directory)?;
    // The prefix is the one that git knows as left over.
    let mut file = tempfile::Builder::new().prefix("tmp_pack_").tempfile_in(directory)?;
    let mut source = fs::File::open(from)?;
    let mut left = source.metadata()?.len();
    let (mut hasher, mut block) = (Sha1::new(), vec![0; 1 << 20]);
    while left > DIGEST as u64 {
        let wanted = usize::try_from(left - DIGEST as u64).unwrap_or(usize::MAX).min(block.len());
        source.read_exact(&mut block[..wanted])?;
        hasher.update(&block[..wanted]);
        file.write_all(&block[..wanted])?;
        left -= wanted as u64;
    }
    let mut digest = [0; DIGEST];
    source.read_exact(&mut digest)?;
    if hasher.finalize().as_slice() != digest {
        return Err(io::ErrorKind::InvalidData.into());
    }
    file.write_all(&digest)?;
    file.as_file().sync_all()?;
    file.persist(to).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs::write_atomic;

    fn repository(path: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let digest = Sha1::digest(text.as_bytes());
            write_atomic(&path.join("objects").join(name), &[text.as_bytes(), &digest].concat()).unwrap();
        }
    }

    fn packs(git_dir: &Path) -> Vec<PathBuf> {
        let mut names = entries(&git_dir.join("objects/pack"), FileType::is_file);
        names.iter_mut().for_each(|path| *path = path.file_name().unwrap().into());
        names.sort();
        names
    }

    #[test]
    fn packs_are_copied_once_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let (from, into) = (dir.path().join("from"), dir.path().join("into/.git"));
        repository(&from, &[("pack/pack-1.idx", "index"), ("pack/pack-1.pack", "pack")]);
        repository(&from, &[("pack/tmp_pack_x", ""), ("info/packs", ""), ("ab/cd", ""), ("pack/pack-3.pack", "alone")]);
        copy_packs(&from, &into);
        assert_eq!(packs(&into), [PathBuf::from("pack-1.idx"), "pack-1.pack".into()]);
        let pack = |objects: PathBuf| fs::read(objects.join("objects/pack/pack-1.pack")).unwrap();
        assert_eq!(pack(into.clone()), pack(from.clone()));
        repository(&from, &[("pack/pack-2.pack", "more"), ("pack/pack-2.idx", "more")]);
        copy_packs(&from, &into);
        assert_eq!(packs(&into).len(), 2, "the next fetch is git's");
    }

    #[test]
    fn what_is_damaged_is_left_to_git() {
        for damaged in ["pack/pack-1.idx", "pack/pack-1.pack"] {
            let dir = tempfile::tempdir().unwrap();
            let (from, into) = (dir.path().join("from"), dir.path().join("into"));
            repository(&from, &[("pack/pack-1.idx", "index"), ("pack/pack-1.pack", "pack")]);
            write_atomic(&from.join("objects").join(damaged), b"twenty bytes and some more").unwrap();
            copy_packs(&from, &into);
            assert!(packs(&into).is_empty(), "{damaged}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        repository(dir.path(), &[("secret", "secret"), ("pack/pack-1.idx", "index")]);
        let link = |name: &str| {
            let pack = dir.path().join("objects/pack");
            std::os::unix::fs::symlink(dir.path().join("objects/secret"), pack.join(name)).unwrap();
        };
        ["pack-1.pack", "pack-2.idx", "pack-2.pack"].into_iter().for_each(link);
        let into = dir.path().join("into");
        copy_packs(dir.path(), &into);
        assert!(packs(&into).is_empty());
    }

    #[test]
    fn what_borrows_from_elsewhere_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        repository(dir.path(), &[("info/alternates", "/"), ("pack/pack-1.pack", "pack"), ("pack/pack-1.idx", "index")]);
        let into = dir.path().join("into");
        copy_packs(dir.path(), &into);
        assert!(!into.exists());
    }
}
