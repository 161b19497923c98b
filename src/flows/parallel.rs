//! Handles many sessions at once. Each thread reads the store through its own handle.

use std::collections::BTreeMap;

use crate::domain::SessionId;
use crate::store::{Snapshot, Store, manifest::Manifest};
use crate::sys::{parallel::try_map, parallel::useful_threads};
use crate::workspace::SyncError;

/// A thread for fewer sessions costs more than it saves.
const ITEMS_PER_THREAD: usize = 8;

/// Manifests that one thread reads before it hands them over.
const MANIFESTS_PER_STEP: usize = 32;

/// Reads the manifests of `sessions` at the store's head, without those that are unreadable.
pub(crate) fn manifests<'s>(
    store: &Store,
    sessions: impl Iterator<Item = &'s SessionId>,
) -> Result<BTreeMap<SessionId, Manifest>, SyncError> {
    let ids: Vec<&SessionId> = sessions.collect();
    // A thread that hands over one manifest at a time wakes this one as often.
    let parts: Vec<_> = ids.chunks(MANIFESTS_PER_STEP).collect();
    let read = on_all_cores(store, &parts, &|snapshot, ids| {
        let ids = ids.iter().map(|id| (*id).clone());
        let read = ids.filter_map(|id| {
            let manifest = snapshot.manifest(&id).ok().flatten()?;
            Some((id, manifest))
        });
        Ok(read.collect::<Vec<_>>())
    })?;
    Ok(read.into_iter().flatten().collect())
}

/// Does `step` for each item, at the store's head. After the first failure no other item is begun.
pub(crate) fn on_all_cores<T: Sync, R: Send>(
    store: &Store,
    items: &[T],
    step: &(dyn Fn(&Snapshot<'_>, &T) -> Result<R, SyncError> + Sync),
) -> Result<Vec<R>, SyncError> {
    let threads = useful_threads(items.len(), ITEMS_PER_THREAD);
    if threads < 2 {
        let snapshot = store.head_snapshot()?;
        return items.iter().map(|item| step(&snapshot, item)).collect();
    }
    let path = store.path();
    try_map(items, threads, |queue| {
        let store = Store::open_without_repair(path)?;
        let snapshot = store.head_snapshot()?;
        queue.try_each(|item| step(&snapshot, item))
    })
}
