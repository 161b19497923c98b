//! The record that a store is encrypted: the header that its remote has.
//!
//! It is kept in the store and in the mirror. A store that has lost both is plain, and the remote
//! refuses what it sends.

use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository};

use super::commit_map::MAP_FILE;
use super::error::MirrorError;
use crate::domain::CommitId;
use crate::encryption::{MAX_HEADER_BYTES, StoreHeader};
use crate::store::create::create_mirror;
use crate::store::error::StoreError;
use crate::store::layout::FORMAT_FILE;
use crate::store::objects::name::oid;
use crate::store::objects::tree::find_entry;
use crate::store::repository::Store;
use crate::sys::fs::{read_to_string_if_exists, remove_file_if_exists, write_atomic};

/// File of a sealed commit with the header.
pub(super) const HEADER: &str = FORMAT_FILE;

/// Name of the file in both repositories.
const FILE: &str = "ccsync-encrypted.json";

/// Reads the header of the store that has these repositories; `None` if it is not encrypted.
///
/// # Errors
/// [`MirrorError`] if a file cannot be read: the store is encrypted then, too.
pub fn recorded_header(store: &Path, mirror: &Path) -> Result<Option<StoreHeader>, MirrorError> {
    for path in paths(store, mirror) {
        if let Some(json) = read_to_string_if_exists(&path).map_err(StoreError::from)? {
            let header = StoreHeader::parse(json.as_bytes())?;
            let damaged = || MirrorError::Store(StoreError::Damaged { path });
            return Ok(Some(header.ok_or_else(damaged)?));
        }
    }
    Ok(None)
}

/// Records that the store is encrypted.
///
/// # Errors
/// [`MirrorError::Store`]
pub fn record_header(store: &Path, mirror: &Path, header: &StoreHeader) -> Result<(), MirrorError> {
    create_mirror(mirror)?;
    for path in paths(store, mirror) {
        write_atomic(&path, &header.to_json()).map_err(StoreError::from)?;
    }
    Ok(())
}

/// Records that the remote has a new history, which is sealed with another key.
///
/// # Errors
/// [`MirrorError::Store`]
pub fn record_new_history(
    store: &Path,
    mirror: &Path,
    header: &StoreHeader,
) -> Result<(), MirrorError> {
    // The pairs are of the former history; those of the new one are found in its commits.
    let pairs = mirror.join(MAP_FILE);
    remove_file_if_exists(&pairs).map_err(StoreError::from)?;
    record_header(store, mirror, header)
}

/// Returns the header of a commit that was fetched into the mirror; `None` if its store is not
/// encrypted.
///
/// # Errors
/// [`MirrorError`]
pub fn remote_header(mirror: &Path, commit: &CommitId) -> Result<Option<StoreHeader>, MirrorError> {
    let repository = Store::new(Repository::open_bare(mirror)?);
    read_header(&repository, oid(commit)?)
}

/// Writes the record where one of the repositories has lost it.
///
/// # Errors
/// [`MirrorError::Store`]
pub fn complete_record(
    store: &Path,
    mirror: &Path,
    header: &StoreHeader,
) -> Result<(), MirrorError> {
    match paths(store, mirror).iter().all(|path| path.exists()) {
        true => Ok(()),
        false => record_header(store, mirror, header),
    }
}

/// Reads the header of a commit; `None` if its store is not encrypted.
pub(super) fn read_header(
    repository: &Store,
    commit: Oid,
) -> Result<Option<StoreHeader>, MirrorError> {
    let objects = repository.objects();
    let tree = repository.repo.find_commit(commit)?.tree_id();
    let entry = find_entry(objects, Some(tree), HEADER)?;
    let Some(entry) = entry.filter(|entry| entry.is_file()) else {
        return Ok(None);
    };
    if objects.size(entry.oid)? > MAX_HEADER_BYTES {
        return Ok(None);
    }
    let json = objects.read(ObjectType::Blob, entry.oid)?;
    Ok(StoreHeader::parse(&json)?)
}

fn paths(store: &Path, mirror: &Path) -> [PathBuf; 2] {
    [store.join(".git").join(FILE), mirror.join(FILE)]
}
