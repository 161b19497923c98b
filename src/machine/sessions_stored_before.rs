//! Counts the sessions that were stored before a placeholder was set.

use crate::checkouts::locate::is_below_repo;
use crate::domain::{Placeholder, PlaceholderName, Placeholders};
use crate::rewrite::{collapse_path, expand_path};
use crate::store::manifest::Manifest;
use crate::workspace::{Context, ReadOnlyStore, SyncError};

/// Counts this machine's sessions below the directories of these placeholders that were
/// stored before the placeholders existed and are in no clone of a remote. Does not
/// fetch.
///
/// # Errors
/// Errors of the whole store. Unreadable sessions are skipped.
pub fn sessions_stored_before(
    ctx: &Context<'_>,
    names: &[PlaceholderName],
) -> Result<u64, SyncError> {
    let Some(ReadOnlyStore { store, .. }) = ReadOnlyStore::open(ctx)? else {
        return Ok(0);
    };
    let (me, placeholders) = (&ctx.settings.machine.id, &ctx.settings.placeholders);
    let given: Vec<&Placeholder> = names
        .iter()
        .filter_map(|name| placeholders.get(name.as_str()))
        .collect();
    let snapshot = store.head_snapshot()?;
    let was_before = |manifest: &Manifest| {
        let sets = manifest
            .transcript
            .runs
            .iter()
            .filter(|run| run.machine == *me);
        let mut sets = sets.filter_map(|run| manifest.placeholders.get(&run.placeholders));
        sets.any(|then| {
            let path = manifest
                .project
                .as_ref()
                .and_then(|project| expand_path(project, then));
            let lies_in = |root: &Placeholder, path: &str| {
                let only = Placeholders::new(placeholders.system, [root.clone()]);
                collapse_path(&only, path).as_str().starts_with("{{")
            };
            let is_new = |root: &&Placeholder| then.get(root.name.as_str()) != Some(root);
            path.is_some_and(|path| {
                given
                    .iter()
                    .any(|root| is_new(root) && lies_in(root, &path))
            })
        })
    };
    let manifests = snapshot
        .sessions()?
        .into_keys()
        .filter_map(|id| snapshot.manifest(&id).ok()?);
    Ok(manifests
        .filter(|manifest| !is_below_repo(manifest) && was_before(manifest))
        .count() as u64)
}
