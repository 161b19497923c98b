//! The record that a store is encrypted: the header that its remote has.
//!
//! It is kept in the store and in the mirror. A store that has lost both is plain, and the remote
//! refuses what it sends.

use std::path::{Path, PathBuf};

use super::error::MirrorError;
use crate::encryption::StoreHeader;
use crate::store::create::create_mirror;
use crate::store::error::StoreError;
use crate::sys::fs::{read_to_string_if_exists, write_atomic};

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
            return header
                .map(Some)
                .ok_or_else(|| MirrorError::Store(StoreError::Damaged { path }));
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

fn paths(store: &Path, mirror: &Path) -> [PathBuf; 2] {
    [store.join(".git").join(FILE), mirror.join(FILE)]
}
