//! Writing and removing files in a working tree, whatever is in their way.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use git2::{ObjectType, Oid};

use crate::store::{error::StoreError, objects::reader::Objects};
use crate::sys::fail_point::fail_point;

/// The files below the top of a working tree.
#[derive(Clone, Copy)]
pub(super) struct WorktreeFiles<'a> {
    pub(super) root: &'a Path,
}

impl WorktreeFiles<'_> {
    pub(super) fn write_blob(
        self,
        path: &str,
        oid: Oid,
        objects: Objects<'_>,
    ) -> Result<(), StoreError> {
        self.write(path, &objects.read(ObjectType::Blob, oid)?)
    }

    pub(super) fn write(self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let file = self.root.join(path);
        let failed = |source| StoreError::io("write", &file, source);
        let create = || {
            fs::File::create(&file).or_else(|_| {
                file.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::File::create(&file)
            })
        };
        let mut handle = match create() {
            Ok(handle) => handle,
            Err(_) => {
                self.make_room(path)?;
                create().map_err(failed)?
            }
        };
        fail_point("a file of the working tree is half written");
        handle.write_all(bytes).map_err(failed)
    }

    /// Removes files with the names of directories of `path`, and a directory named `path`.
    fn make_room(self, path: &str) -> Result<(), StoreError> {
        let target = self.root.join(path);
        let mut part = self.root.to_owned();
        for name in path.split('/') {
            part.push(name);
            let is_directory = fs::symlink_metadata(&part).is_ok_and(|m| m.is_dir());
            if is_directory == (part == target) {
                remove(&part)?;
            }
        }
        Ok(())
    }

    /// Removes what is at `path`, and the directories that become empty.
    pub(super) fn remove(self, path: &str) -> Result<(), StoreError> {
        let mut part = self.root.join(path);
        remove(&part)?;
        // Removing a directory fails, as it should, if it holds something.
        while part.pop() && part != self.root && fs::remove_dir(&part).is_ok() {}
        Ok(())
    }
}

/// Removes a file, a link or a directory with all it holds, if there is one.
pub(in crate::store) fn remove(path: &Path) -> Result<(), StoreError> {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    let result = if is_directory {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match result {
        Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(StoreError::io("remove", path, e))
        }
        _ => Ok(()),
    }
}
