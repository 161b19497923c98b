//! Whether the shelves of the store can be read as they are described.

use crate::domain::error::error_chain;
use crate::extras::bundles::OpenBundle;
use crate::report::verification::ExtrasCheck;
use crate::store::bundle::ExtrasBundle;
use crate::workspace::error::SyncError;
use crate::workspace::open::Workspace;

/// Reads every text that lies beside sessions in the store.
pub(crate) fn check(workspace: &Workspace<'_>) -> Result<ExtrasCheck, SyncError> {
    let snapshot = workspace.store.head_snapshot()?;
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
