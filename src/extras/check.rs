//! Checks that all bundles in the store can be read and match their descriptions.

use crate::domain::error::error_chain;
use crate::extras::open_bundle::OpenBundle;
use crate::report::verification::ExtrasCheck;
use crate::store::{Store, StoreError, bundle::ExtrasBundle};

/// Reads every text of every bundle in the newest commit.
pub(crate) fn check_bundles(store: &Store) -> Result<ExtrasCheck, StoreError> {
    let snapshot = store.head_snapshot()?;
    let mut check = ExtrasCheck::default();
    for id in snapshot.bundles()?.into_keys() {
        let bundle = match OpenBundle::open(&snapshot, &id, || ExtrasBundle::empty(None, None)) {
            Ok(bundle) => bundle,
            Err(e) => {
                check.damage.push(error_chain(&e));
                continue;
            }
        };
        for (name, stored) in &bundle.bundle.files {
            match bundle.file(name) {
                Ok(_) => {
                    check.files += 1;
                    check.bytes += stored.bytes;
                }
                Err(e) => check
                    .damage
                    .push(format!("{id}/{name}: {}", error_chain(&e))),
            }
        }
    }
    Ok(check)
}
