//! Whether the shelves of the store can be read as they are described.

use super::shelves::OpenShelf;
use crate::store::shelf::Shelf;
use crate::sync::verification::BesideCheck;
use crate::sync::work::Work;
use crate::sync::{SyncError, in_words};

/// Reads every text that lies beside sessions in the store.
pub(in crate::sync) fn check(work: &Work<'_>) -> Result<BesideCheck, SyncError> {
    let snapshot = work.store.head_snapshot()?;
    let mut check = BesideCheck::default();
    for id in snapshot.shelves()?.into_keys() {
        let shelf = match OpenShelf::open(&snapshot, &id, || Shelf::empty(None, None)) {
            Ok(shelf) => shelf,
            Err(e) => {
                check.damage.push(in_words(&e));
                continue;
            }
        };
        for (name, stored) in &shelf.shelf.files {
            match shelf.file(name) {
                Ok(_) => {
                    check.files += 1;
                    check.bytes += stored.bytes;
                }
                Err(e) => check.damage.push(format!("{id}/{name}: {}", in_words(&e))),
            }
        }
    }
    Ok(check)
}
