//! Handles many sessions at once. Each thread reads the store through its own handle.

use crate::store::{Snapshot, Store};
use crate::sys::{parallel::try_map, parallel::useful_threads};
use crate::workspace::SyncError;

/// A thread for fewer sessions costs more than it saves.
const ITEMS_PER_THREAD: usize = 8;

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
