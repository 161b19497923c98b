//! Whether the shelves of the store can be read as they are described.

use crate::extras::bundles::OpenShelf;
use crate::report::verification::BesideCheck;
use crate::store::shelf::Shelf;
use crate::workspace::error::SyncError;
use crate::workspace::message::in_words;
use crate::workspace::open::Work;

/// Reads every text that lies beside sessions in the store.
pub(crate) fn check(work: &Work<'_>) -> Result<BesideCheck, SyncError> {
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
