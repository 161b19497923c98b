//! The first fetch from a repository on a disk of this machine: its objects are copied as files, as `git clone` does it.
//!
//! `git fetch` would have every object packed, unpacked and hashed, which takes ten times as long. It still runs afterwards, finds that
//! nothing is missing, checks that everything hangs together, and moves the reference. So nothing here needs to be complete: if anything could
//! not be copied, git fetches. Must not write anything but whole objects, nor follow a link: it may lead to a file that is none of the repository's.

use std::fs::{self, FileType};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use git2::Oid;
use sha1::{Digest, Sha1};

use crate::store::loose;

/// Copies the objects of the repository at `from`, bare or not, into the repository whose git directory is `git_dir`, if that has no objects yet.
/// Whether it set about it.
pub(super) fn copy_objects(from: &Path, git_dir: &Path) -> bool {
    let bare = from.join("objects");
    let from = if bare.is_dir() {
        bare
    } else {
        from.join(".git/objects")
    };
    let into = git_dir.join("objects");
    // Of a repository that borrows from another, a copy would be incomplete.
    if from.join("info/alternates").exists() || has_objects(&into) {
        return false;
    }
    // The first that fails ends it: git has to fetch then.
    let _ =
        copy_packs(&from.join("pack"), &into.join("pack")).and_then(|()| copy_loose(&from, &into));
    true
}

fn copy_packs(from: &Path, into: &Path) -> io::Result<()> {
    let files = entries(from, FileType::is_file).into_iter();
    files
        .filter(|path| path.extension().is_some_and(|e| e == "idx"))
        .try_for_each(|index| copy_pack(&index, into))
}

/// Objects in files of their own, named by two and 38 digits of their SHA-1. Each is checked against its name.
fn copy_loose(from: &Path, into: &Path) -> io::Result<()> {
    let mut decompressor = libdeflater::Decompressor::new();
    for directory in entries(from, FileType::is_dir)
        .iter()
        .filter(|path| name_of(path).len() == 2)
    {
        for object in entries(directory, FileType::is_file)
            .iter()
            .filter(|path| name_of(path).len() == 38)
        {
            let compressed = fs::read(object)?;
            let name = format!("{}{}", name_of(directory), name_of(object));
            let oid = Oid::from_str(&name).ok();
            if oid
                .and_then(|oid| loose::object_named(&mut decompressor, &compressed, oid))
                .is_none()
            {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let directory = into.join(name_of(directory));
            fs::create_dir_all(&directory)?;
            let mut file = tempfile::Builder::new()
                .prefix("tmp_obj_")
                .tempfile_in(&directory)?;
            file.write_all(&compressed)?;
            file.as_file().sync_all()?;
            file.persist(directory.join(name_of(object)))
                .map_err(|e| e.error)?;
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
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
    let holds_objects = |path: &PathBuf| name_of(path).len() == 2 || name_of(path) == "pack";
    let directories = entries(directory, FileType::is_dir)
        .into_iter()
        .filter(holds_objects);
    directories
        .into_iter()
        .any(|directory| !entries(&directory, FileType::is_file).is_empty())
}

fn entries(directory: &Path, wanted: impl Fn(&FileType) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| wanted(&kind)))
        .map(|entry| entry.path())
        .collect()
}

/// Copies a pack or an index, which appears whole under its name, or not at all. Both end with the SHA-1 of what comes before (git manual,
/// `gitformat-pack`): what is damaged is not copied.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    const DIGEST: usize = 20;
    let directory = to.parent().unwrap_or(to);
    fs::create_dir_all(directory)?;
    // The prefix is the one that git knows as left over.
    let mut file = tempfile::Builder::new()
        .prefix("tmp_pack_")
        .tempfile_in(directory)?;
    let mut source = fs::File::open(from)?;
    let mut left = source.metadata()?.len();
    let (mut hasher, mut block) = (Sha1::new(), vec![0; 1 << 20]);
    while left > DIGEST as u64 {
        let wanted = usize::try_from(left - DIGEST as u64)
            .unwrap_or(usize::MAX)
            .min(block.len());
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
            write_atomic(
                &path.join("objects").join(name),
                &[text.as_bytes(), &digest].concat(),
            )
            .unwrap();
        }
    }

    fn packs(git_dir: &Path) -> Vec<PathBuf> {
        let mut names = entries(&git_dir.join("objects/pack"), FileType::is_file);
        names
            .iter_mut()
            .for_each(|path| *path = path.file_name().unwrap().into());
        names.sort();
        names
    }

    #[test]
    fn packs_are_copied_once_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let (from, into) = (dir.path().join("from"), dir.path().join("into/.git"));
        repository(
            &from,
            &[("pack/pack-1.idx", "index"), ("pack/pack-1.pack", "pack")],
        );
        repository(
            &from,
            &[
                ("pack/tmp_pack_x", ""),
                ("info/packs", ""),
                ("abc/d", ""),
                ("pack/pack-3.pack", "alone"),
            ],
        );
        copy_objects(&from, &into);
        assert_eq!(
            packs(&into),
            [PathBuf::from("pack-1.idx"), "pack-1.pack".into()]
        );
        let pack = |objects: PathBuf| fs::read(objects.join("objects/pack/pack-1.pack")).unwrap();
        assert_eq!(pack(into.clone()), pack(from.clone()));
        repository(
            &from,
            &[("pack/pack-2.pack", "more"), ("pack/pack-2.idx", "more")],
        );
        copy_objects(&from, &into);
        assert_eq!(packs(&into).len(), 2, "the next fetch is git's");
    }

    #[test]
    fn loose_objects_are_copied_if_they_are_whole() {
        let dir = tempfile::tempdir().unwrap();
        let repo = git2::Repository::init_bare(dir.path().join("from")).unwrap();
        let text = "a line\n".repeat(9000);
        let name = repo.blob(text.as_bytes()).unwrap().to_string();
        let object = |repository: &str| {
            dir.path()
                .join(repository)
                .join("objects")
                .join(&name[..2])
                .join(&name[2..])
        };
        copy_objects(repo.path(), &dir.path().join("into"));
        let whole = fs::read(object("from")).unwrap();
        assert_eq!(fs::read(object("into")).unwrap(), whole);
        for damaged in [&whole[..whole.len() / 2], b"x", b""] {
            write_atomic(&object("from"), damaged).unwrap();
            copy_objects(repo.path(), &dir.path().join("other"));
            assert!(!object("other").exists());
        }
    }

    #[test]
    fn what_is_damaged_is_left_to_git() {
        for damaged in ["pack/pack-1.idx", "pack/pack-1.pack"] {
            let dir = tempfile::tempdir().unwrap();
            let (from, into) = (dir.path().join("from"), dir.path().join("into"));
            repository(
                &from,
                &[("pack/pack-1.idx", "index"), ("pack/pack-1.pack", "pack")],
            );
            write_atomic(
                &from.join("objects").join(damaged),
                b"twenty bytes and some more",
            )
            .unwrap();
            copy_objects(&from, &into);
            assert!(packs(&into).is_empty(), "{damaged}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        repository(
            dir.path(),
            &[("secret", "secret"), ("pack/pack-1.idx", "index")],
        );
        let link = |name: &str| {
            let pack = dir.path().join("objects/pack");
            std::os::unix::fs::symlink(dir.path().join("objects/secret"), pack.join(name)).unwrap();
        };
        ["pack-1.pack", "pack-2.idx", "pack-2.pack"]
            .into_iter()
            .for_each(link);
        let into = dir.path().join("into");
        copy_objects(dir.path(), &into);
        assert!(packs(&into).is_empty());
    }

    #[test]
    fn what_borrows_from_elsewhere_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        repository(
            dir.path(),
            &[
                ("info/alternates", "/"),
                ("pack/pack-1.pack", "pack"),
                ("pack/pack-1.idx", "index"),
            ],
        );
        let into = dir.path().join("into");
        copy_objects(dir.path(), &into);
        assert!(!into.exists());
    }
}
